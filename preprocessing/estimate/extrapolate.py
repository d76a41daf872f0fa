"""From a sample to all inputs: sums with intervals, by a bootstrap over what was looked at and timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preprocessing.estimate.measure import Measured
from preprocessing.estimate.timing import Timing
from preprocessing.scale.rates import Rates
from preprocessing.types import InputError, Probe, Source

ROUNDS = 1000
SHARE = 0.9  # of the bootstrap within the interval
FEW = 5  # timed excerpts; below, an interval would be a joke


@dataclass(frozen=True)
class Interval:
    """An estimate with bounds, the same value three times where nothing was extrapolated."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: np.ndarray) -> Interval:
        low, high = np.quantile(draws, [(1 - SHARE) / 2, (1 + SHARE) / 2])
        return cls(value, min(value, float(low)), max(value, float(high)))


@dataclass(frozen=True)
class Estimate:
    """What a run over all inputs would take. Worker seconds are those of a worker beside all others."""

    num_inputs: int
    num_looked: int
    num_timed: int
    kinds: dict[str, int]
    failures: Interval
    seen_failures: list[tuple[str, str, str]]  # name, stage, reason
    media_seconds: Interval
    worker_seconds: Interval
    bytes_written: Interval
    bytes_read: float
    durations_seconds: np.ndarray  # (V,) of every video: probed, or its bytes times the seconds a byte
    rates: Rates | None  # None: no video could be timed
    still_seconds: float  # of worker time, for all that are no videos


def extrapolate(sources: Sequence[Source], measured: Measured, seed: int = 0) -> Estimate:
    """Durations: bytes of each stratum times its seconds a byte. Costs: durations times the mean rate."""
    rng = np.random.default_rng(seed)
    durations, is_video, media_draws, failure_draws, failures = _lengths(sources, measured, rng)
    media = float(durations.sum())
    rates = rates_of(measured, durations, len(sources))
    work, work_draws = 0.0, np.zeros(ROUNDS)
    written, written_draws = 0.0, np.zeros(ROUNDS)
    num_videos = int(is_video.sum())
    if rates is not None:
        num_timed = len(rates.per_second)
        picks = rng.integers(0, num_timed, (ROUNDS, num_timed))
        opens = np.array([timing.open_seconds for timing in _usable(measured)]) * measured.slowdown
        work = media * rates.mean_per_second + num_videos * float(opens.mean())
        work_draws = media_draws * rates.per_second[picks].mean(axis=1) + num_videos * opens[picks].mean(
            axis=1
        )
        sizes = _bytes_per_second(measured)
        if len(sizes):
            written = media * float(sizes.mean())
            picks = rng.integers(0, len(sizes), (ROUNDS, len(sizes)))
            written_draws = media_draws * sizes[picks].mean(axis=1)
    still_seconds, still_bytes = _stills(sources, measured)
    return Estimate(
        num_inputs=len(sources),
        num_looked=len(measured.looks),
        num_timed=len(measured.timings) + len(measured.still_timings),
        kinds=dict(Counter(source.kind for source in sources)),
        failures=Interval.of(failures, failure_draws),
        seen_failures=_seen_failures(sources, measured),
        media_seconds=Interval.of(media, media_draws),
        worker_seconds=Interval.of(work + still_seconds, work_draws + still_seconds),
        bytes_written=Interval.of(written + still_bytes, written_draws + still_bytes),
        bytes_read=float(measured.num_bytes.sum()),
        durations_seconds=durations[is_video],
        rates=rates,
        still_seconds=still_seconds,
    )


def rates_of(measured: Measured, durations: np.ndarray, num_inputs: int) -> Rates | None:
    """The excerpts as rates for `preprocessing.scale`. Each counts the same: long videos were drawn more."""
    timings = _usable(measured)
    if not timings:
        return None
    num_failed = sum(isinstance(look, InputError) for look in measured.looks.values())
    sizes = _bytes_per_second(measured)
    return Rates(
        job_seconds=measured.slowdown * float(np.mean([timing.open_seconds for timing in timings])),
        per_second=measured.slowdown * np.array([t.work_seconds / t.media_seconds for t in timings]),
        weights=np.full(len(timings), 1 / len(timings)),
        bytes_read_per_second=float(measured.num_bytes.sum() / max(durations.sum(), 1e-9)),
        bytes_written_per_second=float(sizes.mean()) if len(sizes) else 0.0,
        failed_share=num_failed / max(1, len(measured.looks)),
        deaths_per_worker_hour=0.0,
        durations_seconds=durations[durations > 0],
        described=f"excerpts of {num_inputs} inputs",
    )


def _lengths(
    sources: Sequence[Source], measured: Measured, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Durations (N,) of all inputs (0 where it is no video, or fails), which are videos (N,), bootstrap draws
    of their sum and of the number of failures (ROUNDS,), and the number of failures."""
    durations, is_video = np.zeros(len(sources)), np.zeros(len(sources), bool)
    media_draws, failure_draws, failures = np.zeros(ROUNDS), np.zeros(ROUNDS), 0.0
    for stratum in measured.strata:
        seen = [index for index in stratum.members if index in measured.looks]
        others = [index for index in stratum.members if index not in measured.looks]
        if not seen:
            continue  # spread_out puts one of each stratum first: only where there was no time at all
        seconds = np.array([_duration(measured.looks[index]) for index in seen])
        failed = np.array([isinstance(measured.looks[index], InputError) for index in seen])
        size = measured.num_bytes[seen]
        rest = float(measured.num_bytes[others].sum())
        ratio = float(seconds.sum() / size.sum()) if size.sum() else 0.0
        failures += float(failed.sum() + failed.mean() * len(others))
        if others:
            picks = rng.integers(0, len(seen), (ROUNDS, len(seen)))
            media_draws += seconds.sum() + rest * seconds[picks].sum(axis=1) / np.maximum(
                size[picks].sum(axis=1), 1
            )
            failure_draws += failed.sum() + failed[picks].mean(axis=1) * len(others)
        else:
            media_draws += seconds.sum()
            failure_draws += failed.sum()
        durations[seen] = seconds
        durations[others] = ratio * measured.num_bytes[others]
        if stratum.kind == "video":
            is_video[seen] = ~failed
            is_video[others] = True
    return durations, is_video, media_draws, failure_draws, failures


def _duration(look: Probe | InputError) -> float:
    return 0.0 if isinstance(look, InputError) else look.duration or 0.0


def _usable(measured: Measured) -> list[Timing]:
    return [timing for _, timing in measured.timings if timing.media_seconds > 0]


def _bytes_per_second(measured: Measured) -> np.ndarray:
    """Of each excerpt that was run to its end."""
    whole = [timing for timing in _usable(measured) if timing.bytes_written is not None]
    return np.array([(timing.bytes_written or 0) / timing.media_seconds for timing in whole])


def _stills(sources: Sequence[Source], measured: Measured) -> tuple[float, float]:
    """Worker seconds and bytes of all inputs that are no videos: their mean times their number."""
    number = sum(source.kind != "video" for source in sources)
    timings = [timing for _, timing in measured.still_timings]
    if not timings or not number:
        return 0.0, 0.0
    seconds = measured.slowdown * float(np.mean([t.open_seconds + t.work_seconds for t in timings]))
    return number * seconds, number * float(np.mean([t.bytes_written or 0 for t in timings]))


def _seen_failures(sources: Sequence[Source], measured: Measured) -> list[tuple[str, str, str]]:
    """Those of the look, and of excerpts: once an input."""
    seen = {
        index: (sources[index].name, look.stage, look.reason)
        for index, look in sorted(measured.looks.items())
        if isinstance(look, InputError)
    }
    for index, reason in measured.damaged:
        seen.setdefault(index, (sources[index].name, "decode", reason))
    return list(seen.values())
