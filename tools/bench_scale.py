"""What one driver and one store can take: jobs a second, commits, openings; the overheads of `videofer plan`.

    .venv/bin/python tools/bench_scale.py [--jobs 100000] [--ray-workers 512] [--store DIR] [--json FILE]

The driver is the real one; its workers answer at once and do nothing, first in this process, then as real Ray
actors. The store is real, made in DIR (default: a temporary folder): put it on the file system that will hold
the archive. `--json` writes what `videofer plan --overheads` reads.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cache.schema import PersonRecord, SegmentRecord, VideoRecord
from cache.store import Store
from preprocessing.discover import discover
from preprocessing.part import SegmentOutcome
from preprocessing.scale.overheads import Overheads
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.driver import Driver
from preprocessing.stage.job import Handle, Job, Reply, Vitals
from preprocessing.stage.plan import make_plan
from preprocessing.tracking.evidence import SegmentEvidence
from preprocessing.types import Probe, Source

SHARD = "shard.h5"  # all records name this one; nobody reads it here
SEAL_EVERY = 500  # jobs
PROBE = Probe(640, 480, 0, False, 0, Fraction(1, 25), Fraction(0), 60.0, "h264", "yuv420p")
TRACKS = 4
NUM_PROCESSES = 4  # that play all watched workers


def outcome_of(index: int) -> SegmentOutcome:
    """What a worker tells of a minute of video."""
    record = SegmentRecord(0, SHARD, f"segments/{index}", 1500, 0, 1500, [])
    return SegmentOutcome(record, SegmentEvidence(0, 1500, 0.0, 60.0), PROBE, 0.0, 60.0, None, [], {})


def record_of(index: int) -> VideoRecord:
    """A commit record of ordinary size: four persons."""
    persons = [
        PersonRecord(n, [(0, n)], [], 1500, 0.0, 60.0, {"ok": 300, "interpolated": 1200}, {"absent": 1500})
        for n in range(TRACKS)
    ]
    return VideoRecord(
        key=f"{index:032x}", names=[f"folder/{index}.mp4"], kind="video", num_frames=1500,
        width=640, height=480, time_base=(1, 25), presentation_start=(0, 1), t_start=0.0, t_end=60.0,
        duration=60.0,
        segments=[SegmentRecord(0, SHARD, f"segments/{index}", 1500, 0, 1500, [])], persons=persons,
        provenance={"decoder": "pyav", "versions": {"av": "17", "numpy": "2"}},
    )  # fmt: skip


class Idle:
    """A worker that has done everything already."""

    def __init__(self) -> None:
        self.requests: deque[Job | None] = deque()
        self.num_open = self.beats = 0

    def submit(self, job: Job) -> None:
        self.requests.append(job)

    def seal(self) -> None:
        self.requests.append(None)

    def reply(self) -> Reply | None:
        if not self.requests:
            return None
        job = self.requests.popleft()
        if job is None:
            return Reply(sealed=[SHARD])
        self.num_open += 1
        sealed = [SHARD] if self.num_open % SEAL_EVERY == 0 else []
        return Reply(outcome=outcome_of(self.num_open), sealed=sealed)

    def vitals(self) -> Vitals:
        self.beats += 1
        return Vitals(self.beats, 0, 0.0, 10**8)

    def interrupt(self) -> None: ...

    def kill(self) -> None: ...


class IdlePool:
    """Idle workers in this process."""

    def spawn(self) -> Any:
        return Idle()

    def wait(self, handles: list[Handle], timeout_seconds: float) -> Sequence[Handle]:
        return handles

    def close(self) -> None: ...


class Actor:
    """An idle worker behind Ray."""

    def __init__(self) -> None:
        self.idle = Idle()

    def process(self, job: Job) -> Reply:
        self.idle.submit(job)
        reply = self.idle.reply()
        assert reply is not None
        return reply

    def seal(self) -> Reply:
        return Reply(sealed=[SHARD])

    def vitals(self) -> Vitals:
        return self.idle.vitals()


class ActorPool:
    """As `preprocessing.stage.ray_pool.RayPool`, with idle actors: many fit on one core."""

    def __init__(self, actor: type[Actor] = Actor) -> None:
        import ray

        from preprocessing.stage import ray_pool

        as_actor: Any = ray.remote
        self._actor = as_actor(num_cpus=0.001, max_restarts=0, concurrency_groups=ray_pool.GROUPS)(actor)
        self._module = ray_pool

    def spawn(self) -> Any:
        return self._module.RayHandle(self._actor.remote(), Path("/nonexistent/crash"))

    def wait(self, handles: list[Handle], timeout_seconds: float) -> Sequence[Handle]:
        return self._module.RayPool.wait(self, handles, timeout_seconds)  # type: ignore[arg-type]

    def close(self) -> None: ...


def new_store(folder: Path) -> Store:
    store = Store.create(folder, spec={}, contract={}, codec="jpeg")
    (folder / "shards" / SHARD).write_bytes(b"")
    return store


def drive(store: Store, pool: Any, num_workers: int, num_jobs: int) -> float:
    """Seconds of one run over jobs that take no time."""
    jobs = [
        Job(f"{index:032x}", [Source(Path(f"/in/{index}.mp4"), f"{index}.mp4", "video")], 10**6)
        for index in range(num_jobs)
    ]
    driver = Driver(store, pool, num_workers, PreprocessSpec())
    began = time.perf_counter()
    driver.run(jobs)
    seconds = time.perf_counter() - began
    assert driver.totals.num_done == num_jobs, driver.totals
    return seconds


class Watched(ActorPool):
    """Workers that sleep at their job, threads of four processes: to the driver they are as many actors.

    Notes what the driver used between all at work and the first reply.
    """

    def __init__(self, num_workers: int, seconds: float) -> None:
        import ray

        class Slow(Actor):
            def process(self, job: Job) -> Reply:
                time.sleep(seconds)
                return super().process(job)

        super().__init__()
        as_actor: Any = ray.remote
        threads = -(-num_workers // NUM_PROCESSES)
        shared = as_actor(num_cpus=0.001, max_concurrency=threads, concurrency_groups={"signs": 4})(Slow)
        self._shared = [shared.remote() for _ in range(NUM_PROCESSES)]
        self._num_workers, self._num_spawned = num_workers, 0
        self.marks: list[tuple[float, float]] = []  # wall and processor seconds

    def spawn(self) -> Any:
        self._num_spawned += 1
        actor = self._shared[self._num_spawned % NUM_PROCESSES]
        return self._module.RayHandle(actor, Path("/nonexistent/crash"))

    def wait(self, handles: list[Handle], timeout_seconds: float) -> Sequence[Handle]:
        ready = super().wait(handles, timeout_seconds)
        if len(handles) == self._num_workers and all(handle._requests for handle in handles):  # type: ignore[attr-defined]
            self.marks.append((time.perf_counter(), time.process_time()))
        return ready


def watching(num_workers: int, seconds: float) -> float:
    """The driver's share of a core for each worker that it only watches, with real Ray."""
    with tempfile.TemporaryDirectory() as folder:
        pool = Watched(num_workers, seconds)
        jobs = [
            Job(f"{n:032x}", [Source(Path(f"/in/{n}.mp4"), str(n), "video")], 1 << 30)
            for n in range(num_workers)
        ]
        Driver(new_store(Path(folder) / "store"), pool, num_workers, PreprocessSpec()).run(jobs)
    first, last = pool.marks[0], pool.marks[-1]
    wall, used = last[0] - first[0], last[1] - first[1]
    print(f"  {num_workers} workers watched for {wall:.1f} s: {used:.2f} s of the driver's processor")
    return used / wall / num_workers


def store_costs(store: Store, num_records: int) -> tuple[float, float, float]:
    """Seconds a record: committing as many as a seal does; opening without the index; with it."""
    began = time.perf_counter()
    for first in range(0, num_records, SEAL_EVERY):
        store.commit_all([record_of(index) for index in range(first, min(first + SEAL_EVERY, num_records))])
    commit = (time.perf_counter() - began) / num_records
    gc.collect()
    time.sleep(1)  # young records are not put into the index
    began = time.perf_counter()
    assert len(store.videos()) == num_records
    fresh = (time.perf_counter() - began) / num_records
    gc.collect()
    began = time.perf_counter()
    store.videos()
    return commit, fresh, (time.perf_counter() - began) / num_records


def plan_cost(folder: Path, num_inputs: int) -> float:
    """Seconds an input that is in the store already: found, looked up, left out."""
    inputs = folder / "inputs"
    for index in range(num_inputs):
        path = inputs / str(index // 1000) / f"{index}.mp4"
        if index % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(str(index).encode())
    store = new_store(folder / "planned")
    sources, _ = discover([inputs])
    with store.lock():
        plan = make_plan(store, sources)
        records = [replace(record_of(0), key=job.key, names=[job.source.name]) for job in plan.jobs]
        store.commit_all(records)
        began = time.perf_counter()
        sources, _ = discover([inputs])
        again = make_plan(store, sources)
    assert again.num_stored == num_inputs and not again.jobs
    return (time.perf_counter() - began) / num_inputs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--ray-workers", type=int, default=512, help="0: without Ray")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--store", type=Path, help="a folder that is not there yet")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = asdict(Overheads())
    with contextlib.ExitStack() as stack:
        folder = arguments.store or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        commit, fresh, indexed = store_costs(new_store(folder / "records"), arguments.records)
        number = arguments.records
        print(
            f"{number:,} records: {1e6 * commit:.0f} us each to commit; all to open: {fresh * number:.1f} s"
        )
        print(f"  without the index, {indexed * number:.1f} s with it")
        found |= {"commit_seconds": 0.0, "open_seconds": fresh}  # commits are in the jobs below
        num_inputs = min(arguments.records, 20_000)
        found["plan_seconds"] = plan_cost(folder, num_inputs)
        print(f"{num_inputs:,} inputs that are stored already: {1e6 * found['plan_seconds']:.0f} us each")
        for number in (arguments.jobs // 10, arguments.jobs):
            seconds = drive(new_store(folder / f"driven-{number}"), IdlePool(), arguments.workers, number)
            each = seconds / number
            print(f"driver, {number:,} jobs in this process: {number / seconds:,.0f} a second, committed")
            found["job_seconds"] = each
        if arguments.ray_workers:
            import ray

            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            number = min(arguments.jobs, 5000)
            seconds = drive(new_store(folder / "ray"), ActorPool(), 4, number)
            found["job_seconds"] = seconds / number
            print(f"driver, {number:,} jobs, Ray actors: {number / seconds:,.0f} jobs/s with commits")
            found["watch_seconds"] = watching(arguments.ray_workers, 40.0)
            ray.shutdown()
    overheads = Overheads(**found)
    print(overheads)
    if arguments.json is not None:
        overheads.save(arguments.json)


if __name__ == "__main__":
    main()
