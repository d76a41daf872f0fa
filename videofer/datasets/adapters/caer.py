"""CAER: clips of television series in folders of seven classes, and its stills, CAER-S.

    train/Anger/0001.avi, validation/Anger/..., test/Anger/...     (CAER-S: train/Angry/*.png, test/...)

Lee et al., ICCV 2019. That classes are called Anger here and Angry in CAER-S, and videos of four digits, is
from users' code; how many videos there are was not verified, so none is expected. Validation may be called
`validation` or `val`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import Finds, Official, Reading, not_this
from videofer.datasets.class_folders import add_class_folders, looks_so, split_folders
from videofer.datasets.walk import folder_matching, folders_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

WORDS = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
STILL_WORDS = ("Angry", *WORDS[1:])
_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
_PATTERN = "train|test"


@dataclass(frozen=True)
class Caer:
    """Videos, or the stills of CAER-S where a class has no videos."""

    name: ClassVar[str] = "caer"
    title: ClassVar[str] = "CAER"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official("split", None, "the set's own folders", "--protocol official")
    access: ClassVar[str] = "caer-dataset.github.io"
    licence: ClassVar[str] = "not found"

    def recognise(self, path: Path) -> str | None:
        """Folders train and test of its classes."""
        root = folder_matching(path, _PATTERN)
        for words in (WORDS, STILL_WORDS) if root else ():
            there = looks_so(root, _SPLITS, words) if root else None
            if there is not None and "test" in there.lower():
                return f"folders {there} of {words[0]}, {words[1]}, ..."
        return None

    def read(self, path: Path) -> Reading:
        """One row a clip or still."""
        root = folder_matching(path, _PATTERN)
        if root is None:
            raise not_this(path, self.title, "folders train, validation and test with Anger, Disgust, ...")
        finds = Finds(path)
        folders = split_folders(root, _SPLITS)
        has_stills = any(inner.name == STILL_WORDS[0] for folder in folders for inner in folders_of(folder))
        for folder, split in folders.items():
            add_class_folders(finds, folder, split, self.labels, STILL_WORDS if has_stills else WORDS)
        wanted = ("train", "test") if has_stills else ("train", "val", "test")
        finds.missing += [f"{split}/" for split in wanted if split not in folders.values()]
        quirks = [
            "no subjects are known: clips of one series are in several splits, as its authors have them"
        ]
        if has_stills:
            quirks.append("these are the stills of CAER-S; one face of several is meant, which no file says")
        return finds.reading(self, expected=None, quirks=quirks)
