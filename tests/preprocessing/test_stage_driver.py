"""The driver's rules against workers that die, hang and fail on demand; the pools have their own tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cache.schema import FailureRecord
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.part import SegmentOutcome
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.driver import Driver, StageError
from preprocessing.stage.job import KILLED, Handle, Job, Reply, Vitals, WorkerLostError
from preprocessing.stage.totals import Totals
from preprocessing.stage.usage import DeviceUsage
from preprocessing.tracking.evidence import SegmentEvidence
from preprocessing.types import Probe, Source, Span

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
    waiting: deque[Job | None] = field(default_factory=deque)  # None: the request to seal
    begun: Job | None = None
    fate: str = ""
    beats: int = 0
    interrupted: bool = False
    killed: bool = False
    most_waiting: int = 0
    done: list[str] = field(default_factory=list)

    def submit(self, job: Job) -> None:
        self.waiting.append(job)
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def seal(self) -> None:
        self.waiting.append(None)

    def reply(self) -> Reply | None:
        if not self.waiting:
            return None
        job = self.waiting[0]
        if job is None:
            self.waiting.popleft()
            self.interrupted = False
            name = self.writer.seal()
            return Reply(sealed=[name] if name else [])
        if self.begun is not job:
            self.begun, self.fate = job, self.behave(job, self.number)
        reply = Reply(interrupted=True) if self.interrupted else self.work(job)
        if reply is not None:
            self.waiting.popleft()
        return reply

    def work(self, job: Job) -> Reply | None:
        """The answer to one job, None as long as it hangs."""
        if self.fate in ("die", "crash"):
            raise WorkerLostError("the worker process is gone", crashed=self.fate == "crash")
        if self.fate in ("hang", "grow"):
            return None
        if self.fate == "unfit":
            return Reply(unfit="ZeroDivisionError: nobody foresaw it")
        if self.fate == "full":
            return Reply(hopeless="the store cannot be written: No space left on device")
        if self.fate == "placeless":
            return Reply(no_place="the process that holds the GPU is gone")
        if self.fate == "fail":
            return Reply(failed_stage="decode", failed_error="InputError", failed_reason="no good")
        if self.fate == "unreadable":
            return Reply(failed_stage="read", failed_error="InputError", failed_reason="Input/output error")
        if self.fate == "long" and job.span is None:
            edges = [None, 5, 10, 15, None]
            return Reply(spans=[Span(n, *edges[n : n + 2]) for n in range(4)])
        index = 0 if job.span is None else job.span.index
        segment = self.writer.begin_segment(job.key, index, PROBE.time_base)
        segment.append_frames(5 * index + np.arange(5, dtype=np.int64))
        self.done.append(job.name)
        record = segment.finish(5 * index + 5)
        t_start, t_end = index / 5, index / 5 + 0.2
        evidence = SegmentEvidence(index, 5, t_start, t_end)
        return Reply(outcome=SegmentOutcome(record, evidence, PROBE, t_start, t_end, None, [], {}))

    def vitals(self) -> Vitals | None:
        if self.fate != "hang":
            self.beats += 1
        return Vitals(self.beats, 0, 0.0, 10**12 if self.fate == "grow" else 10**6)

    def interrupt(self) -> None:
        self.interrupted = True

    def kill(self) -> None:
        self.killed = True
        self.writer.discard()


class FakePool:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        behave: Callable[[Job, int], str],
        handle: type[FakeHandle] = FakeHandle,
    ) -> None:
        self.store, self.clock, self.behave, self.handle = store, clock, behave, handle
        self.handles: list[FakeHandle] = []
        self.closed = False
        self.device_usage: list[DeviceUsage] = []

    def spawn(self) -> FakeHandle:
        writer = ShardWriter(self.store.path, codec="jpeg", crop_size=112)
        self.handles.append(self.handle(writer, self.clock, self.behave, len(self.handles)))
        return self.handles[-1]

    def wait(self, handles: list[Handle], timeout_seconds: float) -> list[Handle]:
        self.clock.now += timeout_seconds
        return handles

    def close(self) -> None:
        self.closed = True


def jobs(*names: str) -> list[Job]:
    return [Job(f"key-{name}", [Source(Path(name), name, "video")]) for name in names]


def make_driver(
    store: Store,
    pool: FakePool,
    workers: int = 2,
    on_progress: Callable[[Totals], None] = lambda _totals: None,
) -> Driver:
    return Driver(store, pool, workers, PreprocessSpec(), on_progress=on_progress, clock=pool.clock)


def run(
    tmp_path: Path, behave: Callable[[Job, int], str], *names: str, workers: int = 2
) -> tuple[Store, FakePool, list[FailureRecord], Driver]:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, behave)
    driver = make_driver(store, pool, workers)
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


@pytest.mark.parametrize(
    ("fate", "attempts", "reason"),
    [
        ("crash", 3, "the worker process is gone"),
        ("hang", 2, "no progress for 60 s"),
        ("grow", 2, "used more than 8.0 GiB of memory"),
        ("unfit", 2, "ZeroDivisionError: nobody foresaw it"),
    ],
)
def test_a_poison_video_is_given_up_only_after_running_alone(
    tmp_path: Path, fate: str, attempts: int, reason: str
) -> None:
    ran: list[tuple[str, int]] = []

    def behave(job: Job, worker: int) -> str:
        ran.append((job.source.name, worker))
        return fate if job.source.name == "poison" else "work"

    store, _, failures, driver = run(tmp_path, behave, "a", "b", "poison", "c", "d", "e")
    assert stored(store) == ["a", "b", "c", "d", "e"], "videos of the dead worker's shard are done again"
    assert [(f.name, f.stage, f.attempts, f.reason) for f in failures] == [
        ("poison", "worker", attempts, reason)
    ]
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


def test_a_video_whose_workers_vanish_is_guilty_only_by_comparison(tmp_path: Path) -> None:
    """Nobody says why the process is gone: many more deaths than others have, in the same time, tell."""
    names = [f"v{n}" for n in range(60)]
    store, _, failures, _ = run(
        tmp_path, lambda job, n: "die" if job.source.name == "poison" else "work", "poison", *names
    )
    assert stored(store) == sorted(names)
    assert [(f.name, f.stage, f.error) for f in failures] == [("poison", "worker", "WorkerLostError")]
    assert "when it ran alone" in failures[0].reason


def test_where_every_worker_is_killed_no_video_is_guilty(tmp_path: Path) -> None:
    store, _, failures, _ = run(tmp_path, lambda job, n: "die", "a", "b", "c")
    assert stored(store) == []
    assert {(f.name, f.error) for f in failures} == {(name, KILLED) for name in "abc"}
    assert all("the next run tries it again" in f.reason for f in failures)


def test_what_waited_behind_a_poison_video_is_not_blamed(tmp_path: Path) -> None:
    store, pool, failures, _ = run(
        tmp_path, lambda job, n: "crash" if job.source.name == "poison" else "work", "poison", "a", workers=1
    )
    assert stored(store) == ["a"] and [f.name for f in failures] == ["poison"]
    assert pool.handles[0].most_waiting == 2, "the next video is with the worker before it asks"
    assert all(handle.most_waiting == 1 for handle in pool.handles[1:3]), "suspects run alone"


@pytest.mark.parametrize("num_starts", [1, 2])
def test_deaths_of_starting_workers_do_not_end_the_stage(tmp_path: Path, num_starts: int) -> None:
    class Unlucky(FakeHandle):
        def vitals(self) -> Vitals | None:
            if self.number < num_starts:
                raise WorkerLostError("the worker process is gone")
            return super().vitals()

    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    pool = FakePool(store, Clock(), lambda job, n: "work", Unlucky)
    assert make_driver(store, pool).run(jobs("a", "b", "c")) == []
    assert stored(store) == ["a", "b", "c"]


def test_workers_that_cannot_start_end_the_stage(tmp_path: Path) -> None:
    class Stillborn(FakeHandle):
        def vitals(self) -> Vitals | None:
            raise WorkerLostError("weights are not on this machine", at_start=True)

    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    pool = FakePool(store, Clock(), lambda job, n: "work", Stillborn)
    with pytest.raises(StageError, match="workers cannot start: weights are not on this machine"):
        make_driver(store, pool).run(jobs("a", "b"))
    assert store.failures() == [], "no video is blamed for it"


def test_same_content_is_stored_once_under_all_its_names(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    sources = [Source(Path("a/x.mp4"), "a/x.mp4", "video"), Source(Path("b/y.mp4"), "b/y.mp4", "video")]
    make_driver(store, FakePool(store, Clock(), lambda job, n: "work"), 1).run([Job("k", sources)])
    assert [video.names for video in store.videos()] == [["a/x.mp4", "b/y.mp4"]]


def driver_stopped_at(seconds: float, store: Store, pool: FakePool) -> Driver:
    """One worker's driver that gets Ctrl-C at this time of the pool's clock."""
    driver, working = make_driver(store, pool, 1), pool.wait

    def wait(handles: list[Handle], timeout_seconds: float) -> list[Handle]:
        if pool.clock.now > seconds:
            driver.stop()
        return working(handles, timeout_seconds)

    pool.wait = wait  # type: ignore[method-assign]
    return driver


def test_interrupted_driver_keeps_what_is_finished(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")

    def stop(totals: Totals) -> None:
        if totals.num_done == 4:
            driver.stop()

    driver = make_driver(store, FakePool(store, Clock(), lambda job, n: "work"), 2, stop)
    with pytest.raises(KeyboardInterrupt):
        driver.run(jobs(*[f"v{n}" for n in range(10)]))
    assert 4 <= len(stored(store)) < 10


def test_interrupted_driver_keeps_what_busy_workers_finished(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, lambda job, n: "hang" if job.source.name == "v2" else "work")
    with pytest.raises(KeyboardInterrupt):
        driver_stopped_at(30, store, pool).run(jobs("v0", "v1", "v2", "v3"))
    assert stored(store) == ["v0", "v1"]


def test_a_lost_gpu_ends_the_run_keeps_what_is_done_and_blames_no_video(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    pool = FakePool(store, Clock(), lambda job, n: "placeless" if job.source.name in "cd" else "work")
    with pytest.raises(StageError, match="the process that holds the GPU is gone"):
        make_driver(store, pool, 1).run(jobs("a", "b", "c", "d", "e"))
    assert store.failures() == [] and stored(store) == ["a", "b"] and pool.closed


def test_a_full_disk_ends_the_run_and_blames_no_video(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()
    pool = FakePool(store, clock, lambda job, n: "full" if job.source.name == "b" else "work")
    with pytest.raises(StageError, match="cannot be written: No space left"):
        make_driver(store, pool, 1).run(jobs("a", "b", "c"))
    assert store.failures() == []
    pool.behave = lambda job, n: "work"
    make_driver(store, pool, 1).run(jobs("a", "b", "c"))
    assert stored(store) == ["a", "b", "c"]


# --- long videos ---------------------------------------------------------------------------------


def long_or_fail(*bad: int) -> Callable[[Job, int], str]:
    """All videos have four parts, of which some fail."""
    return lambda job, n: "fail" if job.span is not None and job.span.index in bad else "long"


def test_the_parts_of_a_long_video_become_one(tmp_path: Path) -> None:
    store, pool, failures, driver = run(tmp_path, long_or_fail(), "a", "b", workers=3)
    assert failures == [] and stored(store) == ["a", "b"]
    for video in store.videos():
        assert [segment.index for segment in video.segments] == [0, 1, 2, 3]
        assert (video.num_frames, video.t_start, video.t_end) == (20, 0.0, 0.8)
    assert sorted(done for handle in pool.handles for done in handle.done) == sorted(
        f"key-{name}-{n}" for name in "ab" for n in range(4)
    )
    assert list((store.path / "pending").iterdir()) == []
    totals = driver.totals
    assert (totals.num_done, totals.num_segments, totals.num_segments_done) == (2, 8, 8)
    assert totals.costs.num_videos == 2 and totals.costs.num_segments == 8


@pytest.mark.parametrize(
    ("bad", "not_decoded", "t_start", "t_end", "duration"),
    [
        ((0,), [(0, 5)], 0.2, 0.8, 0.8),
        ((1, 2), [(5, 15)], 0.0, 0.8, 0.8),
        ((3,), [], 0.0, 0.6, 1.0),  # what lacks at the end lies beyond t_end
    ],
)
def test_a_lost_part_is_marked_and_told(
    tmp_path: Path,
    bad: tuple[int, ...],
    not_decoded: list[tuple[int, int]],
    t_start: float,
    t_end: float,
    duration: float,
) -> None:
    store, _, failures, _ = run(tmp_path, long_or_fail(*bad), "a")
    (video,) = store.videos()
    assert [s.index for s in video.segments] == [n for n in range(4) if n not in bad]
    assert video.not_decoded == not_decoded
    assert (video.t_start, video.t_end, video.duration) == pytest.approx((t_start, t_end, duration))
    told = f"no good ({len(bad)} of 4 parts failed; the rest is stored)"
    assert [(f.name, f.reason) for f in failures] == [("a", told)]


def test_a_video_without_a_good_part_fails(tmp_path: Path) -> None:
    store, _, failures, driver = run(tmp_path, long_or_fail(0, 1, 2, 3), "a")
    assert stored(store) == [] and [f.reason for f in failures] == ["no good"]
    assert (driver.totals.num_done, driver.totals.num_failed) == (0, 1)


def test_only_the_part_that_kills_its_worker_is_blamed(tmp_path: Path) -> None:
    def behave(job: Job, worker: int) -> str:
        return "crash" if job.span is not None and job.span.index == 2 else "long"

    store, _, failures, _ = run(tmp_path, behave, "a")
    (video,) = store.videos()
    assert [s.index for s in video.segments] == [0, 1, 3] and video.not_decoded == [(10, 15)]
    assert [f.name for f in failures] == ["a"]


def test_finished_parts_outlive_the_driver(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    clock = Clock()

    def behave(job: Job, worker: int) -> str:
        return "hang" if job.span is not None and job.span.index == 3 else "long"

    pool = FakePool(store, clock, behave)
    with pytest.raises(KeyboardInterrupt):
        driver_stopped_at(20, store, pool).run(jobs("a"))
    assert stored(store) == []
    assert len(list((store.path / "pending").glob("key-a-*.json"))) == 3
    store.sweep_partials()
    again = FakePool(store, Clock(), long_or_fail())
    assert make_driver(store, again).run(jobs("a")) == []
    assert [done for handle in again.handles for done in handle.done] == ["key-a-3"], "the rest was there"
    (video,) = store.videos()
    assert video.num_frames == 20 and list((store.path / "pending").iterdir()) == []


@pytest.mark.parametrize(("fate", "error"), [("die", KILLED), ("unreadable", "InputError")])
def test_a_video_is_not_closed_while_a_part_is_to_be_tried_again(
    tmp_path: Path, fate: str, error: str
) -> None:
    """Its workers were killed from outside, or the disk failed: the other parts wait for the next run."""

    def behave(job: Job, worker: int) -> str:
        return fate if job.span is not None and job.span.index == 1 else "long"

    store, _, failures, _ = run(tmp_path, behave, "a")
    assert stored(store) == [] and [f.error for f in failures] == [error]
    assert len(list((store.path / "pending").glob("*.json"))) == 3
