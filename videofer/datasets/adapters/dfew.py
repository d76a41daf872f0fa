"""DFEW: 11,697 clips of films with one of seven labels, five official folds.

    EmoLabel_DataSplit/train(single-labeled)/set_1.csv     header video_name,label; ids without their zeros
    Clip/original/1.mp4, Clip/clip_224x224/00001/*.jpg, Clip/jpg_256/00001/*.jpg

Jiang et al., ACM MM 2020. Codes count from 1. Ids are padded to five digits again, as tables drop the
zeros. The lists' files may be called train_set_1.csv too, or single_trainset_1.csv in the release
`data_affine`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of_code, not_this
from videofer.datasets.fold_lists import Labels, combine
from videofer.datasets.tables import csv_rows
from videofer.datasets.walk import below_by_name, files_of, folders_of, videos_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_VIDEOS = 11_697
NUM_FOLDS = 5
CODES = ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear")  # from 1
_LISTS = {
    "train": ("train(single-labeled)/set_{}.csv", "train(single-labeled)/train_set_{}.csv",
              "single_trainset_{}.csv"),
    "test": ("test(single-labeled)/set_{}.csv", "test(single-labeled)/test_set_{}.csv",
             "single_testset_{}.csv"),
}  # fmt: skip
_CLIPS = (
    "Clip/original",
    "Clip/clip_224x224_avi",
    "Clip/clip_224x224",
    "Clip/jpg_256",
    "Clip/clip_224x224_16f",
    "data_affine/single_label/data",
)
_LAYOUT = "folders EmoLabel_DataSplit and Clip"


@dataclass(frozen=True)
class Dfew:
    """The single-labelled clips, from the first form of them that is there: originals, then pictures."""

    name: ClassVar[str] = "dfew"
    title: ClassVar[str] = "DFEW"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official("folds", NUM_FOLDS, "the set's own lists", "--protocol official")
    access: ClassVar[str] = "dfew-dataset.github.io, by e-mail from an address at a university"
    licence: ClassVar[str] = "for non-commercial research, not to be passed on"

    def recognise(self, path: Path) -> str | None:
        """The folder of lists, by its name, or those of the other release."""
        lists = _lists(path)
        return f"lists of folds in {lists.name}" if lists is not None else None

    def read(self, path: Path) -> Reading:
        """One row a clip. DatasetError for lists or codes of another release."""
        lists = _lists(path)
        if lists is None:
            raise not_this(path, self.title, _LAYOUT)
        train, test = (
            {fold: _read_list(file) for fold in range(1, NUM_FOLDS + 1) if (file := _file(lists, side, fold))}
            for side in ("train", "test")
        )
        names = {fold: f"train and test set_{fold}.csv" for fold in range(1, NUM_FOLDS + 1)}
        folds = combine(train, test, self.official, names)
        found = below_by_name(path, *_CLIPS)
        if found is None:
            raise DatasetError(f"{path}: DFEW without its clips: expected one of {', '.join(_CLIPS)}")
        place = found[0] / found[1]
        finds = Finds(path, missing=list(folds.missing))
        clips = {f"{int(c.stem):05}": c for c in _clips(place) if re.fullmatch(r"\d{1,9}", c.stem, re.ASCII)}
        for video, member in sorted(folds.members.items()):
            if video in clips:
                finds.add(clips[video], label=member.label, fold=member.fold, split=member.split)
            else:
                finds.missing.append(f"{finds.name(place)}/{video}")
        quirks = [
            f"clips from {finds.name(place)}",
            "no subjects are known: who is in several clips is not",
            *folds.notes,
        ]
        return finds.reading(self, expected=NUM_VIDEOS, quirks=quirks, official=folds.official)


def _lists(path: Path) -> Path | None:
    """The folder of lists: that of the set, or whatever holds lists of one of their names."""
    folder_of = {"EmoLabel_DataSplit": "EmoLabel_DataSplit"}
    for form in (*_LISTS["train"], *_LISTS["test"]):
        for folder in ("", "label/", "data_affine/single_label/label/"):
            folder_of[folder + form.format(1)] = folder
    found = below_by_name(path, *folder_of)
    return found[0] / folder_of[found[1]] if found is not None else None


def _file(lists: Path, side: str, fold: int) -> Path | None:
    found = (lists / form.format(fold) for form in _LISTS[side])
    return next((file for file in found if file.is_file()), None)


def _read_list(file: Path) -> Labels:
    """Label by padded id. DatasetError where a row is not an id and a code."""
    of: dict[str, str] = {}
    for place, (where, cells) in enumerate(csv_rows(file)):
        if place == 0 and [cell.strip() for cell in cells] == ["video_name", "label"]:
            continue
        if len(cells) != 2 or not re.fullmatch(r"\s*\d{1,9}\s*", cells[0], re.ASCII):
            raise DatasetError(f"{where}: expected video_name,label, not {','.join(cells)[:60]!r}")
        of[f"{int(cells[0]):05}"] = label_of_code(CODES, cells[1], where, first=1)
    return Labels(file, of)


def _clips(place: Path) -> list[Path]:
    return videos_of(place) or [folder for folder in folders_of(place) if files_of(folder)]
