"""Segments as BIDS events: a table, and a sidecar that says what its columns mean.

After the Brain Imaging Data Structure 1.10, "Task events" and "Tabular files".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO

import pandas as pd

from videofer.formats.tables import write_csv
from videofer.formats.text import defused, one_line, person_names

if TYPE_CHECKING:
    from videofer.timeline.timeline import Timeline

_COLUMNS = {
    "onset": "onset",
    "duration": "duration",
    "label": "trial_type",
    "person": "person",
    "apex": "apex",
    "mean_probability": "mean_probability",
    "apex_probability": "apex_probability",
}


def write_events(segments: pd.DataFrame, file: BinaryIO) -> None:
    """Tab-separated, in order of onset, `n/a` where there is no value."""
    ordered = segments.sort_values(["onset", "person"], kind="stable")
    table = ordered[list(_COLUMNS)].rename(columns=_COLUMNS)
    write_csv(table, file, separator="\t", missing="n/a")


def write_sidecar(timeline: Timeline, file: BinaryIO) -> None:
    """What the columns of `write_events` mean: description, unit, levels."""
    since = "in media time, which counts from the start of the presentation of the video"
    names = person_names(timeline)
    columns = {
        "onset": {"LongName": "Onset", "Description": f"Start of the segment {since}", "Units": "s"},
        "duration": {"LongName": "Duration", "Description": "Length of the segment", "Units": "s"},
        "trial_type": {
            "LongName": "Perceived expression",
            "Description": "What the face or the body is seen to express, as estimated by videofer's model "
            f"{one_line(timeline.model.title)}; not what the person feels",
            "Levels": {defused(name): f"Perceived expression: {name}" for name in timeline.classes},
        },
        "person": {
            "LongName": "Person",
            "Description": "Number of the person within the video",
            "Levels": {str(person): name for person, name in names.items()},
        },
        "apex": {
            "LongName": "Apex",
            "Description": f"Time at which the expression is most probable, {since}",
            "Units": "s",
        },
        "mean_probability": {
            "LongName": "Mean probability",
            "Description": "Mean of the calibrated probability of the expression over the segment, in [0, 1]",
        },
        "apex_probability": {
            "LongName": "Probability at the apex",
            "Description": "Calibrated probability of the expression at its apex, in [0, 1]",
        },
    }
    file.write((json.dumps(columns, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
