"""All cores: several processes against one, bare and as actors of the stage's own pool."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from preprocessing.stage.run import preprocess
from preprocessing.stage.threads import one_thread_environment
from preprocessing.stage.totals import Totals
from tools.speed.setting import Preprocessing, Setting, copies, decode_only, every_fifth

FLOOR = 3.4  # of four actors against one: the aim
VIDEOS_A_WORKER = 5
RUNS_A_PROCESS = 3


def measure(setting: Setting) -> None:
    """Prints frames per second of 1 and N processes for decoding, bare preprocessing and the stage."""
    workers = setting.num_workers
    kinds: dict[str, Callable[[int], float]] = {
        "decode only": lambda count: _together(setting, _decode, count),
        "preprocessing, bare processes": lambda count: _together(setting, _preprocess, count),
        "preprocessing, Ray actors": lambda count: _stage(setting, count),
    }
    best: dict[tuple[str, int], float] = {}
    for _ in range(max(1, setting.repeats // 2)):
        for name, rate in kinds.items():
            for count in (1, workers):
                best[name, count] = max(best.get((name, count), 0.0), rate(count))
    for name in kinds:
        one, many = best[name, 1], best[name, workers]
        print(
            f"{name:38} {one:7.0f} frames/s with 1, {many:7.0f} with {workers}: "
            f"{many / one:.2f} times as many"
        )
    print(f"aim: {FLOOR} times as many with 4 actors")


def _decode(setting: Setting) -> Callable[[], int]:
    return lambda: decode_only(setting.video)


def _preprocess(setting: Setting) -> Callable[[], int]:
    return Preprocessing(setting, every_fifth())


def _together(setting: Setting, make: Callable[[Setting], Callable[[], int]], count: int) -> float:
    """Frames per second of so many processes that begin at the same moment, until the last one is done."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.SimpleQueue()
    processes = [context.Process(target=_run, args=(setting, make, barrier, results)) for _ in range(count)]
    with one_thread_environment():
        for process in processes:
            process.start()
    answers: list[tuple[float, float, int]] = [results.get() for _ in processes]
    for process in processes:
        process.join()
    began, ended = min(a[0] for a in answers), max(a[1] for a in answers)
    return sum(a[2] for a in answers) / (ended - began)


def _run(setting: Setting, make: Callable[[Setting], Callable[[], int]], barrier: Any, results: Any) -> None:
    run = make(setting)
    run()  # everything loaded, the file in the page cache
    barrier.wait()
    began = time.monotonic()  # one clock for all processes of a machine
    num_frames = sum(run() for _ in range(RUNS_A_PROCESS))
    results.put((began, time.monotonic(), num_frames))


class _Times:
    """Notes when the driver had how many frames."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, int, int]] = []

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def note(self, message: str) -> None: ...

    def working(self, totals: Totals) -> None:
        self.notes.append((time.monotonic(), totals.num_done, totals.num_frames))


def _stage(setting: Setting, count: int) -> float:
    """Frames per second of the stage with so many actors, once each has finished its first video."""
    store: Path = setting.folder / "stage"
    times = _Times()
    report = preprocess(
        copies(setting, VIDEOS_A_WORKER * count),
        store,
        every_fifth(),
        weights_dir=setting.weights_dir,
        num_workers=count,
        progress=times,
    )
    shutil.rmtree(store)
    assert not report.failures, report.failures
    first = next(note for note in times.notes if note[1] >= count)
    last = next(note for note in times.notes if note[1] == report.totals.num_done)
    return (last[2] - first[2]) / (last[0] - first[0])
