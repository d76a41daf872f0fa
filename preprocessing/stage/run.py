"""The whole stage: inputs in, a store and a report out."""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cache.errors import StoreError, UserError
from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.device import CPU, Device, require_gpu
from preprocessing.discover import discover
from preprocessing.engines import EngineChoices, engines_of
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import ray_runs, usable_cores
from preprocessing.stage.driver import Driver, StageError
from preprocessing.stage.job import Job, Pool
from preprocessing.stage.pending import Pending
from preprocessing.stage.plan import Plan, make_plan
from preprocessing.stage.report import FINISHED, INTERRUPTED, RunReport, make_report
from preprocessing.stage.totals import Totals
from preprocessing.stage.usage import DeviceUsage
from preprocessing.stage.watch import Watch
from preprocessing.stage.worker import CRASHES, NO_ROOM_ERRORS
from preprocessing.types import Source

BYTES_PER_SECOND = (
    14_000  # of video; few have less: a file that cannot be longer than one part needs one worker
)

WORKERS_A_CORE = 2  # with networks on a GPU: they wait for answers. On a cluster Ray gives each a core


class StageInterrupted(KeyboardInterrupt):
    """The run was ended by the user."""

    def __str__(self) -> str:
        return "interrupted; what was finished is stored. To go on, run the same command again"


class Progress(Protocol):
    """Shows a person how far the stage is."""

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def working(self, totals: Totals) -> None: ...

    def note(self, message: str) -> None: ...


class Silent:
    """Shows nothing."""

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def working(self, totals: Totals) -> None: ...

    def note(self, message: str) -> None: ...


@dataclass(frozen=True)
class StageReport:
    """What one run of the stage did."""

    sources: list[Source]
    choices: EngineChoices
    plan: Plan
    totals: Totals
    failures: list[FailureRecord] = field(default_factory=list)  # of this run and unchanged from before
    wall_seconds: float = 0.0

    @property
    def nothing_to_do(self) -> bool:
        return not self.plan.jobs


def preprocess(
    inputs: list[Path],
    out: Path,
    spec: PreprocessSpec,
    *,
    weights_dir: Path | None = None,
    num_workers: int | None = None,
    ray_address: str | None = None,
    device: Device | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    skip: Callable[[Path], bool] = lambda _path: False,
    watch: Watch | None = None,
    on_end: Callable[[RunReport], None] = lambda _report: None,
) -> StageReport:
    """Preprocess every input that the store does not hold yet.

    A bad video never stops the others; it is among `failures`. Raises StoreError, WeightsError or
    StageError, each one line for the user, where nothing at all can be done. One job and no cluster:
    spawned children do it; else a pool of Ray actors, one a core. Ctrl-C and SIGTERM end it by
    StageInterrupted once finished videos are stored; a second one at once. `on_end` gets the account of the
    run, which is kept in `STORE/runs/`, also where the run is cut short, but not where it cannot start.
    `device`: what runs the networks of all workers, in batches: `cuda`, a process on each GPU of the machine
    or cluster, or `cpu`, one process; None: each worker on its own core. `skip`: see `discover`.
    """
    progress = progress or Silent()
    began, started = time.monotonic(), time.time()
    on_gpu = device is not None and device != CPU
    if on_gpu and ray_address is None and not ray_runs():  # else GPUs are those of other machines, too
        require_gpu()
    sources, lost = discover(inputs, sidecars=spec.pose == "sidecar", frames_fps=spec.frames_fps, skip=skip)
    choices = engines_of(spec, weights_dir, gpu=on_gpu)
    if not sources:
        shown = ", ".join(str(path) for path in inputs[:3])
        why = f": {lost[0].name!r}: {lost[0].reason}" if lost else ""
        raise StageError(f"no video, image or keypoint file in {shown}{why}")
    progress.note(describe(choices))
    store = open_or_create(out, spec)
    plan, totals, failures = Plan(), Totals(0), list(lost)
    workers, work_seconds, ended, could_start = 0, 0.0, FINISHED, True
    device_usage: list[DeviceUsage] = []
    with store.lock(), _full_disk_is_one_line():
        try:
            pending = Pending(store, spec, choices)
            _sweep(store, pending)
            for failure in lost:
                store.record_failure(failure)
            plan = make_plan(store, sources, retry_failed=retry_failed, on_hashed=_counter(progress, sources))
            pending.sweep_changed(plan.keys)
            for failure in plan.failures:
                store.record_failure(failure)
            failures += plan.failures + plan.failed_before
            if plan.jobs:
                most = num_workers or usable_cores()
                if num_workers is None and device is not None and ray_address is None:
                    most *= WORKERS_A_CORE
                workers = _num_workers(plan.jobs, most, spec.segment_seconds)
                could_start = False
                pool = _pool(store, spec, choices, workers, ray_address, len(plan.jobs), device=device)
                could_start = True
                driver = Driver(
                    store,
                    pool,
                    workers,
                    spec,
                    pending=pending,
                    watch=watch,
                    on_progress=progress.working,
                )
                totals, work_began = driver.totals, time.monotonic()
                try:
                    with _stopped_by_signals(driver):
                        driver.run(plan.jobs)
                finally:
                    failures += driver.failures
                    work_seconds = time.monotonic() - work_began
                    device_usage = pool.device_usage
                _sweep(store, pending)  # what workers left that died
        except KeyboardInterrupt:
            ended = INTERRUPTED
            raise StageInterrupted from None
        except UserError as error:
            ended = str(error)
            raise
        finally:
            report = make_report(
                ended=ended,
                started=started,
                num_inputs=len(sources),
                plan=plan,
                totals=totals,
                failures=failures,
                wall_seconds=time.monotonic() - began,
                work_seconds=work_seconds,
                num_workers=workers,
                engines=choices.to_json(),
                devices=device_usage,
            )
            if could_start or ended == INTERRUPTED:  # else there is nothing to account for
                with contextlib.suppress(OSError):  # the run matters more than its account
                    report.save(store.path)
                on_end(report)
    return StageReport(sources, choices, plan, totals, failures, time.monotonic() - began)


def _sweep(store: Store, pending: Pending) -> None:
    """Remove what dead runs and dead workers left. The caller holds the lock, no worker is at work."""
    pending.sweep()
    store.sweep_partials()
    shutil.rmtree(store.path / CRASHES, ignore_errors=True)


def _counter(progress: Progress, sources: list[Source]) -> Callable[[Source], None]:
    num_hashed = 0

    def hashed(_source: Source) -> None:
        nonlocal num_hashed
        num_hashed += 1
        progress.hashing(num_hashed, len(sources))

    return hashed


def _num_workers(jobs: list[Job], most: int, segment_seconds: float) -> int:
    """Fewer where there cannot be work for all of them."""
    segment_bytes = segment_seconds * BYTES_PER_SECOND
    num_parts = sum(1 + int(job.num_bytes / segment_bytes) for job in jobs)
    return min(most, num_parts)


def _pool(
    store: Store,
    spec: PreprocessSpec,
    choices: EngineChoices,
    num_workers: int,
    ray_address: str | None,
    num_jobs: int,
    *,
    device: Device | None,
) -> Pool:
    """Spawned children for a single video, Ray otherwise."""
    if num_jobs == 1 and ray_address is None and device is None:
        from preprocessing.stage.child_pool import ChildPool

        return ChildPool(store.path, spec, choices)
    from preprocessing.stage.ray_pool import RayPool

    return RayPool(
        store.path,
        spec,
        choices,
        num_workers=num_workers,
        address=ray_address,
        device=device,
    )


@contextlib.contextmanager
def _stopped_by_signals(driver: Driver) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM lets the driver finish open shards, the second ends it at once."""
    if threading.current_thread() is not threading.main_thread():  # signals are another's affair
        yield
        return

    def stop(number: int, _frame: object) -> None:
        driver.stop()
        for each in before:
            signal.signal(each, signal.default_int_handler)

    before = {
        number: signal.getsignal(number) or signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM)
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _full_disk_is_one_line() -> Iterator[None]:
    """What workers say of a disk that takes nothing more, for what the driver writes itself."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM_ERRORS:
            raise
        raise StageError(f"the store cannot be written: {error.strerror}") from error


def open_or_create(out: Path, spec: PreprocessSpec) -> Store:
    """The store at `out`, new or with the same input contract and codec. Raises StoreError otherwise."""
    if (out / "store.json").exists():
        store = Store.open(out, contract=spec.contract())
        if store.codec != spec.codec:
            raise StoreError(f"{out} holds crops as {store.codec}, codec: {spec.codec} was asked for")
        return store
    return Store.create(out, spec=spec.model_dump(mode="json"), contract=spec.contract(), codec=spec.codec)


def describe(choices: EngineChoices) -> str:
    """One line for the user: which engines work and why these."""
    parts = [f"decoder {choices.decoder}", f"faces {choices.faces.name}"]
    if choices.faces.reason:
        parts[-1] += f" ({choices.faces.reason})"
    parts.append(f"skeletons {choices.skeletons.name}")
    if choices.skeletons.weights:
        parts[-1] += f" ({choices.skeletons.reason})"
    if choices.landmarks.name != "none":
        parts.append(f"landmarks {choices.landmarks.name} ({choices.landmarks.reason})")
    return ", ".join(parts)
