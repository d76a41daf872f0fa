"""Which runs were trained on videos: found by the keys that each run folder names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache.errors import StoreError

TRAINED_ON, METRICS = "trained_on.json", "metrics.json"
_NOT_RUNS = {"state", "tensorboard", "shards", "commits"}


@dataclass(frozen=True)
class RunUse:
    """A run that saw some of the videos."""

    path: Path
    num_train: int  # of these videos, how many its weights were fitted to
    num_val: int  # and on how many its epoch or calibration was chosen
    num_all: int  # videos that it saw at all

    def __str__(self) -> str:
        parts = [f"{self.num_train} to train"] * bool(self.num_train) + [
            f"{self.num_val} to validate"
        ] * bool(self.num_val)
        return f"{self.path}: {' and '.join(parts)}, of {self.num_all} videos"


def runs_that_saw(folders: Sequence[Path], is_wanted: Callable[[str], bool]) -> list[RunUse]:
    """Run folders below `folders` that saw a video whose key is wanted. StoreError where none is."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise StoreError(f"{folder} is not a folder: --runs takes folders that hold runs")
        for path, keys in _runs(folder):
            hits = {part: sum(map(is_wanted, keys.get(part, []))) for part in ("train", "val")}
            if any(hits.values()):
                num_all = len({key for part in keys.values() for key in part})
                found.append(RunUse(path, hits["train"], hits["val"], num_all))
    return found


def _runs(folder: Path) -> Iterator[tuple[Path, dict[str, list[str]]]]:
    """Every run folder with its keys, also the unfinished and the folds of a cross-validation."""
    for path in [folder, *sorted(_folders(folder))]:
        keys = _keys(path / TRAINED_ON) or _keys(path / METRICS)
        if keys is not None:
            yield path, keys


def _folders(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name not in _NOT_RUNS:
            yield path
            yield from _folders(path)


def _keys(path: Path) -> dict[str, list[str]] | None:
    """Keys by part, None where the file is not there or of something else."""
    try:
        content: Any = json.loads(path.read_bytes())
        used = content.get("used", content) if isinstance(content, dict) else {}
        keys = used["keys"]
        return {str(part): [str(key) for key in members] for part, members in keys.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
