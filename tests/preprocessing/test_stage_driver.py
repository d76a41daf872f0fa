"""The driver's rules against workers that die, hang and fail on demand; the pools have their own tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cache.schema import FailureRecord
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.pipeline import SegmentOutcome
from preprocessing.stage.driver import Driver, StageError, Watch
from preprocessing.stage.job import Handle, Job, Reply, Vitals, WorkerLostError
from preprocessing.types import Probe, Source

PROBE = Probe(64, 48, 0, False, 0, Fraction(1, 25), Fraction(0), 1.0, "test", "test")


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeHandle:
    """A worker in this process: writes real shards, and behaves as the job's name says."""

    writer: ShardWriter
    clock: Clock
    behave: Callable[[Job, int], str]
    number: int
    job: Job | None = None
    sealing: bool = False
    fate: str = ""
    beats: int = 0
    interrupted: bool = False
    killed: bool = False
    done: list[str] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.job, self.fate = job, self.behave(job, self.number)

    def seal(self) -> None:
        self.sealing = True

    def reply(self) -> Reply | None:
        if self.sealing:
            self.sealing = False
            name = self.writer.seal()
            return Reply(sealed=[name] if name else [])
        if self.job is None:
            return None
        if self.fate == "die":
            raise WorkerLostError("the worker process was ended by SIGSEGV")
        if self.fate == "hang":
            return Reply(interrupted=True) if self.interrupted else None
        if self.fate == "unfit":
            return Reply(unfit="ZeroDivisionError: nobody foresaw it")
        if self.fate == "full":
            return Reply(hopeless="the store cannot be written: No space left on device")
        job, self.job = self.job, None
        if self.fate == "fail":
            return Reply(failed_stage="decode", failed_error="InputError", failed_reason="no good")
        segment = self.writer.begin_segment(job.key, 0, PROBE.time_base)
        segment.append_frames(np.arange(5, dtype=np.int64))
        self.done.append(job.key)
        record = segment.finish(5)
        return Reply(outcome=SegmentOutcome(record, [], PROBE, 0.0, 0.2, None, [], {}))

    def vitals(self) -> Vitals | None:
        if self.fate != "hang":
            self.beats += 1
        rss = 10**12 if self.fate == "grow" else 10**6
        return Vitals(self.beats, 0, 0.0, rss)

    def interrupt(self) -> None:
        self.interrupted = True

    def kill(self) -> None:
        self.killed = True
        self.writer.discard()


class FakePool:
    def __init__(self, store: Store, clock: Clock, behave: Callable[[Job, int], str]) -> None:
        self.store, self.clock, self.behave = store, clock, behave
        self.handles: list[FakeHandle] = []
        self.closed = False

    def spawn(self) -> FakeHandle:
        writer = ShardWriter(self.store.path, codec="jpeg", crop_size=112)
        self.handles.append(FakeHandle(writer, self.clock, self.behave, len(self.handles)))
        return self.handles[-1]

    def wait(self, handles: list[Handle], timeout_seconds: float) -> None:
        self.clock.now += timeout_seconds

    def close(self) -> None:
        self.closed = True


def jobs(*names: str) -> list[Job]:
    return [Job(f"key-{name}", [Source(Path(name), name, "video")]) for name in names]


def run(
    tmp_path: Path, behave: Callable[[Job, int], str], *names: str, workers: int = 2
) -> tuple[Store, FakePool, list[FailureRecord], Driver]:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, behave)
    driver = Driver(store, pool, workers, Watch(), clock=clock)
    failures = driver.run(jobs(*names))
    assert pool.closed and all(handle.killed for handle in pool.handles)
    return store, pool, failures, driver


def stored(store: Store) -> list[str]:
    return sorted(name for video in store.videos() for name in video.names)


def test_all_good_videos_are_committed_once(tmp_path: Path) -> None:
    names = [f"v{n}" for n in range(12)]
    store, pool, failures, driver = run(tmp_path, lambda job, n: "work", *names)
    assert stored(store) == sorted(names) and failures == []
    assert len(pool.handles) == 2 and driver.totals.num_done == 12


def test_a_failing_video_does_not_stop_the_others(tmp_path: Path) -> None:
    store, _, failures, driver = run(
        tmp_path, lambda job, n: "fail" if job.source.name == "bad" else "work", "a", "bad", "b"
    )
    assert stored(store) == ["a", "b"]
    assert [(f.name, f.stage, f.reason) for f in failures] == [("bad", "decode", "no good")]
    assert [f.name for f in store.failures()] == ["bad"]
    assert (driver.totals.num_done, driver.totals.num_failed) == (2, 1)


@pytest.mark.parametrize("fate", ["die", "hang", "grow"])
def test_a_poison_video_is_given_up_only_after_running_alone(tmp_path: Path, fate: str) -> None:
    ran: list[tuple[str, int]] = []

    def behave(job: Job, worker: int) -> str:
        ran.append((job.source.name, worker))
        return ("hang" if fate == "grow" else fate) if job.source.name == "poison" else "work"

    store, _, failures, driver = run(tmp_path, behave, "a", "b", "poison", "c", "d", "e")
    assert stored(store) == ["a", "b", "c", "d", "e"], "videos of the dead worker's shard are done again"
    attempts = 4 if fate == "die" else 2
    assert [(f.name, f.stage, f.attempts) for f in failures] == [("poison", "worker", attempts)]
    last_worker = [worker for name, worker in ran if name == "poison"][-1]
    assert [name for name, worker in ran if worker == last_worker] == ["poison"]
    assert driver.totals.num_workers_lost == attempts


def test_deaths_from_outside_leave_no_blame(tmp_path: Path) -> None:
    """Every worker dies at its third video, whatever that is: all videos are stored in the end."""
    count: dict[int, int] = {}

    def behave(job: Job, worker: int) -> str:
        count[worker] = count.get(worker, 0) + 1
        return "die" if count[worker] == 3 and worker < 4 else "work"

    names = [f"v{n}" for n in range(10)]
    store, _, failures, _ = run(tmp_path, behave, *names)
    assert stored(store) == sorted(names) and failures == []


def test_too_much_memory_counts_as_hanging(tmp_path: Path) -> None:
    class Fat(FakeHandle):
        def reply(self) -> Reply | None:
            return None if self.job is not None and self.job.source.name == "fat" else super().reply()

        def vitals(self) -> Vitals | None:
            self.beats += 1
            return Vitals(self.beats, 0, 0.0, 10**12 if self.job and self.job.source.name == "fat" else 0)

    class FatPool(FakePool):
        def spawn(self) -> FakeHandle:
            writer = ShardWriter(self.store.path, codec="jpeg", crop_size=112)
            self.handles.append(Fat(writer, self.clock, self.behave, len(self.handles)))
            return self.handles[-1]

    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    driver = Driver(store, FatPool(store, clock, lambda job, n: "work"), 2, Watch(), clock=clock)
    failures = driver.run(jobs("a", "fat", "b"))
    assert stored(store) == ["a", "b"]
    assert [(f.name, "memory" in f.reason) for f in failures] == [("fat", True)]


def test_workers_that_cannot_start_end_the_stage(tmp_path: Path) -> None:
    class Stillborn(FakeHandle):
        def vitals(self) -> Vitals | None:
            raise WorkerLostError("weights are not on this machine")

    class StillbornPool(FakePool):
        def spawn(self) -> FakeHandle:
            writer = ShardWriter(self.store.path, codec="jpeg", crop_size=112)
            self.handles.append(Stillborn(writer, self.clock, self.behave, len(self.handles)))
            return self.handles[-1]

    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = StillbornPool(store, clock, lambda job, n: "work")
    with pytest.raises(StageError, match="workers cannot start: weights are not on this machine"):
        Driver(store, pool, 2, Watch(), clock=clock).run(jobs("a", "b"))
    assert store.failures() == [], "no video is blamed for it"


def test_same_content_is_stored_once_under_all_its_names(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    sources = [Source(Path("a/x.mp4"), "a/x.mp4", "video"), Source(Path("b/y.mp4"), "b/y.mp4", "video")]
    Driver(store, FakePool(store, clock, lambda job, n: "work"), 1, Watch(), clock=clock).run(
        [Job("k", sources)]
    )
    assert [video.names for video in store.videos()] == [["a/x.mp4", "b/y.mp4"]]


def test_interrupted_driver_keeps_what_is_finished(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()

    def stop(totals: object) -> None:
        if driver.totals.num_done == 4:
            raise KeyboardInterrupt

    driver = Driver(store, FakePool(store, clock, lambda job, n: "work"), 2, Watch(), stop, clock)
    with pytest.raises(KeyboardInterrupt):
        driver.run(jobs(*[f"v{n}" for n in range(10)]))
    assert len(stored(store)) == 4


def test_interrupted_driver_keeps_what_busy_workers_finished(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, lambda job, n: "hang" if job.source.name == "v2" else "work")
    working = pool.wait

    def wait(handles: list[Handle], timeout_seconds: float) -> None:
        working(handles, timeout_seconds)
        if clock.now > 30 and not pool.handles[0].interrupted:
            raise KeyboardInterrupt

    pool.wait = wait  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        Driver(store, pool, 1, Watch(), clock=clock).run(jobs("v0", "v1", "v2", "v3"))
    assert stored(store) == ["v0", "v1"]


def test_an_unforeseen_error_stops_no_other_video(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, lambda job, n: "unfit" if job.source.name == "odd" else "work")
    failures = Driver(store, pool, 2, Watch(), clock=clock).run(jobs("a", "odd", "b", "c"))
    assert stored(store) == ["a", "b", "c"]
    assert [(f.name, f.stage, f.reason) for f in failures] == [
        ("odd", "worker", "ZeroDivisionError: nobody foresaw it")
    ]


def test_a_full_disk_ends_the_run_and_blames_no_video(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, lambda job, n: "full" if job.source.name == "b" else "work")
    with pytest.raises(StageError, match="cannot be written: No space left"):
        Driver(store, pool, 1, Watch(), clock=clock).run(jobs("a", "b", "c"))
    assert store.failures() == []
    pool.behave = lambda job, n: "work"
    Driver(store, pool, 1, Watch(), clock=clock).run(jobs("a", "b", "c"))
    assert stored(store) == ["a", "b", "c"]
