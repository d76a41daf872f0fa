"""FER2013: 35,887 grey stills of faces, 48x48 pixels, in seven classes, with official lists.

    fer2013.csv     a header emotion,pixels,Usage, then a row a picture

Goodfellow et al., 2013. The pictures are numbers in one file, so a store is made by `videofer datasets
fer2013`, not by `preprocess`. Its other forms, its copies and the votes of FER+ are in docs/fer2013.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from videofer.datasets.adapter import Coverage, Official, Reading
from videofer.datasets.fer2013 import CSV_NAMES, FIRST_ROWS, USAGES, read_fer2013
from videofer.datasets.fer2013_lists import make_lists
from videofer.datasets.manifest import LABEL_SET, normalise
from videofer.datasets.walk import files_of
from videofer.emotions.label_sets import LABEL_SETS, LabelSet


@dataclass(frozen=True)
class Fer2013Adapter:
    """The official lists; copies of test pictures are not trained on. test: the list that is the test."""

    name: ClassVar[str] = "fer2013"
    title: ClassVar[str] = "FER2013"
    labels: ClassVar[LabelSet] = LABEL_SETS["basic7"]
    official: ClassVar[Official] = Official("split", None, "the set's own lists", "--protocol official")
    access: ClassVar[str] = "kaggle.com, Challenges in Representation Learning"
    licence: ClassVar[str] = "none but the contest's rules"

    test: Literal["publictest", "privatetest"] = "publictest"

    def recognise(self, path: Path) -> str | None:
        """Its CSV file or packed files, by their names."""
        files = [path] if path.is_file() else files_of(path)
        named = [
            f.name
            for f in files
            if f.name in CSV_NAMES or (f.name.startswith("fer2013") and f.suffix == ".npz")
        ]
        return f"the file {named[0]}" if named else None

    def read(self, path: Path) -> Reading:
        """One row a picture of Training and the test list. Fer2013Error where the file is another."""
        data = read_fer2013(path)
        lists = make_lists(data, test=self.test)
        there = {USAGES[usage] for usage in data.usage.tolist()}
        missing = tuple(f"the list {name}" for name in USAGES if name not in there)
        table = lists.table.drop(columns="key").assign(dataset=self.name, **{LABEL_SET: self.labels.name})
        tested, unused = ("PublicTest", "PrivateTest")[:: 1 if self.test == "publictest" else -1]
        quirks = [
            "stills, not videos: `videofer datasets fer2013 PATH --out STORE` makes the store",
            f"{tested} is the test split, a tenth of Training the validation split; {unused} is in no split",
            f"{lists.num_dropped:,} rows of Training are left out: the same pictures as in the test split",
        ]
        return Reading(
            dataset=self.name,
            root=path,
            table=normalise(table, source=self.title),
            labels=self.labels,
            coverage=Coverage(FIRST_ROWS[-1], len(data), missing),
            official=self.official,
            quirks=tuple(quirks),
        )
