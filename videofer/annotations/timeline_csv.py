"""Reads the rows of a timeline back from CSV. What a table does not keep (settings, model) stays unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from videofer.annotations.cells import text
from videofer.annotations.intervals import AnnotationError
from videofer.timeline.settings import MODALITIES, TimelineSettings
from videofer.timeline.timeline import Dimension, ModelFacts, Person, Timeline, VideoFacts, row_columns

NEEDED = ("person", "t_start", "t_end", "state", "label", "confidence")


def is_timeline_csv(path: Path) -> bool:
    """Whether the table at `path` has the columns of a timeline."""
    if path.suffix.lower() != ".csv":
        return False
    try:
        columns = list(pd.read_csv(path, nrows=0).columns)
    except (OSError, ValueError):
        return False
    return set(NEEDED) <= set(columns) and any(name.startswith("p_") for name in columns)


def read_timeline_csv(path: Path) -> Timeline:
    """The timeline whose rows `path` holds, with default settings. AnnotationError where it is broken."""
    try:
        table = pd.read_csv(path, dtype={"person": "Int64"}, keep_default_na=False, na_values=[""])
        classes = tuple(name[2:] for name in table.columns if name.startswith("p_"))
        numbers = [column for column in table.columns if column.startswith("p_")]
        table[[*numbers, "t_start", "t_end", "confidence"]] = table[
            [*numbers, "t_start", "t_end", "confidence"]
        ].astype("float64")
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path}: not the rows of a timeline: {' '.join(str(error).split())}") from None
    if table.empty or table[["t_start", "t_end"]].isna().any(axis=None):
        raise AnnotationError(f"{path}: a timeline has rows, and each of them times")
    modalities = tuple(one for one in MODALITIES if f"{one}_p_{classes[0]}" in table.columns)
    # Which of valence and arousal the model told no file says; dominance is there only where it did.
    dimensions: tuple[Dimension, ...] = ("dominance",) if "dominance" in table.columns else ()
    ids = sorted(int(person) for person in table["person"].dropna().unique())
    named = table.drop_duplicates("person").set_index("person").get("person_name", pd.Series(dtype=object))
    lengths = table["t_end"] - table["t_start"]
    return Timeline(
        rows=table.reindex(columns=row_columns(classes, modalities, dimensions)),
        classes=classes,
        persons=tuple(Person(id=one, name=text(str(named.get(one, ""))) or f"person {one}") for one in ids),
        video=VideoFacts(
            name=path.stem, key="", kind="video", width=1, height=1,
            duration_seconds=float(table["t_end"].max()), time_base=(1, 1_000_000), presentation_start=(0, 1),
        ),
        model=ModelFacts(
            name="unknown", weights_sha256="", modalities=modalities or ("face",), dimensions=dimensions,
            hop_seconds=float(np.median(lengths)), window_seconds=float(np.median(lengths)),
        ),
        settings=TimelineSettings(),
    )  # fmt: skip
