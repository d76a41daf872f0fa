"""The timeline of one video: what exports, report, annotated video and comparisons take.

One row for each person and hop; together they tile [0, duration), or the stretch of a slice. They are in
order of t_start, then of person, nobody last. Columns, in this order:

    person                  Int64, number within the video; <NA> where nobody is
    t_start, t_end          float64, media seconds, half-open
    state                   see `videofer.timeline.rows.STATES`
    face_state, body_state  names of `cache.schema.State`
    label                   a class, `uncertain`, or, without a prediction, the state
    confidence              float64, probability of the label, or of the class that was too unsure to be one;
                            NaN without a prediction. The likeliest class, unless a Viterbi path says another
    p_<class>               float64, the answer: fused over windows, calibrated, smoothed; NaN without one
    face_p_<class>, body_p_<class>, fused_p_<class>
                            float32, each modality of the model, calibrated, not smoothed; NaN without one
    face_x0, face_y0, face_x1, face_y1
                            float32, face box in upright source pixels, of the row's frame with a face that
                            is nearest to its middle; NaN without one
    valence, arousal        float64 in [-1, 1], derived from p_<class>, see `videofer.timeline.circumplex`; of
                            a model that tells them (`ModelFacts.dimensions`) what it says, smoothed
    dominance               float64 in [-1, 1], only of a model that tells it

Of a model that says several classes at once p_<class> do not sum to one, see `videofer.timeline.several`.

`media_time` counts from the start of the presentation, as players and annotation tools do:
media_time = pts * time_base - presentation_start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cache.errors import UserError
from cache.schema import Kind
from videofer.emotions import PERCEIVED
from videofer.timeline.settings import MODALITIES, Modality, TimelineSettings

if TYPE_CHECKING:
    from videofer.timeline.summary import Summary
    from videofer.timeline.versus import TimelineComparison

UNCERTAIN = "uncertain"
"""Label of rows whose confidence is below `TimelineSettings.min_confidence`."""

BOX_COLUMNS = ("face_x0", "face_y0", "face_x1", "face_y1")
AFFECT_COLUMNS = ("valence", "arousal")

Dimension = Literal["valence", "arousal", "dominance"]


class TimelineError(UserError, ValueError):
    """A timeline cannot be made, opened or changed so. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What was watched."""

    name: str  # as the user knows it: path relative to the input folder
    key: str  # content hash
    kind: Kind
    width: int  # upright pixels
    height: int
    duration_seconds: float  # media time of the end
    first_frame_seconds: float = 0.0  # media time of the first picture; later than 0 where sound comes first
    time_base: tuple[int, int]
    presentation_start: tuple[int, int]  # seconds, as a fraction


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What watched it."""

    name: str  # of the model's folder, or of its release
    weights_sha256: str
    modalities: tuple[Modality, ...]  # the model's heads
    hop_seconds: float  # of the model; rows last this divided by `steps_per_hop`
    window_seconds: float
    contract: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""  # the model card, Markdown
    version: str = ""  # of a model that was released, such as the built-in one
    dimensions: tuple[Dimension, ...] = ()  # that it tells; valence and arousal are derived otherwise
    reports: str = PERCEIVED

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}".strip()

    @property
    def credit(self) -> str:
        """What every output says: which model, and what its labels are."""
        return f"{self.title} ({self.reports})"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in the video."""

    id: int
    name: str  # given by the user, else "person N"
    certainty: float = 1.0  # in [0, 1], see `cache.schema.PersonRecord.confidence`


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """Rows with all that is needed to read them. Treated as immutable: changes make new ones."""

    rows: pd.DataFrame
    classes: tuple[str, ...]
    persons: tuple[Person, ...]
    video: VideoFacts
    model: ModelFacts
    settings: TimelineSettings
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Of the store's record (decoder, detector, versions, warnings), and of videofer itself."""
    step_seconds: float | None = None
    """Length of the rows of a timeline that was resampled."""

    @property
    def modality(self) -> Modality:
        """Whose probabilities p_<class> are."""
        return self.settings.modality or self.model.modalities[-1]

    @property
    def hop_seconds(self) -> float:
        """Length of a row; rows at the edges of evidence are shorter."""
        return self.step_seconds or self.model.hop_seconds / self.settings.steps_per_hop

    @property
    def duration_seconds(self) -> float:
        return self.video.duration_seconds

    @property
    def thresholds(self) -> np.ndarray | None:
        """(n,) float64, of a model whose classes may hold at once; None where each row has one class."""
        calibration = self.model.calibration
        if calibration.get("targets", "single") == "single":
            return None
        return np.array(calibration.get("thresholds") or [0.5] * len(self.classes), dtype=np.float64)

    def name_of(self, person: int) -> str:
        """How a person is called. Raises KeyError for somebody else."""
        return {one.id: one.name for one in self.persons}[person]

    def rows_of(self, person: int) -> pd.DataFrame:
        """One person's rows, in order of time."""
        return self.rows[(self.rows["person"] == person).fillna(False).to_numpy(bool)]

    def to_frame(self) -> pd.DataFrame:
        """A copy of the rows with `person_name` after `person`; `attrs` say of what and by what."""
        frame = self.rows.copy()
        names = {person.id: person.name for person in self.persons}
        column = [None if number is pd.NA else names[number] for number in frame["person"].tolist()]
        frame.insert(1, "person_name", pd.Series(column, dtype="str", index=frame.index))
        frame.attrs = {
            "video": self.video.name,
            "key": self.video.key,
            "duration_seconds": self.duration_seconds,
            "hop_seconds": self.hop_seconds,
            "model": self.model.name,
            "modality": self.modality,
        }
        return frame

    def save(self, path: Path | str) -> None:
        """Write it as one Parquet file, see `videofer.timeline.timeline_file`."""
        from videofer.timeline.timeline_file import save_timeline

        save_timeline(self, Path(path))

    @staticmethod
    def load(path: Path | str) -> Timeline:
        """Open what `save` wrote. TimelineError in one line for any other file."""
        from videofer.timeline.timeline_file import load_timeline

        return load_timeline(Path(path))

    def slice(self, t_start: float, t_end: float, persons: Sequence[int] | None = None) -> Timeline:
        """The rows of [t_start, t_end) on the same media time, see `videofer.timeline.edit`."""
        from videofer.timeline.edit import slice_timeline

        return slice_timeline(self, t_start, t_end, persons)

    def resample(self, step_seconds: float) -> Timeline:
        """The same in rows of another length, see `videofer.timeline.edit`."""
        from videofer.timeline.edit import resample_timeline

        return resample_timeline(self, step_seconds)

    def segments(self) -> pd.DataFrame:
        """Onset, apex and offset of every expression, see `videofer.timeline.segments`."""
        from videofer.timeline.segments import find_segments

        return find_segments(self)

    def summary(self) -> Summary:
        """Shares of time, first onsets, transitions, see `videofer.timeline.summary`."""
        from videofer.timeline.summary import summarise

        return summarise(self)

    def compare(self, other: Timeline) -> TimelineComparison:
        """How far two timelines of one video agree, see `videofer.timeline.versus`."""
        from videofer.timeline.versus import compare_timelines

        return compare_timelines(self, other)


def probability_columns(classes: Sequence[str], modality: Modality | None = None) -> list[str]:
    """p_<class> of the answer, or those of one modality."""
    prefix = "" if modality is None else f"{modality}_"
    return [f"{prefix}p_{name}" for name in classes]


def affect_columns(dimensions: Sequence[Dimension]) -> list[str]:
    """AFFECT_COLUMNS, and what else a model of these dimensions tells."""
    return [*AFFECT_COLUMNS, *(name for name in dimensions if name not in AFFECT_COLUMNS)]


def row_columns(
    classes: Sequence[str],
    modalities: Sequence[Modality] = MODALITIES,
    dimensions: Sequence[Dimension] = (),
) -> list[str]:
    """All columns of a timeline, in order."""
    return [
        *("person", "t_start", "t_end", "state", "face_state", "body_state", "label", "confidence"),
        *probability_columns(classes),
        *(column for modality in modalities for column in probability_columns(classes, modality)),
        *BOX_COLUMNS,
        *affect_columns(dimensions),
    ]
