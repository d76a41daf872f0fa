"""One trial of a search, and what is said when it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from videofer.experiments.search import Values
from videofer.training.progress import clock

Monitor = Literal["val_uar", "val_loss"]
FIGURES = ("val_uar", "val_war", "val_loss")
Figures = Mapping[str, float]
"""FIGURES after an epoch."""


@dataclass
class Trial:
    """One set of values, and what came of it."""

    number: int  # counts from 1
    values: Values  # {}: the recipe as it stands
    keep: Literal["best", "last"] = "best"  # the epoch that the run keeps, as its recipe says
    history: list[Figures] = field(default_factory=list)  # of each epoch
    status: Literal["waiting", "finished", "stopped", "failed"] = "waiting"  # stopped: it fell behind
    completed: bool = False  # its training came to an end by itself
    seconds: float = 0.0
    reason: str | None = None  # why it failed

    def kept_epoch(self, monitor: Monitor) -> int:
        """The epoch whose weights the run keeps, counted from 0: a trial is judged by this one."""
        if self.keep == "last":
            return len(self.history) - 1
        return max(range(len(self.history)), key=lambda n: (*rank_of(self.history[n], monitor), -n))

    def kept(self, monitor: Monitor) -> Figures:
        """The figures of the kept epoch."""
        return self.history[self.kept_epoch(monitor)]


def rank_of(figures: Figures, monitor: Monitor) -> tuple[float, float]:
    """Larger is better. On a few dozen validation intervals equal recalls are common: the loss decides."""
    if monitor == "val_loss":
        return -figures["val_loss"], figures["val_uar"]
    return figures["val_uar"], -figures["val_loss"]


def best_trial(trials: Sequence[Trial], monitor: Monitor) -> Trial | None:
    """Of those that did not fail; the first of equals."""
    usable = [trial for trial in trials if trial.history and trial.status != "failed"]
    if not usable:
        return None
    return max(usable, key=lambda trial: (*rank_of(trial.kept(monitor), monitor), -trial.number))


def trials_table(trials: Sequence[Trial], keys: Sequence[str], monitor: Monitor) -> pd.DataFrame:
    """A row per trial. A key that the trial leaves as it stands in the recipe is empty."""
    rows = []
    for trial in trials:
        figures = trial.kept(monitor) if trial.history else {}
        rows.append(
            {
                "trial": trial.number,
                "status": trial.status,
                "epochs": len(trial.history),
                "kept_epoch": trial.kept_epoch(monitor) + 1 if trial.history else None,
                **{name: figures.get(name) for name in FIGURES},
                "seconds": round(trial.seconds, 1),
                **{key: trial.values.get(key) for key in keys},
                "reason": trial.reason,
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """A trial has ended."""

    trial: Trial
    best: Trial | None  # of all so far
    monitor: Monitor
    num_done: int
    num_trials: int
    eta_seconds: float


TrialProgress = Callable[[TrialEvent], None]


def trial_line(event: TrialEvent) -> str:
    """One line without a newline."""
    trial, monitor = event.trial, event.monitor
    width = len(str(event.num_trials))
    parts = [f"{event.num_done:{width}d}/{event.num_trials}  trial {trial.number}"]
    if trial.status == "failed":
        parts.append(f"FAILED: {trial.reason}")
    else:
        epochs = f"{len(trial.history)} epochs{', stopped' if trial.status == 'stopped' else ''}"
        parts.append(f"{monitor} {trial.kept(monitor)[monitor]:.3f}  {epochs}")
        parts.append("  ".join(f"{key} {value}" for key, value in trial.values.items()) or "as it stands")
    if event.best is not None:
        parts.append(f"best {event.best.kept(monitor)[monitor]:.3f} (trial {event.best.number})")
    parts.append(f"{clock(event.eta_seconds)} left")
    return "  ".join(parts)


def print_trial(event: TrialEvent) -> None:
    """Prints the line on stderr."""
    print(trial_line(event), file=sys.stderr, flush=True)


class Follower:
    """Keeps what the trials report, and says when one ends."""

    def __init__(self, trials: Sequence[Trial], monitor: Monitor, progress: TrialProgress) -> None:
        self.trials, self.monitor, self.progress = trials, monitor, progress
        self.began = time.monotonic()

    def result(self, number: int, result: Mapping[str, Any]) -> None:
        """An epoch of a trial, its end, or the error that ended it. Ray repeats the last one."""
        trial = self.trials[number - 1]
        trial.seconds = result["time_total_s"]
        if "reason" in result:
            trial.status, trial.reason = "failed", result["reason"]
            return
        trial.completed = result["completed"]
        if result["epoch"] == len(trial.history):
            trial.history.append({name: result[name] for name in FIGURES})

    def end(self, number: int, *, reason: str | None = None) -> None:
        """A trial ends. reason: why, if it was an error that it could not report."""
        trial = self.trials[number - 1]
        if trial.status != "failed":
            trial.status = "finished" if trial.completed else "stopped"
        if reason is not None:
            trial.status, trial.reason = "failed", trial.reason or reason
        num_done = sum(trial.status != "waiting" for trial in self.trials)
        elapsed = time.monotonic() - self.began
        self.progress(
            TrialEvent(
                trial=trial,
                best=best_trial(self.trials, self.monitor),
                monitor=self.monitor,
                num_done=num_done,
                num_trials=len(self.trials),
                eta_seconds=elapsed / num_done * (len(self.trials) - num_done),
            )
        )
