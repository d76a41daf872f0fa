"""Figures of a run for programs that show runs: TensorBoard always, Weights & Biases where it is wanted."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from videofer.recipe import Recipe
from videofer.training.split import TrainingError
from videofer.training.state import STATE_DIR

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Trackers:
    """Takes the figures of each epoch. In the first process only."""

    def __init__(self, out: Path, recipe: Recipe, epoch: int, wandb: str | None) -> None:
        """epoch: how many were trained before. wandb: its project; None: not wanted."""
        self._tensorboard = _open_tensorboard(out, epoch)
        self._wandb = None if wandb is None else _open_wandb(out, recipe, wandb)

    def log(self, figures: Mapping[str, float], epoch: int) -> None:
        """epoch: counts from 1."""
        for name, value in figures.items():
            self._tensorboard.add_scalar(name, value, epoch)  # type: ignore[no-untyped-call]
        self._tensorboard.flush()  # type: ignore[no-untyped-call]
        if self._wandb is not None:
            self._wandb.log(dict(figures), step=epoch)

    def close(self) -> None:
        """Ends the run there."""
        self._tensorboard.close()  # type: ignore[no-untyped-call]
        if self._wandb is not None:
            self._wandb.finish()


def check_wandb(project: str | None) -> None:
    """TrainingError where Weights & Biases is wanted and not installed."""
    if project is not None and importlib.util.find_spec("wandb") is None:
        raise TrainingError(f"to send figures to the project {project!r}, install wandb: pip install wandb")


def _open_tensorboard(out: Path, epoch: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    # After a resume, what a killed run has written of later epochs is void.
    return SummaryWriter(str(out / "tensorboard"), purge_step=epoch + 1 if epoch else None)  # type: ignore[no-untyped-call]


def _open_wandb(out: Path, recipe: Recipe, project: str) -> Any:
    """A resumed run goes on as the same one. Offline where WANDB_MODE or VIDEOFER_OFFLINE say so."""
    import wandb  # type: ignore[import-not-found]

    id_file = out / STATE_DIR / "wandb_id"
    id_file.parent.mkdir(parents=True, exist_ok=True)
    if not id_file.is_file():
        id_file.write_text(uuid4().hex[:8], encoding="utf-8")
    offline = os.environ.get("VIDEOFER_OFFLINE", "0") not in ("", "0")
    try:
        return wandb.init(
            project=project,
            name=recipe.name,
            id=id_file.read_text(encoding="utf-8"),
            resume="allow",
            dir=str(out / STATE_DIR),
            config=recipe.model_dump(mode="json"),
            mode="offline" if offline else None,
        )
    except wandb.Error as error:  # not logged in, not reachable
        reason = " ".join(str(error).split())
        raise TrainingError(f"wandb: {reason} (or set WANDB_MODE=offline)") from error
