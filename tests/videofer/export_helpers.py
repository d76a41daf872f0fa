"""Run folders of small untrained models, as `videofer train` would leave them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.videofer.timeline_helpers import CLASSES, CONTRACT, make_model
from videofer.checkpoint import save_checkpoint
from videofer.evaluation.calibration import Calibration, LinearLayer, LogProbWeights
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe

USED = {"keys": {"train": [], "val": []}, "subjects": {"train": [], "val": []}}


@pytest.fixture(scope="module", autouse=True)
def short_timings() -> Iterator[None]:
    """An export times both models; here a few runs will do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("videofer.export.check._SECONDS_A_TIMING", 0.0)
        yield


def make_run(
    path: Path,
    parts: str = "fused",
    *,
    face: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    fusion: dict[str, Any] | None = None,
    contract: dict[str, Any] = CONTRACT,
    **data: Any,
) -> Path:
    """A run of "face", "body" or "fused" whose batch normalisations have seen something.

    face, body, fusion: changes of these sections of the recipe of `make_model`, data: of that section.
    """
    values = make_model(parts, **data).recipe.model_dump(mode="json")
    for name, changes in (("face", face), ("body", body), ("fusion", fusion)):
        if changes:
            values["model"][name] |= changes
    recipe = Recipe.model_validate(values)
    torch.manual_seed(0)
    model = EmotionModel(recipe.emotion_model_config())
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
        if isinstance(module, torch.nn.Linear | torch.nn.LSTM):
            for weight in module.parameters():
                torch.nn.init.normal_(weight, std=0.2)  # so that answers differ from sample to sample
    save_checkpoint(
        path,
        weights=model.state_dict(),
        recipe=recipe,
        contract=contract,
        calibration=calibration_of(recipe).to_json(),
        metrics={"used": USED},
        card="# A model\n",
    )
    return path


def calibration_of(recipe: Recipe) -> Calibration:
    """One of the kind of the recipe's fusion."""
    n, fusion = len(CLASSES), recipe.model.fusion
    fitted: LogProbWeights | LinearLayer | None = None
    if fusion is not None and fusion.kind == "log_prob":
        fitted = LogProbWeights(face=0.7, body=0.4)
    elif fusion is not None:
        generator = torch.Generator().manual_seed(3)
        weight, missing = (torch.randn(*size, generator=generator).tolist() for size in ((n, 2 * n), (2, n)))
        fitted = LinearLayer(
            weight=tuple(map(tuple, weight)), bias=(0.1,) * n, missing=tuple(map(tuple, missing))
        )
    return Calibration(temperatures={"face": 1.3, "body": 0.8, "fused": 1.1}, fusion=fitted)
