"""One person's course through a timeline, as arrays: what is said of this person at any instant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from videofer.emotions import colour
from videofer.overlay.paint import RGB, rgb_of
from videofer.report.palette import LEAST_CONTRAST, lightened
from videofer.timeline.several import NONE_HOLDS, classes_held
from videofer.timeline.timeline import UNCERTAIN, Timeline, probability_columns

STATE_WORDS = {
    "no_prediction": "no prediction",
    "no_person": "nobody seen",
    "not_decoded": "not decoded",
    UNCERTAIN: "uncertain",
}
FAINT: RGB = (150, 157, 166)
DARK = "#15181D"  # what rows of classes stand on
MAX_LISTED = 3  # names of classes in one line
ROUNDING_SECONDS = 1e-6  # times of pictures and of rows are rounded apart


@dataclass(frozen=True, eq=False)
class Course:
    """Rows of one person in order of time, R of them; n classes."""

    t_start: np.ndarray  # (R,) media seconds
    t_end: np.ndarray  # (R,)
    probabilities: np.ndarray  # (R, n), NaN without a prediction
    confidence: np.ndarray  # (R,), NaN without a prediction
    label: list[str]  # a class, "uncertain", or the state
    state: list[str]
    classes: tuple[str, ...]
    thresholds: np.ndarray | None = None  # (n,), of a model that says several classes at once

    @cached_property
    def holds(self) -> np.ndarray:
        """(R, n): which classes hold in each row: those at their thresholds, or that of the label."""
        return classes_held(self.label, self.probabilities, self.classes, self.thresholds)

    def held(self, row: int) -> list[str]:
        """The classes that hold, the likeliest first."""
        places = np.flatnonzero(self.holds[row])
        order = np.argsort(-self.probabilities[row, places], kind="stable")
        return [self.classes[place] for place in places[order]]

    def row_at(self, t: float) -> int | None:
        """The row that holds at t, None where the person is not there."""
        row = int(np.searchsorted(self.t_start, t + ROUNDING_SECONDS, side="right")) - 1
        return row if row >= 0 and t < self.t_end[row] - ROUNDING_SECONDS / 2 else None

    def is_predicted(self, row: int) -> bool:
        return bool(np.isfinite(self.confidence[row]))

    def is_sure(self, row: int) -> bool:
        """Whether a class holds."""
        return bool(self.holds[row].any())

    def words(self, row: int) -> str:
        """Label and confidence as text, or the names of all that hold."""
        if self.thresholds is not None and self.is_predicted(row):
            held = self.held(row)
            more = [f"{len(held) - MAX_LISTED} more"] if len(held) > MAX_LISTED else []
            return " + ".join([*held[:MAX_LISTED], *more]) or NONE_HOLDS
        label = STATE_WORDS.get(self.label[row], self.label[row])
        if not self.is_predicted(row):
            return label
        return f"{label} {100 * self.confidence[row]:.0f} %"

    def colour(self, row: int) -> RGB:
        """Of the label, or of the likeliest that holds; grey where no class does."""
        return self.class_colour(self.held(row)[0]) if self.is_sure(row) else FAINT

    def class_colour(self, name: str) -> RGB:
        """A row of its own must stand out from the dark; areas on top of one another part by themselves."""
        own = colour(name, self.classes)
        return rgb_of(own if self.thresholds is None else lightened(own, DARK, LEAST_CONTRAST))


def course_of(timeline: Timeline, person: int | None) -> Course:
    """Of a person; None: of the time in which nobody is seen."""
    nobody = timeline.rows["person"].isna()
    rows = timeline.rows[nobody] if person is None else timeline.rows_of(person)
    rows = rows.sort_values("t_start", kind="stable")
    return Course(
        t_start=rows["t_start"].to_numpy(np.float64),
        t_end=rows["t_end"].to_numpy(np.float64),
        probabilities=rows[probability_columns(timeline.classes)].to_numpy(np.float64),
        confidence=rows["confidence"].to_numpy(np.float64),
        label=[str(label) for label in rows["label"]],
        state=[str(state) for state in rows["state"]],
        classes=timeline.classes,
        thresholds=timeline.thresholds,
    )
