"""The timeline of one video: what exports, report, annotated video and comparisons take.

One row for each person and hop; together they tile [0, duration). Columns, in this order:

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
    valence, arousal        float64 in [-1, 1], derived from p_<class>; see `videofer.timeline.circumplex`

`media_time` counts from the start of the presentation, as players and annotation tools do:
media_time = pts * time_base - presentation_start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cache.errors import UserError
from cache.schema import Kind
from videofer.timeline.settings import MODALITIES, Modality, TimelineSettings

UNCERTAIN = "uncertain"
"""Label of rows whose confidence is below `TimelineSettings.min_confidence`."""

BOX_COLUMNS = ("face_x0", "face_y0", "face_x1", "face_y1")
AFFECT_COLUMNS = ("valence", "arousal")


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
    time_base: tuple[int, int]
    presentation_start: tuple[int, int]  # seconds, as a fraction


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What watched it."""

    name: str  # of the model's folder
    weights_sha256: str
    modalities: tuple[Modality, ...]  # the model's heads
    hop_seconds: float  # of the model; rows last this divided by `steps_per_hop`
    window_seconds: float
    contract: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    card: str = ""  # the model card, Markdown


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

    @property
    def modality(self) -> Modality:
        """Whose probabilities p_<class> are."""
        return self.settings.modality or self.model.modalities[-1]

    @property
    def hop_seconds(self) -> float:
        """Length of a row; rows at the edges of evidence are shorter."""
        return self.model.hop_seconds / self.settings.steps_per_hop

    @property
    def duration_seconds(self) -> float:
        return self.video.duration_seconds

    def name_of(self, person: int) -> str:
        """How a person is called."""
        return next(one.name for one in self.persons if one.id == person)

    def rows_of(self, person: int) -> pd.DataFrame:
        """One person's rows, in order of time."""
        return self.rows[(self.rows["person"] == person).fillna(False).to_numpy(bool)]


def probability_columns(classes: Sequence[str], modality: Modality | None = None) -> list[str]:
    """p_<class> of the answer, or those of one modality."""
    prefix = "" if modality is None else f"{modality}_"
    return [f"{prefix}p_{name}" for name in classes]


def row_columns(classes: Sequence[str], modalities: Sequence[Modality] = MODALITIES) -> list[str]:
    """All columns of a timeline, in order."""
    return [
        *("person", "t_start", "t_end", "state", "face_state", "body_state", "label", "confidence"),
        *probability_columns(classes),
        *(column for modality in modalities for column in probability_columns(classes, modality)),
        *BOX_COLUMNS,
        *AFFECT_COLUMNS,
    ]
