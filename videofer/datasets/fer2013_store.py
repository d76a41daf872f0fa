"""FER2013 into a store: the lists as its manifest, the pictures as one-frame tracks.

In two forms. As it is, each crop is the picture, pixel by pixel, for the systems that were published on it.
Aligned, each face is warped onto the canonical template like the faces of videos, so a model that is trained
on it takes what `videofer preprocess` makes by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cache.store import Store
from preprocessing.spec import PreprocessSpec
from preprocessing.stills import Progress, Still, StillsReport, store_stills
from videofer.datasets.fer2013 import SIDE, Fer2013, Fer2013Error
from videofer.datasets.fer2013_lists import Lists

PREFIX = "fer2013/"  # of the names of all pictures

AS_IT_IS = PreprocessSpec(faces="precropped", crop_size=SIDE, codec="plain")
"""Each crop is the picture, pixel by pixel."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did."""

    stills: StillsReport
    num_rows: dict[str, int]  # of the manifest, by split
    num_dropped: int  # rows of Training whose picture is in the test split


def import_fer2013(
    data: Fer2013,
    lists: Lists,
    out: Path,
    spec: PreprocessSpec,
    *,
    weights_dir: Path | None = None,
    num_workers: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> ImportReport:
    """Stores the pictures of the lists, those that are not there yet, and makes the lists the manifest.

    Rows of other data in the manifest stay. See `preprocessing.stills.store_stills`; Fer2013Error where the
    store holds FER2013 under other rules.
    """
    if (out / "store.json").exists():
        _refuse_other_rules(Store.open(out), lists.table, out)
    report = store_stills(
        out,
        spec,
        stills_of(data, lists),
        weights_dir=weights_dir,
        num_workers=num_workers,
        progress=progress,
    )
    store = Store.open(out)
    with store.lock():
        store.write_manifest(_with_others(store.manifest(), lists.table))
    counts = lists.table["split"].value_counts()
    num_rows = {split: int(counts.get(split, 0)) for split in ("train", "val", "test")}
    return ImportReport(report, num_rows, lists.num_dropped)


def aligned_spec(faces: str = "auto") -> PreprocessSpec:
    """What `videofer preprocess` does by default. faces: auto, yunet or mtcnn; Fer2013Error for others."""
    if faces not in ("auto", "yunet", "mtcnn"):
        raise Fer2013Error(f"faces must be auto, yunet or mtcnn to align pictures, not {faces!r}")
    return PreprocessSpec.model_validate({"faces": faces})


def stills_of(data: Fer2013, lists: Lists) -> list[Still]:
    """Each distinct picture of the lists once, with the names of all rows that are it."""
    names: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    rows = zip(lists.table["key"], lists.table["name"], lists.place.tolist(), strict=True)
    for key, name, place in rows:
        names.setdefault(key, []).append(name)
        first.setdefault(key, place)
    return [Still(key, tuple(names[key]), data.images[place]) for key, place in first.items()]


def _with_others(old: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    others = None if old is None else old[~old["name"].str.startswith(PREFIX)]
    return new if others is None or others.empty else pd.concat([others, new], ignore_index=True)


def _refuse_other_rules(store: Store, table: pd.DataFrame, out: Path) -> None:
    """A name stands for one picture: else labels could be joined with the wrong one."""
    keys = dict(zip(table["name"], table["key"], strict=True))
    for video in store.videos():
        for name in video.names:
            if keys.get(name, video.key) != video.key:
                raise Fer2013Error(
                    f"{out} holds another picture as {name}: FER2013 of another copy, or with the lists as "
                    "they are and without; give another --out"
                )
