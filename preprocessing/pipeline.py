"""What one worker does with one (video, span), from file to shard: the only function workers run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preprocessing.decode import AnyDecoder, decoder_for
from preprocessing.decode.keyframes import plan_spans
from preprocessing.decode.limits import Limits
from preprocessing.engines import Engines
from preprocessing.meter import Meter
from preprocessing.part import Beat, Part, SegmentOutcome, Tools
from preprocessing.probe import probe
from preprocessing.segment_pass import SegmentPass
from preprocessing.spec import PreprocessSpec
from preprocessing.types import InputError, Probe, Source, Span

if TYPE_CHECKING:
    from cache.shard import ShardWriter

WHOLE = Span(0)


def spans_of(source: Source, spec: PreprocessSpec) -> tuple[Probe, list[Span]]:
    """What the container says, and where the video is cut: a pure function of file and spec.

    Raises InputError if it is no video that can be processed.
    """
    limits = limits_of(spec)
    facts = probe(source, limits)
    if spec.decoder not in ("auto", "pyav"):  # the others cannot begin in the middle
        return facts, [WHOLE]
    return facts, plan_spans(source, facts, spec.segment_seconds)


def process_segment(
    source: Source,
    key: str,
    spec: PreprocessSpec,
    engines: Engines,
    writer: ShardWriter,
    beat: Beat = lambda _frames, _seconds: None,
    *,
    span: Span = WHOLE,
    facts: Probe | None = None,
) -> SegmentOutcome:
    """Preprocess one span of a video, by default all of it, into the writer's open shard.

    Raises InputError with stage and reason if nothing of it can be stored. Where a video is damaged
    after some frames, these are stored and `damage` says why they are not all. `facts`: its probe, where
    the caller has it already.
    """
    limits = limits_of(spec)
    part = Part(source, key, facts or probe(source, limits), span)
    tools = Tools(spec, engines, writer, beat)
    engine = engines.choices.decoder
    try:
        return _attempt(part, tools, decoder_for(source.kind, engine, limits))
    except InputError as error:
        if error.stage != "decode" or engine == "pyav" or source.kind != "video":
            raise
        reason = error.reason
    # Another engine than the default may not read everything: the default is tried, and that is stored.
    outcome = _attempt(part, tools, decoder_for(source.kind, "pyav", limits))
    outcome.warnings.append(f"decoded by pyav, because {engine} failed: {reason}")
    return outcome


def limits_of(spec: PreprocessSpec) -> Limits:
    """The limits that a spec sets."""
    return Limits(
        max_bytes=spec.max_file_bytes,
        max_duration_seconds=spec.max_duration_seconds,
        max_pixels=spec.max_pixels,
    )


def _attempt(part: Part, tools: Tools, decoder: AnyDecoder) -> SegmentOutcome:
    """One pass with one decoder. Damage of a video is kept only by the default one, which reads the most."""
    keeps_damaged = decoder.name == "pyav" or part.source.kind != "video"
    meter = Meter()
    segment = tools.writer.begin_segment(
        part.key, part.span.index, part.facts.time_base, encoding=meter.stage("encode")
    )
    try:
        return SegmentPass(part, tools, decoder, segment, meter).run(keep_damaged=keeps_damaged)
    except BaseException:
        segment.abort()
        raise
