"""A study: timelines and products of many videos side by side, then the index page and the tables of all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.atomic import atomic_write_text, sweep_temps
from cache.errors import UserError
from preprocessing.stage.cluster import usable_cores
from videofer.emotions import PERCEIVED
from videofer.study.metadata import Described, Metadata, describe
from videofer.study.plan import StudyPlan, make_plan
from videofer.study.pool import run_videos
from videofer.study.spec import Account, StudySpec, VideoTask, load_account

if TYPE_CHECKING:
    from preprocessing.stage.run import StageReport
    from videofer.checkpoint import TrainedModel

INDEX, ROWS, VIDEOS = "index.html", "rows.parquet", "videos.csv"


@dataclass
class StudyTotals:
    """How far the work is. Media seconds are those of the videos."""

    num_videos: int  # to be done
    media_seconds: float
    num_done: int = 0
    num_failed: int = 0
    media_seconds_done: float = 0.0
    media_seconds_under_way: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A video without a timeline, or an input that is no video."""

    name: str
    stage: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name!r}: {self.stage}: {self.reason}"


@dataclass(frozen=True)
class StudyReport:
    """What one run did."""

    paths: tuple[Path, ...]  # index page and tables
    failures: tuple[Failure, ...]  # those of preprocessing, too
    num_videos: int  # with tracks in the store
    num_done: int  # in this run
    num_failed: int  # in this run; the others were up to date
    num_with_warnings: int = 0  # of those that have all; not all of them could be decoded, above all
    notes: tuple[str, ...] = ()
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Done:
    """A video of the study with all that the index page and the tables take."""

    task: VideoTask
    account: Account


@dataclass
class _Run:
    """What a run has gathered."""

    totals: StudyTotals
    failures: list[Failure] = field(default_factory=list)


def run_study(
    model: TrainedModel,
    stage: StageReport,
    spec: StudySpec,
    *,
    metadata: Metadata,
    workers: int | None = None,
    ray_address: str | None = None,
    on_progress: Callable[[StudyTotals], None] = lambda _totals: None,
) -> StudyReport:
    """Everything for the videos of `stage`, which `preprocess` has put into the study's store.

    A bad video never stops the others. What is up to date is not done again. Ctrl-C and SIGTERM end the run;
    finished videos stay finished, and index and tables are those of the last whole run. Raises UserError
    where nothing can be done: another run is at work in the folder, metadata that do not fit, a full disk.
    """
    from videofer.study.page import index_page
    from videofer.study.tables import write_rows, write_videos

    began = time.monotonic()
    modality = spec.settings.modality
    if modality is not None and modality not in model.heads:
        raise UserError(f"modality is {modality!r}, but the model {spec.model} has {', '.join(model.heads)}")
    described = describe(metadata, [source.name for source in stage.sources])  # wrong ones show at once
    spec.folder.mkdir(parents=True, exist_ok=True)
    with _lock(spec.folder / "lock"):
        for folder in (spec.out, spec.folder):
            sweep_temps(folder)
        plan = make_plan(model, stage, spec)
        totals = StudyTotals(len(plan.to_do), sum(task.duration_seconds for task in plan.to_do))
        run = _Run(totals, [Failure(one.name, one.stage, one.reason) for one in stage.failures])
        if plan.to_do:
            num_workers = min(workers or usable_cores(), len(plan.to_do))
            with _stop_asked() as stop:
                _work(plan, spec, run, num_workers, ray_address, on_progress, stop)
        done, about = _finished(plan, spec, run, described, stage)
        failures = tuple(run.failures)
        paths = []
        if done:
            credit = f"{model.title} ({PERCEIVED})"
            paths.append(write_rows(spec.out / ROWS, done, spec, about, credit))
            paths.append(write_videos(spec.out / VIDEOS, done, about, credit))
            facts = _facts(model, spec)
            title = spec.out.resolve().name
            page = index_page(done, about, failures, title=title, group_by=metadata.group_by, facts=facts)
            atomic_write_text(spec.out / INDEX, page)
            paths.append(spec.out / INDEX)
    return StudyReport(
        paths=tuple(paths),
        failures=failures,
        num_videos=len(plan.videos),
        num_done=totals.num_done,
        num_failed=totals.num_failed,
        num_with_warnings=sum(one.task.num_warnings > 0 for one in done),
        notes=_notes(metadata, described, plan),
        wall_seconds=time.monotonic() - began,
    )


def _work(
    plan: StudyPlan,
    spec: StudySpec,
    run: _Run,
    workers: int,
    address: str | None,
    on_progress: Callable[[StudyTotals], None],
    stop: threading.Event,
) -> None:
    totals = run.totals

    def on_work(seconds: float) -> None:
        totals.media_seconds_under_way = seconds
        on_progress(totals)
        if stop.is_set():
            raise KeyboardInterrupt

    on_progress(totals)
    videos = run_videos(plan.to_do, spec, workers=workers, address=address, on_work=on_work)
    with contextlib.closing(videos):
        for task, answer in videos:
            if answer.hopeless:
                raise UserError(f"{spec.out} cannot be written: {answer.failed}")
            totals.media_seconds_done += task.duration_seconds
            if answer.failed:
                totals.num_failed += 1
                run.failures.append(Failure(task.name, "timeline", answer.failed))
            else:
                totals.num_done += 1


def _finished(
    plan: StudyPlan, spec: StudySpec, run: _Run, described: Described, stage: StageReport
) -> tuple[list[Done], Described]:
    """The videos that have all that was asked for, with their rows of metadata."""
    row_of = {source.name: row for source, row in zip(stage.sources, described.rows, strict=True)}
    failed = {failure.name for failure in run.failures if failure.stage == "timeline"}
    done = []
    for task in plan.videos:
        account = None if task.name in failed else load_account(spec.folder, task.key)
        if account is not None:
            done.append(Done(task, account))
    about = Described(
        columns=described.columns,
        rows=tuple(row_of[one.task.name] for one in done),
        unknown=described.unknown,
        without=described.without,
    )
    return done, about


def _notes(metadata: Metadata, described: Described, plan: StudyPlan) -> tuple[str, ...]:
    """What the user should know of how table and videos fit."""
    notes = [f"{name!r} has the content of {first!r}: counted once" for name, first in plan.twice]
    notes += [f"metadata: {path!r} is no video of this run" for path in described.unknown]
    if metadata.left_out:
        notes.append(f"metadata: several values for one video, left out: {', '.join(metadata.left_out)}")
    names = {task.name for task in plan.videos}
    without = [name for name in described.without if name in names]
    if without:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        notes.append(f"metadata: nothing about {without[0]!r}{more}")
    return tuple(notes)


def _facts(model: TrainedModel, spec: StudySpec) -> list[tuple[str, str]]:
    """What the page says of how it was made."""
    settings = spec.settings
    smoothing = settings.smoothing.model_dump(exclude_defaults=True, mode="json")
    smoothing["method"] = settings.smoothing.method
    facts = [
        ("model", f"{model.title}, weights {model.weights_sha256[:12]}"),
        ("reports", f"{PERCEIVED}: {', '.join(model.labels)}"),
        ("answer of", settings.modality or model.heads[-1]),
        ("smoothing", ", ".join(f"{name} {value}" for name, value in smoothing.items())),
        (
            "rows",
            f"every {model.spec.hop_seconds / settings.steps_per_hop:g} s, "
            f"windows of {model.spec.window_seconds:g} s",
        ),
    ]
    if settings.min_confidence > 0:
        facts.append(("uncertain", f"below {settings.min_confidence:.0%} confidence"))
    return facts


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One run a folder. UserError where another has it; it ends with its process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path.parent.parent} is in use by another run") from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _stop_asked() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM inside the block sets; the second one interrupts.

    The first one does not interrupt: in the midst of Ray's code that may be swallowed, or leave it torn.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals are another's affair
        yield asked
        return
    before: dict[int, Any] = {}

    def ask(_number: int, _frame: object) -> None:
        asked.set()
        for number in before:
            signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask) or signal.SIG_DFL
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if asked.is_set():  # after the last video
        raise KeyboardInterrupt
