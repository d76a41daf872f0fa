"""One person's course through a timeline, as arrays: what is said of this person at any instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videofer.emotions import colour
from videofer.overlay.paint import RGB, rgb_of
from videofer.timeline.timeline import UNCERTAIN, Timeline, probability_columns

STATE_WORDS = {
    "no_prediction": "no prediction",
    "no_person": "nobody seen",
    "not_decoded": "not decoded",
    UNCERTAIN: "uncertain",
}
FAINT: RGB = (150, 157, 166)
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

    def row_at(self, t: float) -> int | None:
        """The row that holds at t, None where the person is not there."""
        row = int(np.searchsorted(self.t_start, t + ROUNDING_SECONDS, side="right")) - 1
        return row if row >= 0 and t < self.t_end[row] - ROUNDING_SECONDS / 2 else None

    def is_predicted(self, row: int) -> bool:
        return bool(np.isfinite(self.confidence[row]))

    def is_sure(self, row: int) -> bool:
        """Whether the label is a class."""
        return self.label[row] in self.classes

    def words(self, row: int) -> str:
        """Label and confidence as text."""
        label = STATE_WORDS.get(self.label[row], self.label[row])
        if not self.is_predicted(row):
            return label
        return f"{label} {100 * self.confidence[row]:.0f} %"

    def colour(self, row: int) -> RGB:
        """Of the label; grey where it is no class."""
        return self.class_colour(self.label[row]) if self.is_sure(row) else FAINT

    def class_colour(self, name: str) -> RGB:
        return rgb_of(colour(name, self.classes))


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
    )
