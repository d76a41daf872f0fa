"""Looks at a sample of the inputs and times excerpts of some, within a budget of seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from preprocessing.engines import EngineChoices
from preprocessing.estimate.children import Limits, Lost, ask_all
from preprocessing.estimate.sampling import Stratum, draw_by_size, spread_out, stratify
from preprocessing.estimate.timing import Excerpt, Looker, Timer, Timing
from preprocessing.spec import PreprocessSpec
from preprocessing.types import InputError, Probe, Source

LOOK_SECONDS = 10.0  # an input whose headers take longer would be no joy either
MAX_LOOKS = 1000
MAX_TIMED = 60
MAX_TIMED_STILLS = 10
MAX_BESIDE = 8  # children that work side by side
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Budget:
    """Seconds for looking, timing one by one, and timing side by side; starts of processes not counted."""

    look: float
    alone: float
    beside: float

    @classmethod
    def of(cls, seconds: float) -> Budget:
        """A fair split."""
        return cls(0.3 * seconds, 0.45 * seconds, 0.25 * seconds)


@dataclass(frozen=True)
class Measured:
    """What was seen. Indices are into the list of inputs."""

    num_bytes: np.ndarray  # (N,) float64
    strata: list[Stratum]
    looks: dict[int, Probe | InputError]
    timings: list[tuple[int, Timing]]  # videos: drawn with a chance in proportion to their length
    still_timings: list[tuple[int, Timing]] = field(default_factory=list)  # images, folders, keypoints
    damaged: list[tuple[int, str]] = field(default_factory=list)  # whose excerpt did not decode, and why
    slowdown: float = 1.0  # side by side against alone, the same excerpts
    num_beside: int = 1
    start_seconds: float = 0.0  # of one worker process
    look_seconds: float = 0.0
    alone_seconds: float = 0.0

    @property
    def waited_share(self) -> float:
        """Of the time of the excerpts that ran alone: waits for the disk, or for a core that others have."""
        timings = [timing for _, timing in (*self.timings, *self.still_timings)]
        wall = sum(timing.open_seconds + timing.work_seconds for timing in timings)
        return max(0.0, 1 - sum(timing.cpu_seconds for timing in timings) / wall) if wall > 0 else 0.0


def measure(
    sources: Sequence[Source],
    spec: PreprocessSpec,
    choices: EngineChoices,
    *,
    num_workers: int,
    seconds: float,
    seed: int = 0,
    note: Callable[[str], None] = lambda _text: None,
) -> Measured:
    """Look at inputs and time excerpts, in children, for about `seconds` and the starts of processes."""
    budget = Budget.of(seconds)
    num_bytes = np.array([size_of(source) for source in sources], np.float64)
    strata = stratify(sources, num_bytes, seed)
    wanted = spread_out(strata, MAX_LOOKS)
    note(f"looking at {len(wanted)} of {len(sources)} inputs")
    began = time.monotonic()
    looks = look_at(sources, wanted, spec, num_workers, budget.look)
    look_seconds = time.monotonic() - began
    good = [index for index in sorted(looks) if isinstance(looks[index], Probe)]
    videos = [index for index in good if sources[index].kind == "video"]
    stills = [index for index in good if sources[index].kind != "video"][:MAX_TIMED_STILLS]
    excerpts = _excerpts(sources, looks, videos, stills, seed)
    if not excerpts:
        return Measured(num_bytes, strata, looks, [], look_seconds=look_seconds)
    note("timing excerpts on one core")
    with TemporaryDirectory(prefix="videofer-estimate-") as folder:
        make = partial(Timer, spec, choices, Path(folder))
        alone, damaged, start_seconds, alone_seconds = _time(make, excerpts, 1, budget.alone)
        num_beside = min(num_workers, MAX_BESIDE)
        slowdown = 1.0
        if num_beside > 1 and len(alone) > 1:
            note(f"timing the same, {num_beside} side by side")
            again = sorted(alone)
            picks = [again[n % len(again)] for n in range(max(len(again), 3 * num_beside))]
            beside, *_ = _time(make, [excerpts[pick] for pick in picks], num_beside, budget.beside)
            slowdown = slowdown_of(
                alone, {(pick, n): beside[n] for n, pick in enumerate(picks) if n in beside}
            )
    timed = [(excerpts[n][0], timing) for n, timing in sorted(alone.items())]
    return Measured(
        num_bytes,
        strata,
        looks,
        [pair for pair in timed if sources[pair[0]].kind == "video"],
        [pair for pair in timed if sources[pair[0]].kind != "video"],
        [(excerpts[n][0], reason) for n, reason in damaged.items()],
        slowdown,
        num_beside,
        start_seconds,
        look_seconds,
        alone_seconds,
    )


def look_at(
    sources: Sequence[Source], wanted: list[int], spec: PreprocessSpec, num_children: int, seconds: float
) -> dict[int, Probe | InputError]:
    """Probes of the wanted inputs, as many as there is time for after the first one."""
    looks: dict[int, Probe | InputError] = {}
    until: float | None = None
    answers = ask_all(
        partial(Looker, spec),
        [sources[index] for index in wanted],
        num_children=min(num_children, 4, math.ceil(len(wanted) / 20)),
        limits=Limits(LOOK_SECONDS),
    )
    for number, answer in answers:
        looks[wanted[number]] = InputError("probe", answer.reason) if isinstance(answer, Lost) else answer
        until = until or time.monotonic() + seconds
        if time.monotonic() > until:
            break
    return looks


def size_of(source: Source) -> int:
    """Bytes on disk; of a folder, those of its files. 0 where it cannot be read."""
    try:
        if source.path.is_dir():
            return sum(entry.stat().st_size for entry in source.path.iterdir() if entry.is_file())
        return source.path.stat().st_size
    except OSError:
        return 0


def slowdown_of(alone: dict[int, Timing], beside: dict[tuple[int, int], Timing]) -> float:
    """How many times longer the same excerpts take side by side: at least 1."""
    before = sum(alone[pick].work_seconds + alone[pick].open_seconds for pick, _ in beside)
    after = sum(timing.work_seconds + timing.open_seconds for timing in beside.values())
    return max(1.0, after / before) if before > 0 else 1.0


def _excerpts(
    sources: Sequence[Source],
    looks: dict[int, Probe | InputError],
    videos: list[int],
    stills: list[int],
    seed: int,
) -> list[tuple[int, Excerpt]]:
    """Stills first: they are quick, and there are few."""
    durations = []
    for index in videos:
        facts = looks[index]
        assert isinstance(facts, Probe)
        durations.append(facts.duration or 1.0)
    rng = np.random.default_rng(seed)
    drawn = draw_by_size(np.array(durations), MAX_TIMED, seed)
    return [(index, Excerpt(sources[index], None, 0.0)) for index in stills] + [
        (videos[n], Excerpt(sources[videos[n]], durations[n], float(rng.uniform()))) for n in drawn
    ]


def _time(
    make: partial[Timer], excerpts: Sequence[tuple[int, Excerpt]], num_children: int, seconds: float
) -> tuple[dict[int, Timing], dict[int, str], float, float]:
    """Timings, reasons for none, both by number of the excerpt; seconds until the first began, and of all."""
    began = time.monotonic()
    timings: dict[int, Timing] = {}
    damaged: dict[int, str] = {}
    first: float | None = None
    answers = ask_all(
        make,
        [excerpt for _, excerpt in excerpts],
        num_children=num_children,
        limits=Limits(ANSWER_SECONDS),
        together=True,
    )
    for number, answer in answers:
        if isinstance(answer, Timing):
            timings[number] = answer
        else:
            damaged[number] = answer.reason
        now = time.monotonic()
        if first is None:
            took = answer.open_seconds + answer.work_seconds if isinstance(answer, Timing) else 0.0
            first = now - 2 * took  # it was run twice, see Timer
        if now - first > seconds:
            break
    return timings, damaged, (first or began) - began, time.monotonic() - began
