"""How the answers of a model become rows and segments: the settings of a timeline, with their defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Modality = Literal["face", "body", "fused"]
MODALITIES: tuple[Modality, ...] = ("face", "body", "fused")

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Smoothing(BaseModel):
    """See `videofer.timeline.smoothing`."""

    model_config = _STRICT

    method: Literal["none", "hmm", "viterbi", "kernel"] = "hmm"
    """none: rows as fused. hmm: posterior of a hidden Markov model. viterbi: the same model, labels from its
    likeliest path. kernel: weighted mean over time."""
    dwell_seconds: float = Field(0.3, gt=0)
    """hmm, viterbi: how long the model takes a class to last on average. Less than expressions last, since
    windows have smoothed the rows before; this and evidence_seconds were chosen by measurement."""
    evidence_seconds: float = Field(0.4, gt=0)
    """hmm, viterbi: rows that last so long together count as one observation."""
    kernel_seconds: float = Field(0.2, gt=0)
    """kernel: standard deviation."""
    lag_seconds: float | None = Field(None, ge=0)
    """How far ahead of a row smoothing may look; None: to the end of the video, and in a stream as far as its
    lag allows."""


class Segmentation(BaseModel):
    """See `videofer.timeline.segments`."""

    model_config = _STRICT

    enter: float = Field(0.5, ge=0, le=1)
    """A segment begins where its class is at least so probable ..."""
    leave: float = Field(0.35, ge=0, le=1)
    """... and ends where it is less than this."""
    min_seconds: float = Field(0.3, ge=0)
    """Shorter segments are none."""
    merge_seconds: float = Field(0.2, ge=0)
    """Segments of one class with no longer gap between them are one."""

    @model_validator(mode="after")
    def _is_hysteresis(self) -> Segmentation:
        if self.leave > self.enter:
            raise ValueError(f"leave is {self.leave}, above enter, which is {self.enter}")
        return self


class TimelineSettings(BaseModel):
    """Everything between a model's windows and a timeline."""

    model_config = _STRICT

    modality: Modality | None = None
    """Whose probabilities are the answer; None: the model's own answer."""
    steps_per_hop: int = Field(1, ge=1, le=100)
    """A row lasts a hop of the model (window length / clips) divided by this."""
    kernel: Literal["hann", "triangular"] = "hann"
    pool: Literal["probabilities", "log_probabilities"] = "probabilities"
    smoothing: Smoothing = Smoothing()
    min_confidence: float = Field(0.0, ge=0, le=1)
    """Rows less sure than this are labelled `uncertain`."""
    segmentation: Segmentation = Segmentation()
