"""What is trained, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from videofer.evaluation.predict import WindowOutputs
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe
from videofer.training.split import Prepared, Split


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained, the same for every process. Picklable."""

    recipe: Recipe
    store: Path
    out: Path
    prepared: Prepared
    resume: bool  # go on from the state in `out`, if there is one
    threads: int | None = None  # of each process; none: measured
    wandb: str | None = None  # project of Weights & Biases
    command: tuple[str, ...] = ()  # of the program that began the run, for its environment.json

    @property
    def split(self) -> Split:
        """The labelled intervals."""
        return self.prepared.split


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What training leaves in every process."""

    model: EmotionModel  # with the weights of the epoch that is kept, in eval mode
    history: list[dict[str, float]]  # figures of each epoch
    kept_epoch: int  # counts from 0
    seconds: float
    threads: int  # of each process
    val: WindowOutputs  # the kept epoch's outputs on the validation windows
