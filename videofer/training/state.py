"""The training state on disk, from which a killed run goes on as if nothing had happened.

It is written whole after every epoch, and within long epochs every `training.checkpoint_minutes`. There is no
random state in it: every step seeds its generators from (seed, epoch, batch, process), and samples have seeds
of their own, so a step does not depend on how the run came to it.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cache.atomic import atomic_write
from preprocessing.config_file import dump_yaml
from videofer.recipe import Recipe
from videofer.training.split import TrainingError

STATE_DIR = "state"
_VERSION = 2


@dataclass
class State:
    """Where a run stands: after `epoch` whole epochs and `batch` batches of the next one."""

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)  # of each figure, over the batches of this epoch
    epoch_seconds: float = 0.0  # spent in this epoch so far ...
    waiting_seconds: float = 0.0  # ... and of them waiting for batches
    learner: dict[str, Any] = field(default_factory=dict)  # see `Learner.state_dict`
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # weights of the epoch to be kept, so far
    history: list[dict[str, float]] = field(default_factory=list)  # figures of each epoch
    num_processes: int = 1
    threads: int = 0  # of each process, 0: not chosen yet; other sums come out with another number
    seconds: float = 0.0  # spent in whole epochs, over all resumptions

    @property
    def has_begun(self) -> bool:
        """Whether anything has been trained yet."""
        return self.epoch > 0 or self.batch > 0


def save_state(out: Path, state: State, *, recipe: Recipe, fingerprint: str) -> None:
    """Replaces RUN/state/last.pt."""
    (out / STATE_DIR).mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    made_for = {"recipe": dump_yaml(recipe), "fingerprint": fingerprint}
    torch.save({"version": _VERSION, "made_for": made_for, **vars(state)}, buffer)
    with atomic_write(_path(out)) as file:
        file.write(buffer.getbuffer())


def load_state(out: Path, *, recipe: Recipe, fingerprint: str) -> State | None:
    """The state of a run, None where it has not saved any.

    TrainingError where it was made by another recipe or other data: to go on would give a model that no
    single recipe describes.
    """
    path = _path(out)
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        version, made_for = values.pop("version"), values.pop("made_for")
    except (RuntimeError, pickle.UnpicklingError, KeyError, EOFError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingError(f"{path} cannot be read: {reason}") from None
    if version != _VERSION:
        raise TrainingError(
            f"{path} is of version {version}, this program writes {_VERSION}: begin a new run"
        )
    if made_for["recipe"] != dump_yaml(recipe):
        pairs = zip(made_for["recipe"].splitlines(), dump_yaml(recipe).splitlines(), strict=False)
        was, now = next(((a, b) for a, b in pairs if a != b), ("shorter or longer", "as given"))
        raise TrainingError(
            f"cannot resume {out}: it was begun with another recipe ('{was.strip()}', now '{now.strip()}')"
        )
    if made_for["fingerprint"] != fingerprint:
        raise TrainingError(f"cannot resume {out}: the labelled intervals in store or manifest have changed")
    return State(**values)


def has_state(out: Path) -> bool:
    """Whether there is a run to resume."""
    return _path(out).is_file()


def seed_step(seed: int, epoch: int, batch: int, rank: int) -> None:
    """Seeds torch for one step of one process; the data set and the samples seed themselves."""
    seeds = np.random.SeedSequence([seed, epoch, batch, rank]).generate_state(1, np.uint32)
    torch.manual_seed(int(seeds[0]))


def _path(out: Path) -> Path:
    return out / STATE_DIR / "last.pt"
