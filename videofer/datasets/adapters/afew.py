"""AFEW in the layout of EmotiW: film clips in folders of seven classes, training and validation.

    Train/Angry/000046280.avi, Val/Angry/...

Dhall et al., EmotiW 2016 and 2017. The labels of the test set were never given out, so papers train on Train
and report on Val: here Val is the test split, and validation is carved from Train.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import Finds, Official, Reading, not_this
from videofer.datasets.class_folders import add_class_folders, looks_so, split_folders
from videofer.datasets.walk import folder_matching
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

WORDS = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
COUNTS = {
    "train": dict(zip(_NAMES, (133, 74, 81, 150, 144, 117, 74), strict=True)),
    "test": dict(zip(_NAMES, (64, 40, 46, 63, 63, 61, 46), strict=True)),
}
_SPLITS = {"train": "train", "val": "test"}
_VIDEO = re.compile(r"\d{9}")


@dataclass(frozen=True)
class Afew:
    """Training and validation clips."""

    name: ClassVar[str] = "afew"
    title: ClassVar[str] = "AFEW"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official(
        "split", None, "EmotiW's two folders, Val for the test", "--protocol official"
    )
    access: ClassVar[str] = "the organisers of EmotiW, by e-mail"
    licence: ClassVar[str] = "not found"

    def recognise(self, path: Path) -> str | None:
        """Folders Train and Val of its classes, with videos of nine digits."""
        root = folder_matching(path, "train|val")
        there = looks_so(root, _SPLITS, WORDS) if root else None
        if root is None or there is None:
            return None
        videos = root.glob("*/*/*.avi")
        is_named = any(_VIDEO.fullmatch(video.stem) for _, video in zip(range(50), videos, strict=False))
        return f"folders {there} of seven classes with videos of nine digits" if is_named else None

    def read(self, path: Path) -> Reading:
        """One row a clip."""
        root = folder_matching(path, "train|val")
        if root is None:
            raise not_this(path, self.title, "folders Train and Val with Angry, Disgust, ...")
        finds = Finds(path)
        folders = split_folders(root, _SPLITS)
        for folder, split in folders.items():
            add_class_folders(finds, folder, split, self.labels, WORDS, COUNTS[split])
        finds.missing += [f"{name.title()}/" for name in _SPLITS if _SPLITS[name] not in folders.values()]
        for row in finds.rows:
            if not _VIDEO.fullmatch(Path(row["name"]).stem):
                finds.doubt(path / row["name"], "kept, but its name is not of nine digits")
        total = {name: COUNTS["train"][name] + COUNTS["test"][name] for name in _NAMES}
        return finds.reading(
            self,
            expected=sum(total.values()),
            expected_by_label=total,
            quirks=("Val is the test split, as the labels of Test are not public", "no subjects are known"),
        )
