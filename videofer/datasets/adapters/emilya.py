"""Emilya: acted everyday actions as motion-captured joints in Excel workbooks, eight emotions.

    one workbook a take; its third sheet: a header, then a row a frame, x, y, z of 28 joints

Fourati and Pelachaud, LREC 2014. This is what FER_BGER reads. Not found: how files and folders are called,
the joints' names and order, the rate, the units, which way y points, who acts in which take. So the emotion
is taken from the nearest folder or word of the name that is one, the action from its code (BS, KD, Lf, MB,
SD, SW, Th, WH); other names need `pattern`, a regular expression over the path with groups `emotion` and
perhaps `subject` and `action`. Joints become inputs where `joints_to` names a folder for them, with their
rate `fps`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, not_this
from videofer.datasets.joints import write_joints
from videofer.datasets.walk import FEW, files_below
from videofer.datasets.workbook import read_sheet
from videofer.emotions import plain
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_JOINTS = 28
SHEET = 2  # from 0
ACTIONS = ("BS", "KD", "Lf", "MB", "SD", "SW", "Th", "WH")
WORDS = ("Anger", "Anxiety", "Joy", "Neutral", "Panic Fear", "Pride", "Sadness", "Shame")
_SUFFIXES = (".xlsx", ".xls")
_LAYOUT = "workbooks (.xlsx) below folders called like emotions, or a pattern"


@dataclass(frozen=True)
class Emilya:
    """pattern: over the path; joints_to: a folder for the joints as inputs; fps: their rate."""

    name: ClassVar[str] = "emilya"
    title: ClassVar[str] = "Emilya"
    labels: ClassVar[LabelSet] = LABEL_SETS["emilya8"]
    official: ClassVar[Official] = Official(
        "none", None, "none found; FER_BGER tests every tenth take, whoever acts", "--protocol kfold"
    )
    access: ClassVar[str] = "the authors (Fourati and Pelachaud); no page to ask at was found"
    licence: ClassVar[str] = "not found"

    pattern: str = ""
    joints_to: str = ""
    fps: float = 0.0

    def recognise(self, path: Path) -> str | None:
        """Workbooks below folders with names of its emotions."""
        words = {_word(part) for file in _workbooks(path, FEW) for part in _parts(path, file)}
        return f"workbooks called {', '.join(sorted(words - {''}))}" if len(words - {""}) > 1 else None

    def read(self, path: Path) -> Reading:
        """One row a take. DatasetError for a path without an emotion, WorkbookError for another sheet."""
        files = _workbooks(path)
        if not files:
            raise not_this(path, self.title, _LAYOUT)
        if self.joints_to and not 0 < self.fps < math.inf:
            raise DatasetError("Emilya's rate was not found: give fps with joints_to, as --set fps=N")
        finds = Finds(Path(self.joints_to) if self.joints_to else path)
        for file in files:
            inside = file.relative_to(path)
            emotion, subject, action = self._names(path, file)
            label = label_of(self.labels, emotion, file)
            made = file
            if self.joints_to:
                joints = _joints(file)
                made = write_joints(
                    finds.root, inside.with_suffix("").as_posix(), joints, "emilya28", self.fps
                )
            finds.add(made, label=label, subject=subject, action=action)
        quirks = [
            "28 joints whose names and order were not found: no mirroring, no other layout",
            "x and y are kept in the set's units; which way y points was not found",
            "joy is happiness here, panic fear is fear",
        ]
        if not self.joints_to:
            quirks.append("workbooks are no inputs: --set joints_to=FOLDER --set fps=N makes .keypoints.npz")
        return finds.reading(self, expected=None, quirks=quirks)

    def _names(self, root: Path, file: Path) -> tuple[str, str | None, str | None]:
        """Emotion, subject and action of a take. DatasetError where no emotion is found."""
        if self.pattern:
            match = _compiled(self.pattern).search(file.relative_to(root).as_posix())
            groups = match.groupdict() if match is not None else {}
            if not groups.get("emotion"):
                raise DatasetError(f"{file}: the pattern {self.pattern!r} finds no emotion in its path")
            return groups["emotion"], groups.get("subject"), groups.get("action")
        parts = _parts(root, file)
        emotion = next((part for part in parts if _word(part)), None)
        if emotion is None:
            raise DatasetError(
                f"{file}: expected a folder or word of the name called like {', '.join(WORDS)}"
            )
        return emotion, None, next((part for part in parts if part in ACTIONS), None)


def _compiled(pattern: str) -> re.Pattern[str]:
    """DatasetError where it is no regular expression."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DatasetError(f"the pattern {pattern!r} is no regular expression: {error}") from None


def _workbooks(path: Path, max_folders: int | None = None) -> list[Path]:
    """Without those that Excel leaves beside an open one."""
    found = files_below(path, _SUFFIXES, max_folders)
    return [file for file in found if not file.name.startswith("~")]


def _parts(root: Path, file: Path) -> list[str]:
    """Words of the name, then folders, the innermost first."""
    inside = file.relative_to(root)
    return [inside.stem, *re.split(r"[_ .-]+", inside.stem), *reversed(inside.parent.parts)]


def _word(part: str) -> str:
    """The emotion that a part of a path is by the set's own words, "" where it is none."""
    return next((word for word in WORDS if plain(word) == plain(part)), "")


def _joints(file: Path) -> np.ndarray:
    """(T, 1, 28, 3) float: x, y, and score 1 where the sheet has numbers. DatasetError for another sheet."""
    rows = read_sheet(file, SHEET)[1:]
    rows = [row for row in rows if not all(np.isnan(row))]
    if not rows:
        raise DatasetError(f"{file}: its third sheet has no rows of joints")
    for number, row in enumerate(rows, start=2):
        if len(row) != 3 * NUM_JOINTS:
            raise DatasetError(
                f"{file}, row {number}: expected x, y, z of {NUM_JOINTS} joints, not {len(row)} cells"
            )
    xyz = np.array(rows, np.float64).reshape(len(rows), 1, NUM_JOINTS, 3)
    seen = np.isfinite(xyz[..., 0]) & np.isfinite(xyz[..., 1])
    joints = np.concatenate([xyz[..., :2], seen[..., None]], axis=-1)
    joints[~seen] = 0
    return joints
