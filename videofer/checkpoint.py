"""The folder that training leaves behind, and loading it: a model that knows what it may be fed.

    RUN/model.safetensors   weights of the epoch that is kept, the best by default
        recipe.yaml         the complete recipe
        contract.json       input contract of the store it was trained on
        labels.json         names of the classes, in the order of the model's outputs
        calibration.json    temperatures and fusion weights, with the errors before and after
        metrics.json        figures on the validation subjects, and which subjects and videos were used
        README.md           model card
        release.json        name and version, of a model that is handed on; else it is called like its folder

Weights may be in half precision; they are computed with in float32.
Weights are read from safetensors only. A pickle can run any code when it is opened, so none is ever opened.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from cache.atomic import atomic_write, atomic_write_text
from cache.errors import UserError
from preprocessing.config_file import dump_yaml
from preprocessing.skeletons.layouts import LAYOUTS, mapping
from videofer.data.sampling import SampleSpec
from videofer.evaluation.calibration import Calibration, complete
from videofer.models.face import FaceModel
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe, load_recipe

WEIGHTS = "model.safetensors"
RELEASE = "release.json"
_PICKLE_SUFFIXES = (".pt", ".pt2", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".joblib", ".npy")
_MAX_JSON_BYTES = 64 << 20  # metrics.json lists the videos of the training set


class CheckpointError(UserError, ValueError):
    """A model cannot be loaded or does not fit its input. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """What a model that is handed on is called, wherever its folder lies."""

    name: str
    version: str

    def __post_init__(self) -> None:
        for field in ("name", "version"):
            value = getattr(self, field)
            if not (isinstance(value, str) and value and value.isprintable() and value == value.strip()):
                raise CheckpointError(f"{RELEASE} has no usable {field}: {value!r}")


@dataclass(frozen=True, kw_only=True)
class TrainedModel(ABC):
    """A trained model with all it needs to be used rightly, whatever computes its networks.

    Batches are those of a `SampleDataset`, or hold "clip_features" (B, C, F) instead of "frames", so that a
    timeline computes each clip once. Tensors may be on any device; other keys than INPUTS are ignored.
    """

    path: Path
    recipe: Recipe
    labels: tuple[str, ...]
    contract: Mapping[str, Any]
    calibration: Calibration
    used: Mapping[str, Any]
    """`keys` and `subjects`, each with the lists `train` and `val`: what the model has seen."""
    device: torch.device
    """Where the networks run, and where their outputs are."""
    card: str = ""
    """The model card, Markdown."""
    weights_sha256: str = ""
    """Of the files of weights, in the order of their names, end to end; "" for a model that is no folder."""
    release: Release | None = None
    """None: a run of one's own."""

    @property
    def name(self) -> str:
        """What outputs call it: as it was released, else like its folder."""
        return self.path.resolve().name if self.release is None else self.release.name

    @property
    def version(self) -> str:
        """Of the release; "" for a run of one's own."""
        return "" if self.release is None else self.release.version

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}".strip()

    @property
    def spec(self) -> SampleSpec:
        """The shape of the samples that the model takes."""
        return self.recipe.sample_spec()

    @property
    def heads(self) -> tuple[str, ...]:
        """The model's own answers, of "face", "body" and "fused"; the last one is its answer."""
        return self.recipe.emotion_model_config().heads

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """Of multi targets, per class: from which probability on the model says that the class is there."""
        if self.calibration.targets == "single":
            return None
        return self.calibration.thresholds or (0.5,) * len(self.labels)

    @property
    def chosen_by_validation(self) -> str:
        """What of the model the validation intervals decided: figures on them flatter so much."""
        return "the best epoch" if self.recipe.training.keep == "best" else "the confidence"

    @property
    @abstractmethod
    def num_features(self) -> int:
        """F, the features of a clip. For models with a face, as is `clip_features`."""

    @abstractmethod
    def clip_features(self, frames: Tensor) -> Tensor:
        """frames (N, K, S, S, 3) uint8 -> (N, F) float32. A clip's features do not depend on the others."""

    @abstractmethod
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Before calibration: log-probabilities (B, n) float32 of "face", "body" and "fused", and "has_face",
        "has_body" (B,) bool, as `evaluation.calibration.complete` gives them."""

    def window_log_probs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Calibrated log-probabilities (B, n) float32 of "face", "body" and "fused".

        A head whose modality is missing is uniform.
        """
        with torch.inference_mode():
            return self.calibration.apply(self.outputs(batch))

    def window_answers(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """`window_log_probs`, and per head the dimensions (B, d) float32 in [-1, 1], if the model has any."""
        with torch.inference_mode():
            outputs = self.outputs(batch)
            named = {head: f"{head}_dimensions" for head in self.heads}
            dimensions = {head: outputs[key] for head, key in named.items() if key in outputs}
            return self.calibration.apply(outputs), dimensions

    def predict(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Calibrated probabilities (B, n) float32 on the CPU of "face", "body" and "fused"."""
        return {head: logp.exp().cpu() for head, logp in self.window_log_probs(batch).items()}

    def check_contract(self, contract: Mapping[str, Any], where: str) -> None:
        """CheckpointError where input of that contract (of a store, say) is not what the model takes."""
        differing = contract_differences(self.contract, contract, self.recipe)
        if differing:
            raise CheckpointError(f"model {self.path} does not fit {where}: {'; '.join(differing)}")


@dataclass(frozen=True, kw_only=True)
class LoadedModel(TrainedModel):
    """The model of a run folder."""

    model: EmotionModel  # in eval mode, on `device`

    @property
    def num_features(self) -> int:
        return self._face.num_features

    def clip_features(self, frames: Tensor) -> Tensor:
        with torch.inference_mode():
            return self._face.clip_features(frames.to(self.device))

    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        inputs = {
            name: value.to(self.device)
            for name, value in batch.items()
            if name in INPUTS or name == "clip_features"
        }
        with torch.inference_mode():
            return complete(self.model(inputs))

    @property
    def _face(self) -> FaceModel:
        assert self.model.face is not None, "clip features are the face's"
        return self.model.face


INPUTS = ("frames", "clip_mask", "keypoints", "body_mask", "seed")
"""Keys of a batch that go into the model."""


def seen_contract(contract: Mapping[str, Any], recipe: Recipe) -> Mapping[str, Any]:
    """The input contract of a store as a model of this recipe sees it: with its bodies in `data.skeleton`.

    Unchanged where the recipe has none, or where the store's bodies lack joints of it.
    """
    wanted, given = recipe.data.skeleton, str(contract.get("skeleton"))
    if wanted is None or given not in LAYOUTS or mapping(LAYOUTS[given], LAYOUTS[wanted]).missing:
        return contract
    return {**contract, "skeleton": wanted}


_FACE_FIELDS = ("crop_size", "alignment", "colour")
_BODY_FIELDS = ("skeleton",)


def contract_differences(model: Mapping[str, Any], given: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """The fields in which two input contracts differ, each as "field is X, the model was trained with Y".

    Fields of a modality that the recipe does not use count for nothing. Nor does input without skeletons:
    it has no body that could be misread, and the body is masked.
    """
    ignored: set[str] = set()
    given = seen_contract(given, recipe)
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
    weights: Mapping[str, Tensor],
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
        "contract.json": json_text(contract),
        "labels.json": json_text(recipe.data.classes),
        "calibration.json": json_text(calibration),
        "metrics.json": json_text(metrics),
        "README.md": card,
    }
    for name, text in texts.items():
        atomic_write_text(path / name, text)
    with atomic_write(path / WEIGHTS) as file:
        file.write(save({name: tensor.cpu().contiguous() for name, tensor in weights.items()}))


def load_checkpoint(path: Path, *, device: str = "cpu") -> LoadedModel:
    """Loads a run folder, in eval mode. CheckpointError in one line where it is none or inconsistent."""
    path = Path(path)
    _refuse_what_is_no_run(path)
    with errors_in_one_line(path):
        facts = read_facts(path)
        model = EmotionModel(facts["recipe"].emotion_model_config())
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
        return LoadedModel(
            path=path,
            model=model.to(device).eval(),
            device=torch.device(device),
            weights_sha256=sha256_of([path / WEIGHTS]),
            **facts,
        )


def sha256_of(files: Iterable[Path]) -> str:
    """Of the content of files, in the order of their names, end to end."""
    digest = hashlib.sha256()
    for file in sorted(files):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def read_facts(path: Path) -> dict[str, Any]:
    """What the texts of a model's folder say: the fields of `TrainedModel` but those of its weights.

    Inside `errors_in_one_line`.
    """
    recipe = load_recipe(path / "recipe.yaml")
    labels = read_json(path / "labels.json")
    if labels != recipe.data.classes:
        raise CheckpointError(f"labels.json has {labels}, recipe.yaml has {recipe.data.classes}")
    calibration = Calibration.from_json(read_json(path / "calibration.json"))
    if calibration.targets != recipe.data.targets:
        raise CheckpointError(
            f"calibration.json is of targets {calibration.targets}, recipe.yaml of {recipe.data.targets}"
        )
    if calibration.thresholds is not None and len(calibration.thresholds) != len(labels):
        raise CheckpointError(
            f"calibration.json has {len(calibration.thresholds)} thresholds for {len(labels)} classes"
        )
    return {
        "recipe": recipe,
        "labels": tuple(labels),
        "contract": read_json(path / "contract.json"),
        "calibration": calibration,
        "used": read_json(path / "metrics.json")["used"],
        "card": (path / "README.md").read_text(encoding="utf-8"),
        "release": Release(**read_json(path / RELEASE)) if (path / RELEASE).is_file() else None,
    }


@contextmanager
def errors_in_one_line(path: Path) -> Iterator[None]:
    """Whatever is wrong with the files of a model becomes one CheckpointError that names the folder."""
    try:
        yield
    except (UserError, SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise CheckpointError(f"{path} cannot be used as a model: {' '.join(reason.split())}") from error


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
        is_begun = (path / "state").is_dir() or (path / "members").is_dir()
        unfinished = " (its training has not finished)" if is_begun else ""
        raise CheckpointError(f"{path} has no {WEIGHTS}{unfinished}: {advice}")


def _looks_like_pickle(path: Path) -> bool:
    """A pickle of protocol 2 and later, or the zip file of torch.save."""
    with path.open("rb") as file:
        head = file.read(4)
    return head[:1] == b"\x80" or head == b"PK\x03\x04"


def read_json(path: Path) -> Any:
    """A text of a model's folder. CheckpointError where it is no JSON."""
    if path.stat().st_size > _MAX_JSON_BYTES:
        raise CheckpointError(f"{path.name} is larger than {_MAX_JSON_BYTES} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is not JSON: {error}") from None


def json_text(values: Any) -> str:
    """As the texts of a model's folder are written."""
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
