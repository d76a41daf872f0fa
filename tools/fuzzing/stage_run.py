"""Runs a folder of cases through the whole stage, with driver and watched workers; checks what is stored."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.fuzzing.corpus import Case
from tools.fuzzing.decode_run import Result

HUNG = ("no progress for", "not done after")
OVER_MEMORY = ("used more than", "out of memory")
SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class StageRun:
    """What came of a run of the stage."""

    results: list[Result]  # one a case
    problems: list[str]  # of the run or the store as a whole
    wall_seconds: float
    peak_worker_bytes: int  # resident memory of the largest process below this one
    num_workers_lost: int


def run_stage(
    cases: list[Case], store_dir: Path, *, num_workers: int, limit_bytes: int, weights: Path | None
) -> StageRun:
    """One run over the folder of the cases, with a segment length that has even small videos cut."""
    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.run import preprocess
    from preprocessing.stage.watch import Watch

    watch = Watch(silent_seconds=20, deadline_base_seconds=60, max_rss_bytes=limit_bytes)
    spec = PreprocessSpec(segment_seconds=1.0, min_track_seconds=0.1)
    problems = []
    began = time.monotonic()
    num_lost = 0
    with _peak_of_children() as peak:
        try:
            report = preprocess(
                [cases[0].path.parent],
                store_dir,
                spec,
                weights_dir=weights,
                num_workers=num_workers,
                watch=watch,
            )
            num_lost = report.totals.num_workers_lost
        except Exception as error:  # the run as a whole must never end because of an input
            problems.append(f"crash of the driver: {type(error).__name__}: {error}")
    seconds = time.monotonic() - began
    problems += [f"in the folder after the run: {path}" for path in store_dir.rglob("*.partial")]
    return StageRun(_judge(cases, store_dir, problems), problems, seconds, peak[0], num_lost)


def _judge(cases: list[Case], store_dir: Path, problems: list[str]) -> list[Result]:
    """What the store says of every case, checked byte by byte."""
    from cache.reader import StoreReader
    from cache.store import Store
    from cache.verify import verify
    from preprocessing.discover import place

    store = Store.open(store_dir)
    bad: dict[str | None, list[str]] = defaultdict(list)
    for problem in verify(store, deep=True):
        bad[problem.key].append(str(problem))
    problems += bad[None]
    reader = StoreReader(store_dir)
    videos = {}
    for video in store.videos():
        _, t_start, t_end = reader.times(video.key)
        if (
            (np.diff(t_start) <= 0).any()
            or (t_end <= t_start).any()
            or (t_end[:-1] > t_start[1:] + 1e-9).any()
        ):
            bad[video.key].append("its times do not increase")
        if len(t_start) != video.num_frames or video.num_frames == 0:
            bad[video.key].append(f"{video.num_frames} frames in its record, {len(t_start)} times")
        videos.update({Path(name).name: video for name in video.names})
    failures = {failure.path: failure for failure in store.failures()}
    results = []
    for case in cases:
        stored = videos.get(case.path.name)
        failure = failures.get(place(case.path))
        reason = f"{failure.stage}: {failure.reason}" if failure else ""
        if stored is not None and bad[stored.key]:
            results.append(Result("wrong", bad[stored.key][0], stored.num_frames))
        elif stored is not None:
            gaps = getattr(stored, "not_decoded", [])
            outcome = "stored in part" if failure or gaps else "stored whole"
            if gaps and not failure:
                outcome, reason = "wrong", "parts are not decoded, and it is not among the failures"
            results.append(Result(outcome, reason, stored.num_frames))
        elif failure is None:
            results.append(Result("wrong", "neither stored nor among the failures"))
        else:
            results.append(Result(_refusal(failure.stage, failure.reason), reason))
    return results


def _refusal(stage: str, reason: str) -> str:
    if any(sign in reason for sign in HUNG):
        return "hang"
    if any(sign in reason for sign in OVER_MEMORY):
        return "over memory"
    return "crash" if stage == "worker" else "refused"


@contextlib.contextmanager
def _peak_of_children():  # type: ignore[no-untyped-def]
    """A list with one number, the largest resident memory of a process below this one, in bytes."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_SECONDS):
            peak[0] = max([peak[0], *_worker_bytes()])

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _worker_bytes() -> list[int]:
    """Resident memory of the Ray actors and spawned children below this process."""
    parents, sizes = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                parents[int(folder.name)] = int(fields[1])
                name = (folder / "cmdline").read_bytes()
                if name.startswith(b"ray::") or b"multiprocessing" in name:
                    sizes[int(folder.name)] = int((folder / "statm").read_text().split()[1]) * os.sysconf(
                        "SC_PAGE_SIZE"
                    )
    found = []
    for pid, size in sizes.items():
        ancestor = pid
        while ancestor > 1 and ancestor != os.getpid():
            ancestor = parents.get(ancestor, 0)
        if ancestor == os.getpid():
            found.append(size)
    return found
