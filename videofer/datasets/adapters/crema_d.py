"""CREMA-D: twelve sentences in six emotions by 91 actors, everything in the files' names.

    VideoFlash/1001_DFA_ANG_XX.flv: actor, sentence, emotion, level (LO, MD, HI, XX; X in some)

Cao et al., IEEE TAC 5(4), 2014. The videos are in Git LFS: a clone without it has pointers of some 130 bytes.
The five folds of whole actors are those of MAE-DFER's lists. Labels are what the actor was asked for; what
raters saw is in `processedResults`, which is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, not_this
from videofer.datasets.tables import csv_columns
from videofer.datasets.walk import FEW, below, videos_below
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_VIDEOS = 7442
LAST_OF_FOLD = (1018, 1036, 1054, 1072, 1091)  # the last actor of each
CODES = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX|X)")
_LAYOUT = "a folder VideoFlash with videos like 1001_DFA_ANG_XX.flv"
_PERSON_COLUMNS = {"age": "Age", "sex": "Sex", "race": "Race", "ethnicity": "Ethnicity"}
SEVERAL_EMOTIONS = "1064_IEO_DIS_MD"


@dataclass(frozen=True)
class CremaD:
    """All videos, with what the table of actors says about the person."""

    name: ClassVar[str] = "crema-d"
    title: ClassVar[str] = "CREMA-D"
    labels: ClassVar[LabelSet] = LABEL_SETS["crema6"]
    official: ClassVar[Official] = Official(
        "folds", 5, "MAE-DFER's lists: 18 or 19 actors a fold", "--protocol official"
    )
    access: ClassVar[str] = "github.com/CheyneyComputerScience/CREMA-D, with Git LFS"
    licence: ClassVar[str] = "Open Database License"

    def recognise(self, path: Path) -> str | None:
        """Videos named so, in VideoFlash or in the folder itself."""
        folder = _folder(path)
        first = next(videos_below(folder, FEW), None) if folder is not None else None
        is_named = first is not None and _NAME.fullmatch(first.stem) is not None
        return f"{first.name} is named as its videos are" if is_named and first is not None else None

    def read(self, path: Path) -> Reading:
        """One row a video. DatasetError where none has such a name, or all are pointers."""
        folder = _folder(path)
        if folder is None:
            raise not_this(path, self.title, _LAYOUT)
        finds, people = Finds(path), _people(folder.parent)
        for file in videos_below(folder):
            match = _NAME.fullmatch(file.stem)
            actor = int(match[1]) if match else 0
            if match is None or match[3] not in CODES or not 1001 <= actor <= LAST_OF_FOLD[-1]:
                finds.doubt(file, "not named like 1001_DFA_ANG_XX with an actor from 1001 to 1091")
                continue
            if file.stem == SEVERAL_EMOTIONS:
                finds.doubt(file, "kept, but users report a minute with every emotion of the sentence")
            finds.add(
                file,
                label=CODES[match[3]],
                subject=match[1],
                fold=next(n for n, last in enumerate(LAST_OF_FOLD, 1) if actor <= last),
                sentence=match[2],
                level="XX" if match[4] == "X" else match[4],
                **people.get(match[1], {}),
            )
        pointers = [odd for odd in finds.odd if "Git LFS" in odd.why]
        if not finds.rows and pointers:
            raise DatasetError(f"{folder}: {len(pointers):,} videos are {pointers[0].why}")
        quirks = [] if people else ["VideoDemographics.csv is not there: no age, sex, race, ethnicity"]
        return finds.reading(self, expected=NUM_VIDEOS, quirks=quirks)


def _folder(path: Path) -> Path | None:
    root = below(path, "VideoFlash")
    if root is not None:
        return root / "VideoFlash"
    first = next(videos_below(path, FEW), None)
    return first.parent if first is not None and _NAME.fullmatch(first.stem) else None


def _people(root: Path) -> dict[str, dict[str, str]]:
    """Actor -> columns; empty without the table. DatasetError where it is another table."""
    file = root / "VideoDemographics.csv"
    if not file.is_file():
        return {}
    rows = csv_columns(file, ("ActorID", *_PERSON_COLUMNS.values()))
    return {
        row["ActorID"].strip(): {ours: row[theirs].strip() for ours, theirs in _PERSON_COLUMNS.items()}
        for _, row in rows
    }
