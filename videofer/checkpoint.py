"""The folder that training leaves behind, and loading it: a model that knows what it may be fed.

    RUN/model.safetensors   weights of the best epoch
        recipe.yaml         the complete recipe
        contract.json       input contract of the store it was trained on
        labels.json         names of the classes, in the order of the model's outputs
        calibration.json    temperatures and fusion weights, with the errors before and after
        metrics.json        figures on the validation subjects, and which subjects and videos were used
        README.md           model card

Weights are read from safetensors only. A pickle can run any code when it is opened, so none is ever opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from cache.atomic import atomic_write
from cache.errors import UserError
from preprocessing.config_file import dump_yaml
from videofer.data.sampling import SampleSpec
from videofer.evaluation.calibration import Calibration
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe, load_recipe

WEIGHTS = "model.safetensors"
_PICKLE_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib", ".npy")
_MAX_JSON_BYTES = 64 << 20  # metrics.json lists the videos of the training set


class CheckpointError(UserError, ValueError):
    """A model cannot be loaded or does not fit its input. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A trained model with all it needs to be used rightly."""

    path: Path
    model: EmotionModel  # in eval mode, on `device`
    recipe: Recipe
    labels: tuple[str, ...]
    contract: Mapping[str, Any]
    calibration: Calibration
    used: Mapping[str, Any]
    """`keys` and `subjects`, each with the lists `train` and `val`: what the model has seen."""
    device: torch.device

    @property
    def spec(self) -> SampleSpec:
        """The shape of the samples that the model takes."""
        return self.recipe.sample_spec()

    def predict(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Calibrated probabilities (B, n) float32 on the CPU for "face", "body" and "fused".

        `batch`: "frames" (B, C, 3, K, S, S) uint8 and "clip_mask" (B, C) bool, "keypoints" (B, L, J, 3)
        float32 and "body_mask" (B,) bool, as the model's parts need; other keys are ignored. A head whose
        modality is missing is uniform.
        """
        inputs = {name: value.to(self.device) for name, value in batch.items() if name in INPUTS}
        with torch.inference_mode():
            calibrated = self.calibration.apply(self.model(inputs))
        return {head: logp.exp().cpu() for head, logp in calibrated.items()}

    def check_contract(self, contract: Mapping[str, Any], where: str) -> None:
        """CheckpointError where input of that contract (of a store, say) is not what the model takes."""
        differing = contract_differences(self.contract, contract, self.recipe)
        if differing:
            raise CheckpointError(f"model {self.path} does not fit {where}: {'; '.join(differing)}")


INPUTS = ("frames", "clip_mask", "keypoints", "body_mask")
"""Keys of a batch that go into the model."""

_FACE_FIELDS = ("crop_size", "alignment", "colour")
_BODY_FIELDS = ("skeleton",)


def contract_differences(model: Mapping[str, Any], given: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """The fields in which two input contracts differ, each as "field is X, the model was trained with Y".

    Fields of a modality that the recipe does not use count for nothing. Nor does input without skeletons:
    it has no body that could be misread, and the body is masked.
    """
    ignored: set[str] = set()
    if recipe.model.face is None:
        ignored.update(_FACE_FIELDS)
    if recipe.model.body is None or given.get("skeleton") == "none":
        ignored.update(_BODY_FIELDS)
    return [
        f"{name} is {given.get(name)!r}, the model was trained with {model.get(name)!r}"
        for name in sorted({*model, *given} - ignored)
        if model.get(name) != given.get(name)
    ]


def save_checkpoint(
    path: Path,
    *,
    weights: Mapping[str, torch.Tensor],
    recipe: Recipe,
    contract: Mapping[str, Any],
    calibration: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
) -> None:
    """Writes the folder, the weights last: a folder without them is no model.

    `calibration` is what calibration.json holds, `metrics` what metrics.json holds, both without NaN.
    """
    path.mkdir(parents=True, exist_ok=True)
    texts = {
        "recipe.yaml": dump_yaml(recipe),
        "contract.json": _json(contract),
        "labels.json": _json(recipe.data.classes),
        "calibration.json": _json(calibration),
        "metrics.json": _json(metrics),
        "README.md": card,
    }
    for name, text in texts.items():
        with atomic_write(path / name) as file:
            file.write(text.encode("utf-8"))
    with atomic_write(path / WEIGHTS) as file:
        file.write(save({name: tensor.cpu().contiguous() for name, tensor in weights.items()}))


def load_checkpoint(path: Path, *, device: str = "cpu") -> LoadedModel:
    """Loads a run folder, in eval mode. CheckpointError in one line where it is none or inconsistent."""
    path = Path(path)
    _refuse_what_is_no_run(path)
    try:
        recipe = load_recipe(path / "recipe.yaml")
        contract, labels = _read_json(path / "contract.json"), _read_json(path / "labels.json")
        used = _read_json(path / "metrics.json")["used"]
        calibration = Calibration.from_json(_read_json(path / "calibration.json"))
        if labels != recipe.data.classes:
            raise CheckpointError(f"labels.json has {labels}, recipe.yaml has {recipe.data.classes}")
        model = EmotionModel(recipe.emotion_model_config())
        weights = load_file(path / WEIGHTS, device="cpu")
        expected = model.state_dict()
        wrong = sorted(weights.keys() ^ expected.keys()) or sorted(
            name for name in expected if weights[name].shape != expected[name].shape
        )
        if wrong:
            raise CheckpointError(
                f"{WEIGHTS} does not fit recipe.yaml: {len(wrong)} tensors differ, {wrong[0]} first"
            )
        model.load_state_dict(weights)
    except (CheckpointError, SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path} cannot be used as a model: {reason}") from error
    return LoadedModel(
        path=path,
        model=model.to(device).eval(),
        recipe=recipe,
        labels=tuple(labels),
        contract=contract,
        calibration=calibration,
        used=used,
        device=torch.device(device),
    )


def _refuse_what_is_no_run(path: Path) -> None:
    advice = "a model is a folder that `videofer train` wrote"
    if not path.exists():
        raise CheckpointError(f"no model at {path}: {advice}")
    if path.is_file():
        if path.suffix.lower() in _PICKLE_SUFFIXES or _looks_like_pickle(path):
            raise CheckpointError(f"{path} is a pickle: it could run code, and is not opened; {advice}")
        raise CheckpointError(f"{path} is a file: {advice}")
    if not (path / WEIGHTS).is_file():
        pickles = sorted(p.name for p in path.iterdir() if p.suffix.lower() in _PICKLE_SUFFIXES)
        if pickles:
            raise CheckpointError(
                f"{path} has no {WEIGHTS}, and {pickles[0]} is a pickle, which is not opened; {advice}"
            )
        unfinished = " (its training has not finished)" if (path / "state").is_dir() else ""
        raise CheckpointError(f"{path} has no {WEIGHTS}{unfinished}: {advice}")


def _looks_like_pickle(path: Path) -> bool:
    """A pickle of protocol 2 and later, or the zip file of torch.save."""
    with path.open("rb") as file:
        head = file.read(4)
    return head[:1] == b"\x80" or head == b"PK\x03\x04"


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise CheckpointError(f"{path.name} is larger than {_MAX_JSON_BYTES} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is not JSON: {error}") from None


def _json(values: Any) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
