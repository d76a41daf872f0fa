"""The nouns of a pass through one span of a video: what goes in, what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cache.schema import SegmentRecord
from preprocessing.engines import Engines
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.evidence import SegmentEvidence
from preprocessing.types import Probe, Source, Span

if TYPE_CHECKING:
    from cache.shard import ShardWriter

Beat = Callable[[int, float], None]
"""Called with decoded frames and seconds of media so far; a worker that stops calling it hangs."""


@dataclass(frozen=True)
class SegmentOutcome:
    """What the driver needs to commit a segment. Small: no pixels, no keypoints."""

    record: SegmentRecord
    evidence: SegmentEvidence
    probe: Probe
    t_start: float
    t_end: float
    damage: str | None  # why the decoder stopped early, None if it did not
    warnings: list[str]
    provenance: dict[str, Any]
    not_decoded: list[tuple[int, int]] = field(default_factory=list)  # pts, half-open, rising, of this span
    stage_seconds: dict[str, float] = field(default_factory=dict)  # see preprocessing.meter


@dataclass(frozen=True)
class Part:
    """What to process: one span of one video."""

    source: Source
    key: str
    facts: Probe
    span: Span


@dataclass(frozen=True)
class Tools:
    """What a worker has for every video."""

    spec: PreprocessSpec
    engines: Engines
    writer: ShardWriter
    beat: Beat
