"""The recipe: one complete YAML file for one experiment, checked by pydantic.

The sections under `model` are the config dataclasses of `videofer.models`, with their own checks. Importing
this module imports torch (a second): the command line does it inside the commands that need a recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from preprocessing.config_file import ConfigError, nearest, read_yaml, validate
from preprocessing.skeletons.layouts import LAYOUTS
from videofer import emotions
from videofer.data.sampling import SampleSpec
from videofer.data.targets import Dimension, TargetSpec
from videofer.emotions.label_sets import set_of
from videofer.models.body import BodyConfig
from videofer.models.config import ModelConfig
from videofer.models.dimensions import DimensionLoss
from videofer.models.face import FaceConfig
from videofer.models.fusion import FusionConfig
from videofer.models.targets import Targets

Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataRecipe(_Section):
    """What the classes are and how samples are taken from tracks; see `videofer.data.sampling`."""

    classes: list[str] = Field(min_length=2)
    targets: Targets = "single"  # one class holds, or, multi, each by itself: columns p_<class> from 0 to 1
    dimensions: list[Dimension] = []  # columns of the manifest that the model learns beside the classes
    num_clips: int = Field(ge=1, le=256)  # C
    num_frames: int = Field(ge=1, le=256)  # K, per clip
    clip_seconds: float = Field(gt=0)
    window_seconds: float = Field(gt=0)
    sampling: Literal["window", "interval"] = "window"
    body_length: int = Field(default=32, ge=1, le=4096)  # L instants a window
    skeleton: str | None = None  # joint layout that bodies are brought to; null: as the store has them
    eval_windows: int = Field(
        default=3, ge=1
    )  # evenly spaced in a labelled interval; their predictions are averaged
    cache_crops: bool = True  # keep all labelled intervals' crops in memory, at the model's input size
    max_cache_gib: float = Field(
        8.0, gt=0
    )  # with cache_crops: what is beyond is read from the store each time

    @field_validator("classes")
    @classmethod
    def _canonical_classes(cls, value: list[str]) -> list[str]:
        together = set_of(value)  # within one label set, joy may be a class of its own
        for name in value:
            own = together is not None
            if not own and emotions.is_emotion(name) and emotions.canonical(name) != name:
                raise ValueError(f"the class {name!r} is called {emotions.canonical(name)!r} here")
            meant = nearest(name, emotions.EMOTIONS, cutoff=0.85)
            if meant is not None and meant != name and not own:
                raise ValueError(f"unknown emotion {name!r}; did you mean {meant!r}?")
            if not name or name != name.strip() or not name.isprintable():
                raise ValueError(f"{name!r} is not a usable class name")
        if len(set(value)) != len(value):
            raise ValueError(f"a class stands twice in {value}")
        return value

    @field_validator("dimensions")
    @classmethod
    def _each_dimension_once(cls, value: list[Dimension]) -> list[Dimension]:
        if len(set(value)) != len(value):
            raise ValueError(f"a dimension stands twice in {value}")
        return value

    @field_validator("skeleton")
    @classmethod
    def _known_skeleton(cls, value: str | None) -> str | None:
        if value is not None and value not in LAYOUTS:
            raise ValueError(f"'{value}' is not one of {', '.join(LAYOUTS)}")
        return value

    @model_validator(mode="after")
    def _clips_fit(self) -> DataRecipe:
        if self.clip_seconds > self.window_seconds / self.num_clips + 1e-9:
            raise ValueError(
                f"clip_seconds is {self.clip_seconds:g}, but {self.num_clips} clips in a window of "
                f"{self.window_seconds:g} s leave {self.window_seconds / self.num_clips:g} s each"
            )
        return self


class ModelRecipe(_Section):
    """Which parts the model has. Without a section (null) the part is not built."""

    face: FaceConfig | None = None
    body: BodyConfig | None = None
    fusion: FusionConfig | None = None

    @model_validator(mode="after")
    def _parts_make_a_model(self) -> ModelRecipe:
        if self.face is None and self.body is None:
            raise ValueError("needs a face or a body section")
        both = self.face is not None and self.body is not None
        if both and self.fusion is None:
            raise ValueError("face and body need a fusion section")
        if not both and self.fusion is not None:
            raise ValueError("a fusion section needs both face and body")
        return self


class DegradeRecipe(_Section):
    """What a camera and a codec do to a face, see `videofer.data.degradation`. Zero switches a kind off."""

    share: Share = 0.3  # of the samples, for each kind on its own; how strongly is drawn for each of them
    resolution_loss: float = Field(default=0.7, ge=0, le=0.9)  # up to this share of the pixels a side
    blur: float = Field(default=0.02, ge=0, le=0.2)  # std of the lens's blur, up to this share of the side
    gamma: float = Field(default=1.0, ge=0, le=4)  # exponent of the values: 1 / (1 + this) to 1 + this (dark)
    tint: float = Field(default=0.15, ge=0, le=0.9)  # gains of red, green and blue, each 1 +- this
    noise: float = Field(default=0.06, ge=0, le=0.5)  # std of the sensor's, up to this share of full range
    compression: float = Field(default=0.85, ge=0, le=0.99)  # JPEG quality down to 100 * (1 - this)
    grey: Share = 0.2  # probability that the colours are lost; does not depend on `share`


class AugmentRecipe(_Section):
    """Random changes in training, the same for all frames of a sample. Zero switches a change off."""

    flip: Share = 0.5  # probability of mirroring face and body
    shift: float = Field(default=0.04, ge=0, le=0.5)  # of the crop's side
    scale: float = Field(default=0.06, ge=0, le=0.5)  # crop is scaled by 1 +- this
    rotate_degrees: float = Field(default=6.0, ge=0, le=90)
    time_jitter: Share = 0.0  # each clip is moved in time by up to +- half of this share of clip_seconds
    brightness: float = Field(default=0.15, ge=0, le=1)  # +- this share of full range is added
    contrast: float = Field(default=0.15, ge=0, le=0.9)  # factor 1 +- this about the middle
    colour: float = Field(default=0.06, ge=0, le=0.5)  # factor 1 +- this for each of red, green, blue
    erase: Share = 0.0  # probability of a grey rectangle over a part of the face
    mix: Share = 0.0  # of the samples are mixed with another one, pictures and labels
    mixup: float = Field(default=0.0, ge=0, le=10)  # a blend of both, shares from Beta(this, this); 0: none
    cutmix: float = Field(default=0.0, ge=0, le=10)  # a rectangle of the other, area likewise; 0: none
    degrade: DegradeRecipe | None = None  # stills made to look like faces in videos; none: as they are
    joint_noise: float = Field(default=0.01, ge=0, le=0.2)  # std of joint positions, of the body's height
    joint_drop: Share = 0.03  # probability that a joint is unseen for the whole sample
    body_rotate_degrees: float = Field(default=4.0, ge=0, le=90)

    @model_validator(mode="after")
    def _mix_says_how(self) -> AugmentRecipe:
        if (self.mix > 0) != (self.mixup > 0 or self.cutmix > 0):
            raise ValueError(
                f"mix is {self.mix:g}, mixup {self.mixup:g} and cutmix {self.cutmix:g}: "
                "mixing needs mix above 0, and one of mixup and cutmix"
            )
        return self


class TrainingRecipe(_Section):
    """How the model is trained."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)  # samples a step, of all processes together
    samples_per_epoch: int | None = Field(default=None, ge=1)  # none: each labelled interval once
    balanced_sampling: bool = False  # draw classes equally often
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    dimension_loss: DimensionLoss = "ccc"  # 1 - concordance over the batch, or the mean squared error
    dimension_weight: float = Field(default=1.0, gt=0)  # of that loss beside those of the classes
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = Field(gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)  # sgd
    nesterov: bool = False  # sgd
    weight_decay: float = Field(default=0.01, ge=0)
    decay_all: bool = False  # also biases and normalisations, as the published code does
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    warmup_epochs: float = Field(default=0.0, ge=0)
    step_epochs: int = Field(default=50, ge=1)  # step: every so many epochs the rate is multiplied ...
    step_gamma: float = Field(default=0.1, gt=0, le=1)  # ... by this
    grad_clip: float | None = Field(default=1.0, gt=0)  # largest gradient norm
    ema_decay: float | None = Field(default=None, gt=0, lt=1)  # a step; none: the weights as they are
    pretrained_trunk: str | None = None  # file of a 2D ResNet-18's weights, or "imagenet"
    init_from: str | None = None  # folder of a trained model, whose face trunk is taken
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"  # auto: bf16 or fp16 on a GPU, off on a CPU
    compile: bool = False  # torch.compile of trunk and body network
    val_subjects: list[str] | None = None  # none: drawn, val_fraction of the training subjects
    val_fraction: float = Field(default=0.2, gt=0, lt=1)
    monitor: Literal["val_uar", "val_loss"] = "val_uar"  # chooses the best epoch
    keep: Literal["best", "last"] = "best"  # the epoch whose weights are kept
    patience: int | None = Field(default=None, ge=1)  # epochs without a better one before stopping
    inner_folds: int = Field(default=0, ge=0)  # calibration and fusion weights are fitted on what so many
    # further models predict, each for a fold of the subjects that it has not seen; 0: on validation subjects
    checkpoint_minutes: float = Field(default=5.0, ge=0)  # between states saved within an epoch
    seed: int = Field(default=0, ge=0, lt=2**31)
    loader_workers: int = Field(default=0, ge=0)  # processes that prepare samples; 0: a thread
    augment: AugmentRecipe = AugmentRecipe()

    @model_validator(mode="after")
    def _inner_folds_are_several(self) -> TrainingRecipe:
        if self.inner_folds == 1:
            raise ValueError("inner_folds must be 0 (none) or at least 2, not 1")
        return self

    @model_validator(mode="after")
    def _the_last_epoch_is_reached(self) -> TrainingRecipe:
        if self.keep == "last" and self.patience is not None:
            raise ValueError("keep is last, so patience must be null: nothing is stopped early")
        return self


class SearchRange(_Section):
    """Where `videofer tune` looks for one key: between two numbers, or among some values."""

    low: float | None = None
    high: float | None = None
    log: bool = False  # equally probable per factor, for rates
    integer: bool = False
    values: list[bool | int | float | str] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _range_or_values(self) -> SearchRange:
        bounds = self.low is not None and self.high is not None
        if bounds == (self.values is not None) or (self.low is None) != (self.high is None):
            raise ValueError("needs either low and high, or values")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.log and (self.low is None or self.low <= 0):
            raise ValueError("log needs a low above 0")
        return self


class Recipe(_Section):
    """One experiment, complete."""

    name: str = Field(min_length=1)
    description: str = ""
    data: DataRecipe
    model: ModelRecipe
    training: TrainingRecipe
    search: dict[str, SearchRange] | None = None  # key, like "training.lr" -> range, for `videofer tune`

    @model_validator(mode="after")
    def _model_can_be_built(self) -> Recipe:
        self.emotion_model_config()
        return self

    def sample_spec(self) -> SampleSpec:
        """The shape of the samples that this recipe's model takes."""
        face, body = self.model.face, self.model.body
        return SampleSpec(
            num_clips=self.data.num_clips,
            num_frames=self.data.num_frames,
            clip_seconds=self.data.clip_seconds,
            window_seconds=self.data.window_seconds,
            sampling=self.data.sampling,
            body_length=self.data.body_length,
            num_joints=body.num_joints if body else 17,
            skeleton=self.data.skeleton,
            input_size=face.input_size if face else 112,
            use_face=face is not None,
            use_body=body is not None,
        )

    def training_spec(self) -> SampleSpec:
        """The same with what is needed to train it only: the landmarks that its face model learns."""
        face = self.model.face
        return replace(self.sample_spec(), use_landmarks=face is not None and face.landmark_weight > 0)

    def emotion_model_config(self) -> ModelConfig:
        """The configuration of `videofer.models.model.EmotionModel`."""
        model = self.model
        return ModelConfig(
            num_classes=len(self.data.classes),
            face=model.face,
            body=model.body,
            fusion=model.fusion,
            targets=self.data.targets,
            num_dimensions=len(self.data.dimensions),
        )

    def target_spec(self) -> TargetSpec:
        """What is read of a labelled interval's row."""
        data = self.data
        fusion = self.model.fusion
        return TargetSpec(
            tuple(data.classes),
            targets=data.targets,
            dimensions=tuple(data.dimensions),
            branch_labels=fusion is not None and fusion.branch_labels == "own",
        )


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe. overrides: "training.epochs=3". ConfigError is one line for the user."""
    values = read_yaml(path)
    if "members" in values:
        raise ConfigError(
            f"{path} is the recipe of an ensemble: `videofer train` takes it, nothing else does"
        )
    return validate(values, Recipe, source=str(path), overrides=overrides)
