"""Quiet time: a person is seen, and the model says of no class that it holds.

Of a model that says several classes at once that is an answer, where a moment without one is none.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from videofer.timeline.segments import TOUCHING_SECONDS, stretches_of, usable_rows
from videofer.timeline.timeline import Timeline

QUIET_COLUMNS = ("person", "onset", "offset")


def quiet_spans(timeline: Timeline, segments: pd.DataFrame) -> pd.DataFrame:
    """QUIET_COLUMNS, media seconds, half-open: where a person is seen, and none of the segments is.

    As segments, they last at least `Segmentation.min_seconds`; by person, then time.
    """
    least = timeline.settings.segmentation.min_seconds - TOUCHING_SECONDS
    found: list[tuple[int, float, float]] = []
    for person in timeline.persons:
        rows = timeline.rows_of(person.id)
        start, end = rows["t_start"].to_numpy(np.float64), rows["t_end"].to_numpy(np.float64)
        own = segments[segments["person"] == person.id].sort_values("onset", kind="stable")
        spans = list(zip(own["onset"].tolist(), own["offset"].tolist(), strict=True))
        for first, last in stretches_of(start, end, usable_rows(rows, timeline.classes)):
            at, until = float(start[first]), float(end[last - 1])
            inside = [span for span in spans if at < span[1] and span[0] < until]
            for onset, offset in [*inside, (until, until)]:
                if onset - at >= max(least, TOUCHING_SECONDS):
                    found.append((person.id, at, onset))
                at = max(at, offset)
    return pd.DataFrame(found, columns=list(QUIET_COLUMNS))
