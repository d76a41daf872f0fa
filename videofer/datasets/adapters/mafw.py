"""MAFW: 10,045 clips, eleven single classes and 32 compound ones, five official folds.

    Train & Test Set/single/no_caption/set_1/train.txt      lines `00025.mp4 anger`
    data/clips/00025.mp4, or data/frames/00025/*

Liu et al., ACM MM 2022. The folder of lists is called `split` or `train_test_set` in some copies. Lists with
captions are separated by tabs and not clean UTF-8; they are read where those without are not there. Compound
labels are joined by underscores, `sadness_surprise`: here soft labels, an equal share each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from preprocessing.discover import VIDEO_SUFFIXES
from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, not_this
from videofer.datasets.fold_lists import Labels, combine
from videofer.datasets.tables import text_lines
from videofer.datasets.walk import below_by_name, folders_of, videos_below
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_FOLDS = 5
NUM_SINGLE = 9172  # 7,333 and 1,839 of a fold; some lists have one less of each
_SPLITS = ("Train & Test Set", "split", "train_test_set", "Train_Test_Set")
_LAYOUT = "lists like 'Train & Test Set/single/no_caption/set_1/train.txt' and clips in data/clips"


@dataclass(frozen=True)
class Mafw:
    """kind: the clips with one label of eleven, or the task that has compound ones as well."""

    name: ClassVar[str] = "mafw"
    title: ClassVar[str] = "MAFW"
    labels: ClassVar[LabelSet] = LABEL_SETS["mafw11"]
    official: ClassVar[Official] = Official("folds", NUM_FOLDS, "the set's own lists", "--protocol official")
    access: ClassVar[str] = "mafw-database.github.io/MAFW, with a signed form, for universities"
    licence: ClassVar[str] = "for non-commercial research, not to be passed on"

    kind: Literal["single", "compound"] = "single"

    def recognise(self, path: Path) -> str | None:
        """The folder of lists."""
        lists = _lists(path, self.kind)
        return f"lists of folds in {lists.parent.name}/{lists.name}" if lists else None

    def read(self, path: Path) -> Reading:
        """One row a clip of the lists. DatasetError for a list of another form or an unknown word."""
        lists = _lists(path, self.kind)
        if lists is None:
            raise not_this(path, self.title, _LAYOUT)
        train, test = (
            {
                fold: _read_list(file)
                for fold in range(1, NUM_FOLDS + 1)
                if (file := _file(lists, fold, side)) is not None
            }
            for side in ("train", "test")
        )
        names = {fold: f"{lists.name}/set_{fold}" for fold in range(1, NUM_FOLDS + 1)}
        folds = combine(train, test, self.official, names)
        clips = _clips(path)
        finds = Finds(path, missing=list(folds.missing))
        for video, member in sorted(folds.members.items()):
            if video in clips:
                target = self._target(member.label)
                finds.add(clips[video], fold=member.fold, split=member.split, **target)
            else:
                finds.missing.append(video)
        quirks = ["no subjects are known", *folds.notes]
        if self.kind == "compound":
            quirks.append(
                "compound labels are soft ones, an equal share for each part; `compound` has the word"
            )
        expected = NUM_SINGLE if self.kind == "single" else None
        return finds.reading(self, expected=expected, quirks=quirks, official=folds.official)

    def _target(self, label: str) -> dict[str, Any]:
        if self.kind == "single":
            return {"label": label}
        parts = label.split("_")
        shares = {f"p_{name}": float(name in parts) / len(parts) for name in self.labels.classes}
        return {"label": label if len(parts) == 1 else None, "compound": label, **shares}


def _lists(path: Path, kind: str) -> Path | None:
    found = below_by_name(path, *(f"{name}/{kind}" for name in _SPLITS))
    return found[0] / found[1] if found is not None else None


def _file(lists: Path, fold: int, side: str) -> Path | None:
    found = (lists / form / f"set_{fold}" / f"{side}.txt" for form in ("no_caption", "with_caption"))
    return next((file for file in found if file.is_file()), None)


def _read_list(file: Path) -> Labels:
    """Label by the clip's stem. DatasetError where a line is not a clip and a word."""
    of = {}
    for where, line in text_lines(file):
        match = re.match(r"(\d+)\.(?:mp4|avi)[\t ]+([A-Za-z_]+)(?:[\t ]|$)", line)
        if match is None:
            raise DatasetError(f"{where}: expected a line like `00025.mp4 anger`, not {line.strip()[:60]!r}")
        parts = [label_of(Mafw.labels, word, where) for word in match[2].split("_")]
        of[match[1]] = "_".join(sorted(parts, key=Mafw.labels.classes.index))
    return Labels(file, of)


def _clips(path: Path) -> dict[str, Path]:
    """Clip by stem: videos, else folders of frames."""
    videos = {file.stem: file for file in videos_below(path) if file.suffix.lower() in VIDEO_SUFFIXES}
    if videos:
        return videos
    found = below_by_name(path, "data/frames", "frames")
    return {folder.name: folder for folder in folders_of(found[0] / found[1])} if found is not None else {}
