"""GEMEP: ten actors portray affective states with the whole body; performer and emotion are in the names.

    01amusement_GEMEP.mp4, or a folder of frames 01amusement_GEMEP/
    all_face_label.csv, all_body_label.csv: a header, then `GEMEP/frame/01amusement_GEMEP.mp4,amusement`

Baenziger, Mortillaro and Scherer, Emotion 12(5), 2012. This is the layout of the hybrid face-and-body system
of the literature (github.com/bernie6401/NTUST_Special_Topic): the first two characters are the performer. How
the files are called as the set is given out was not found: for other names give `pattern`, a regular
expression with groups `performer` and `emotion`. The core set has 145 portrayals of 17 states: ten of each of
twelve, five of each of the others. `videofer datasets acted` makes a synthetic set in this layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, label_of, not_this
from videofer.datasets.tables import csv_rows
from videofer.datasets.walk import FEW, files_below, folders_of, pictures_of, videos_below
from videofer.emotions.label_sets import LABEL_SETS, LabelSet
from videofer.synthetic.acted_states import MARKER

NUM_VIDEOS = 145
NUM_PERFORMERS = 10
PATTERN = r"(?P<performer>\d{2})[ _-]?(?P<emotion>[A-Za-z][A-Za-z ]*?)(?:[ _-]?\d*)[ _-]GEMEP"
_TABLES = ("all_face_label.csv", "all_body_label.csv")
_TEN = LABEL_SETS["gemep12"].classes
COUNTS = {name: 10 if name in _TEN else 5 for name in LABEL_SETS["gemep17"].classes}
_LAYOUT = "videos or folders of frames like 01amusement_GEMEP (other names: give a pattern)"


@dataclass(frozen=True)
class Gemep:
    """pattern: how the files are called, a regular expression with groups `performer` and `emotion`."""

    name: ClassVar[str] = "gemep"
    title: ClassVar[str] = "GEMEP"
    labels: ClassVar[LabelSet] = LABEL_SETS["gemep18"]
    official: ClassVar[Official] = Official(
        "none", NUM_PERFORMERS, "the literature: a performer left out in turn", "--protocol lopo"
    )
    access: ClassVar[str] = "CISA, University of Geneva (unige.ch/cisa/gemep), on request"
    licence: ClassVar[str] = "for research, free; no text of it found"

    pattern: str = PATTERN

    def recognise(self, path: Path) -> str | None:
        """A video or folder named so."""
        name = re.compile(self.pattern, re.IGNORECASE)
        first = next((place for place in _portrayals(path, FEW) if name.fullmatch(place.stem)), None)
        return f"{first.name} is named as its portrayals are" if first is not None else None

    def read(self, path: Path) -> Reading:
        """One row a portrayal. DatasetError where none is named so, or a table says another emotion."""
        name = _compiled(self.pattern)
        finds = Finds(path)
        said = _tables(path)
        labels = LABEL_SETS["gemep17"]
        for place in _portrayals(path):
            match = name.fullmatch(place.stem)
            if match is None or not match["performer"] or not match["emotion"]:
                finds.doubt(place, "the name tells no performer and emotion")
                continue
            label = label_of(self.labels, match["emotion"], place)
            if label not in labels.classes:
                labels = self.labels
            by_table = said.get(place.stem.lower())
            if by_table is not None and label_of(self.labels, by_table[0], by_table[1]) != label:
                raise DatasetError(f"{by_table[1]}: {place.stem} is {by_table[0]}, but its name says {label}")
            performer = match["performer"]
            if performer.lstrip("0") not in map(str, range(1, NUM_PERFORMERS + 1)):
                finds.doubt(place, f"kept, but performer {performer} is none of 01 to {NUM_PERFORMERS}")
            finds.add(place, label=label, subject=performer, performer=performer)
        if not finds.rows and not finds.odd:
            raise not_this(path, self.title, _LAYOUT)
        synthetic = [file for file in files_below(path, {".txt"}) if file.name == MARKER]
        stems = {Path(row["name"]).stem.lower() for row in finds.rows}
        finds.missing += [stem for stem in said if stem not in stems]
        quirks = [
            "classes of the literature: --labels gemep7 (55 videos, pleasure for happiness), gemep12 (120)",
            "joy, amusement, pleasure and relief are classes of their own here",
        ]
        if synthetic:  # of any number of videos, by `videofer datasets acted`
            quirks.insert(0, f"SYNTHETIC, not GEMEP: simulated performers, see {finds.name(synthetic[0])}")
            return finds.reading(
                self,
                expected=None,
                quirks=quirks,
                labels=labels,
                preprocess="--pose sidecar",
                is_synthetic=True,
            )
        return finds.reading(
            self, expected=NUM_VIDEOS, expected_by_label=COUNTS, quirks=quirks, labels=labels
        )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise DatasetError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    lacking = {"performer", "emotion"} - set(compiled.groupindex)
    if lacking:
        raise DatasetError(f"the pattern {pattern!r} has no group (?P<{min(lacking)}>...)")
    return compiled


def _portrayals(path: Path, max_folders: int | None = None) -> list[Path]:
    """Videos, else folders of pictures."""
    videos = list(videos_below(path, max_folders))
    if videos:
        return videos
    level, found = [path], list[Path]()
    for _ in range(4):
        inner = [folder for place in level for folder in folders_of(place)][:max_folders]
        found += [folder for folder in inner if pictures_of(folder)]
        level = inner
    return found


def _tables(path: Path) -> dict[str, tuple[str, str]]:
    """Stem -> (emotion, where) of the label tables beside or below the videos. DatasetError."""
    said: dict[str, tuple[str, str]] = {}
    for file in (each for each in files_below(path, {".csv"}) if each.name in _TABLES):
        for where, cells in islice(csv_rows(file), 1, None):
            if len(cells) < 2:
                raise DatasetError(f"{where}: expected path,emotion, not {cells[0][:60]!r}")
            said[PurePosixPath(cells[0].strip()).stem.lower()] = (cells[1].strip(), where)
    return said
