"""BoLD: bodies in film clips, with 26 categories at once and valence, arousal and dominance for each person.

    BOLD_public/videos/<path>.mp4, joints/<path>.npy
    annotations/train.csv, val.csv (no header): video, person, first and last frame, 26 shares, V, A, D, ...
    annotations/test_meta.csv: the test set without labels

Luo et al., IJCV 2020. A row is one person of a clip. The labels are soft, shares of raters from 0 to 1,
several at once: there is no hard label. V, A and D are on the set's scale, 1 to 10. What the
frame numbers count from was not found, so a row has no interval and the numbers are kept as they are.
Joints are OpenPose's 18, with the number of the person: our own tracks have other numbers, so a row of a
clip with several people does not say which track is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from videofer.datasets.adapter import DatasetError, Finds, Official, Reading, not_this
from videofer.datasets.manifest import DIMENSION_SCALE
from videofer.datasets.tables import csv_rows
from videofer.datasets.walk import below, is_file
from videofer.emotions.label_sets import LABEL_SETS, LabelSet

NUM_CLIPS = 9876
NUM_CHARACTERS = 13_239
_DIMENSIONS = ("valence", "arousal", "dominance")
_SCALE = (1, 10)
_TABLES = {"train.csv": "train", "val.csv": "test"}
NUM_CELLS = 4 + 26 + 3 + 3 + 1
_LAYOUT = "folders annotations and videos, as in BOLD_public"


@dataclass(frozen=True)
class Bold:
    """The annotated people of train and val; val is the test split, as the labels of test are not public."""

    name: ClassVar[str] = "bold"
    title: ClassVar[str] = "BoLD"
    labels: ClassVar[LabelSet] = LABEL_SETS["bold26"]
    official: ClassVar[Official] = Official(
        "split", None, "the set's own tables, val for the test", "--protocol official"
    )
    access: ClassVar[str] = "cydar.ist.psu.edu/emotionchallenge, at Penn State"
    licence: ClassVar[str] = "not found"

    def recognise(self, path: Path) -> str | None:
        """Its tables, by the number of their columns."""
        root = below(path, "annotations/train.csv", "annotations/val.csv")
        for name in _TABLES if root else ():
            file = root / "annotations" / name if root else path
            if is_file(file) and _first_row(file) == NUM_CELLS:
                return f"annotations/{name} with {NUM_CELLS} columns"
        return None

    def read(self, path: Path) -> Reading:
        """One row a person. DatasetError for a table of another form."""
        root = below(path, "annotations")
        if root is None:
            raise not_this(path, self.title, _LAYOUT)
        finds = Finds(path)
        doubtful: set[str] = set()
        for name, split in _TABLES.items():
            table = root / "annotations" / name
            if not is_file(table):
                finds.missing.append(finds.name(table))
                continue
            for where, cells in csv_rows(table):
                if len(cells) != NUM_CELLS:
                    raise DatasetError(f"{where}: expected {NUM_CELLS} cells, not {len(cells)}")
                video = root / "videos" / cells[0]
                if not is_file(video):
                    finds.missing.append(finds.name(video))
                    continue
                finds.add(video, split=split, **_row(self.labels, cells, where))
                joints = root / "joints" / Path(cells[0]).with_suffix(".npy")
                if not is_file(joints) and cells[0] not in doubtful:
                    doubtful.add(cells[0])
                    finds.doubt(joints, "joints are not there; expected beside videos, as .npy")
        quirks = [
            "labels are soft and several at once; valence, arousal, dominance are on the scale 1 to 10",
            "a row is one person (`set_person`) of a clip: which track that is no file says",
            "val is the test split, as the labels of test are not public",
            f"a whole copy has {NUM_CLIPS:,} clips and {NUM_CHARACTERS:,} people with those of test",
        ]
        return finds.reading(self, expected=None, quirks=quirks)


def _row(labels: LabelSet, cells: list[str], where: str) -> dict[str, Any]:
    """Columns of the manifest. DatasetError where a cell is not in its range."""
    shares = [_number(cell, where, 0, 1) for cell in cells[4:30]]
    dimensions = [_number(cell, where, *_SCALE) for cell in cells[30:33]]
    gender, age, ethnicity, confidence = cells[33:37]
    return {
        **{f"p_{name}": share for name, share in zip(labels.classes, shares, strict=True)},
        **dict(zip(_DIMENSIONS, dimensions, strict=True)),
        DIMENSION_SCALE: f"{_SCALE[0]} to {_SCALE[1]}",
        "set_person": cells[1].strip(),
        "min_frame": cells[2].strip(),
        "max_frame": cells[3].strip(),
        "sex": gender.strip(),
        "age": age.strip(),
        "ethnicity": ethnicity.strip(),
        "confidence": confidence.strip(),
    }


def _number(cell: str, where: str, low: float, high: float) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise DatasetError(f"{where}: expected a number from {low:g} to {high:g}, not {cell[:30]!r}")
    return value


def _first_row(file: Path) -> int:
    """The number of its cells; 0 where it is no table."""
    try:
        return len(next(csv_rows(file), ("", []))[1])
    except DatasetError:
        return 0
