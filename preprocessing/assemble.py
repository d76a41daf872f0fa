"""The commit record of a video from what was stored of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cache.schema import VideoRecord
from preprocessing.part import SegmentOutcome
from preprocessing.segment_pass import merged
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.persons import join_persons
from preprocessing.types import Source, Span


def assemble(
    sources: Sequence[Source],
    key: str,
    outcomes: Sequence[SegmentOutcome],
    spec: PreprocessSpec,
    failed: Sequence[Span] = (),
) -> VideoRecord:
    """The record of one video of which at least one part is stored; `failed` are the spans that are not."""
    parts = sorted(outcomes, key=lambda outcome: outcome.record.index)
    facts = parts[0].probe
    start = facts.presentation_start
    last_index = parts[-1].record.index
    t_end = parts[-1].t_end
    duration = t_end
    if (parts[-1].damage or any(span.index > last_index for span in failed)) and facts.duration is not None:
        duration = max(duration, float(facts.stream_start - start) + facts.duration)
    first_pts = round(facts.stream_start / facts.time_base)
    lost = [  # what is lost at the end lies between t_end and duration
        (first_pts if span.start_pts is None else span.start_pts, span.stop_pts)
        for span in failed
        if span.stop_pts is not None and span.index < last_index
    ]
    stage_seconds: Counter[str] = Counter()
    for part in parts:
        stage_seconds.update(part.stage_seconds)
    provenance = {
        **parts[0].provenance,
        "warnings": list(dict.fromkeys(text for part in parts for text in part.warnings)),
        "stage_seconds": {name: round(seconds, 3) for name, seconds in stage_seconds.items()},
    }
    return VideoRecord(
        key=key,
        names=[source.name for source in sources],
        kind=sources[0].kind,
        num_frames=sum(part.record.num_frames for part in parts),
        width=facts.width,
        height=facts.height,
        time_base=(facts.time_base.numerator, facts.time_base.denominator),
        presentation_start=(start.numerator, start.denominator),
        t_start=parts[0].t_start,
        t_end=t_end,
        duration=duration,
        segments=[part.record for part in parts],
        persons=join_persons([part.evidence for part in parts], spec),
        provenance=provenance,
        not_decoded=merged([*lost, *(span for part in parts for span in part.not_decoded)]),
    )
