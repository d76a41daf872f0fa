"""Opening and writing an ensemble: a folder of several trained models that is used like that of one.

OUT/members/NAME/           a run each, see `videofer.checkpoint`
    ensemble.json           their names, and how their answers are combined; written last
    recipe.yaml             the ensemble's recipe
    contract.json, labels.json, calibration.json, metrics.json, README.md    as in a run

A window's answer: every member's calibrated log-probabilities, combined; then the ensemble's own calibration,
because the mean of several models is less sure than it could be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cache.atomic import atomic_write_text
from preprocessing.config_file import dump_yaml, load_yaml
from videofer.checkpoint import (
    WEIGHTS,
    CheckpointError,
    LoadedModel,
    TrainedModel,
    errors_in_one_line,
    json_text,
    load_checkpoint,
    read_json,
    sha256_of,
)
from videofer.ensembles.combine import Combination, combination_from_json, combination_to_json
from videofer.ensembles.recipe import EnsembleRecipe, mismatch
from videofer.evaluation.calibration import Calibration, complete

DESCRIPTION = "ensemble.json"
MEMBERS = "members"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class EnsembleModel(TrainedModel):
    """Several runs that answer as one.

    `recipe` is the first member's, under the ensemble's name: what it says of samples and classes holds for
    all. F counts the members' features of a clip, side by side.
    """

    members: tuple[LoadedModel, ...]
    combination: Combination

    @property
    def chosen_by_validation(self) -> str:
        if self.combination.kind == "linear":
            return "the layer that combines the members"
        return super().chosen_by_validation

    @property
    def num_features(self) -> int:
        return sum(self._widths)

    def clip_features(self, frames: Tensor) -> Tensor:
        return torch.cat([member.clip_features(frames) for member in self.members], dim=1)

    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.inference_mode():
            parts = [
                member.calibration.apply(outputs) | _presence(outputs)
                for member, outputs in zip(self.members, self._member_outputs(batch), strict=True)
            ]
            return combine_outputs(parts, self.heads, self.combination)

    def _member_outputs(self, batch: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        if "clip_features" not in batch:
            return [member.outputs(batch) for member in self.members]
        features = torch.split(batch["clip_features"], self._widths, dim=2)  # (B, C, F) -> the members'
        return [
            member.outputs({**batch, "clip_features": own})
            for member, own in zip(self.members, features, strict=True)
        ]

    @property
    def _widths(self) -> list[int]:
        return [member.num_features for member in self.members]


def combine_outputs(
    parts: Sequence[Mapping[str, Tensor]], heads: Sequence[str], combination: Combination
) -> dict[str, Tensor]:
    """One model's outputs from those of each member, calibrated; all as `complete` gives them.

    The mean is taken of every head; a blend is of the only one.
    """
    combined = {head: combination(torch.stack([part[head] for part in parts])) for head in heads}
    return complete({**combined, **_presence(parts[0])})


def _presence(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is there of a sample does not depend on who looks."""
    return {name: outputs[name] for name in ("has_face", "has_body")}


def save_ensemble(
    path: Path,
    *,
    members: Sequence[str],
    combination: Combination,
    recipe: EnsembleRecipe,
    contract: Mapping[str, Any],
    labels: Sequence[str],
    calibration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
) -> None:
    """Writes the files beside the members, which are in `path` already; ensemble.json comes last."""
    texts = {
        "recipe.yaml": dump_yaml(recipe),
        "contract.json": json_text(contract),
        "labels.json": json_text(list(labels)),
        "calibration.json": json_text(calibration),
        "metrics.json": json_text(metrics),
        "README.md": card,
        DESCRIPTION: json_text(
            {
                "format_version": FORMAT_VERSION,
                "members": list(members),
                "combination": combination_to_json(combination),
            }
        ),
    }
    for name, text in texts.items():
        atomic_write_text(path / name, text)


def load_ensemble(path: Path, *, device: str = "cpu") -> EnsembleModel:
    """Opens the folder of an ensemble. CheckpointError in one line where it is none or inconsistent."""
    path = Path(path)
    with errors_in_one_line(path):
        return _load(path, device)


def _load(path: Path, device: str) -> EnsembleModel:
    description = read_json(path / DESCRIPTION)
    version = description.get("format_version") if isinstance(description, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{DESCRIPTION} is of version {version!r}; this videofer reads {FORMAT_VERSION}"
        )
    names = description["members"]
    if not names or any(not isinstance(name, str) or name != Path(name).name for name in names):
        raise CheckpointError(f"{DESCRIPTION} must name the folders of its members, not {names}")
    recipe = load_yaml(path / "recipe.yaml", EnsembleRecipe)
    members = tuple(load_checkpoint(path / MEMBERS / name, device=device) for name in names)
    first, labels, contract = members[0], read_json(path / "labels.json"), read_json(path / "contract.json")
    for member in members:
        if list(member.labels) != labels:
            raise CheckpointError(f"labels.json has {labels}, the member {member.path} {list(member.labels)}")
        if member.contract != contract:
            raise CheckpointError(f"contract.json is not that of the member {member.path}")
    combination = combination_from_json(description["combination"])
    problem = mismatch([(m.path.name, m.recipe) for m in members], combination.kind)
    if problem:
        raise CheckpointError(problem)
    combination.check(len(members), len(labels))
    weights = [member.path / WEIGHTS for member in members]
    return EnsembleModel(
        path=path,
        recipe=first.recipe.model_copy(update={"name": recipe.name, "description": recipe.description}),
        labels=tuple(labels),
        contract=contract,
        calibration=Calibration.from_json(read_json(path / "calibration.json")),
        used=read_json(path / "metrics.json")["used"],
        device=torch.device(device),
        card=(path / "README.md").read_text(encoding="utf-8"),
        weights_sha256=sha256_of([*weights, path / DESCRIPTION]),
        members=members,
        combination=combination,
    )
