"""MELD: utterances of the series Friends with one of seven labels; official train, dev and test.

    train_sent_emo.csv      ...,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,...,StartTime,EndTime
    train_splits/dia0_utt0.mp4, dev_splits_complete/..., output_repeated_splits_test/...

Poria et al., ACL 2019. StartTime and EndTime are times in the episode, while each video is cut to its
utterance, so rows have no interval. Users report that train's dia125_utt3 is broken, that dev's dia110_utt7
is not in the archive, and that some clips have no row. Several people are in the picture: no file says which
face speaks. Speakers are in several splits, as the authors have them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, more, not_this
from videofer.datasets.tables import csv_columns
from videofer.datasets.walk import below, below_by_name, videos_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_ROWS = {"train": 9989, "val": 1109, "test": 2610}
NUM_VIDEOS = sum(NUM_ROWS.values())
_TABLES = {"train": "train_sent_emo.csv", "val": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
_CLIPS = {
    "train": ("train_splits", "train"),
    "val": ("dev_splits_complete", "dev"),
    "test": ("output_repeated_splits_test", "test"),
}
_COLUMNS = ("Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
KNOWN_BAD = {("train", "dia125_utt3"), ("val", "dia110_utt7")}
_VIDEO = re.compile(r"dia\d+_utt\d+")


@dataclass(frozen=True)
class Meld:
    """All utterances that have a video."""

    name: ClassVar[str] = "meld"
    title: ClassVar[str] = "MELD"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official("split", None, "the set's own tables", "--protocol official")
    access: ClassVar[str] = "github.com/declare-lab/MELD"
    licence: ClassVar[str] = "not found; the series Friends is its owners'"

    def recognise(self, path: Path) -> str | None:
        """One of its tables."""
        if below_by_name(path, *(name for split in _TABLES for name in _table_names(split))) is None:
            return None
        found = [name for split, name in _TABLES.items() if _table(path, split)]
        return f"tables {', '.join(found)}"

    def read(self, path: Path) -> Reading:
        """One row an utterance. DatasetError for a table of other columns or an unknown word."""
        finds = Finds(path)
        quirks = ["StartTime and EndTime are times in the episode: rows have no interval",
                  "several people are in the picture: which of them speaks is in no file"]  # fmt: skip
        tables = {split: table for split in _TABLES if (table := _table(path, split)) is not None}
        if not tables:
            raise not_this(path, self.title, ", ".join(_TABLES.values()))
        for split, name in _TABLES.items():
            if split not in tables:
                finds.missing.append(name)
                continue
            clips = _clips(path, split)
            if clips is None:
                finds.missing.append(f"{_CLIPS[split][0]}/")
                continue
            unlisted = self._read_table(finds, tables[split], clips, split)
            if unlisted:
                quirks.append(
                    f"{clips.name}: {unlisted[0]}{more(len(unlisted) - 1)}: no row in {name}, left out"
                )
        return finds.reading(self, expected=NUM_VIDEOS, quirks=quirks)

    def _read_table(self, finds: Finds, table: Path, clips: Path, split: str) -> list[str]:
        """Adds the rows of a table; which videos have none."""
        videos = {file.stem: file for file in videos_of(clips)}
        seen: set[str] = set()
        for where, row in csv_columns(table, _COLUMNS):
            video = f"dia{row['Dialogue_ID'].strip()}_utt{row['Utterance_ID'].strip()}"
            label = label_of(self.labels, row["Emotion"], where)
            if video in seen:
                raise DatasetError(f"{where}: {video} stands twice")
            seen.add(video)
            if video not in videos:
                finds.missing.append(f"{finds.name(clips)}/{video}.mp4")
                continue
            if (split, video) in KNOWN_BAD:
                finds.doubt(videos[video], "kept, but users report that it is broken")
            finds.add(
                videos[video],
                label=label,
                split=split,
                who=row["Speaker"].strip(),
                dialogue=row["Dialogue_ID"].strip(),
                sentiment=row.get("Sentiment") or None,
            )
        return [video for video in videos if video not in seen and _VIDEO.fullmatch(video)]


def _table(path: Path, split: str) -> Path | None:
    found = below_by_name(path, *_table_names(split))
    return found[0] / found[1] if found is not None else None


def _table_names(split: str) -> tuple[str, str]:
    return _TABLES[split], f"{_CLIPS[split][1]}/{_TABLES[split]}"


def _clips(path: Path, split: str) -> Path | None:
    special, plain = _CLIPS[split]
    names = (special, f"{plain}/{special}", f"videos/{plain}", plain)
    root = below(path, *names)
    return next((root / name for name in names if videos_of(root / name)), None) if root is not None else None
