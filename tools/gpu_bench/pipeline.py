"""The whole of preprocessing from several files at once: rates, how busy all were, and what held them up."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocessing.device import Device
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.report import RunReport
from preprocessing.stage.run import preprocess
from preprocessing.stage.totals import Totals
from tools.gpu_bench.busy import cpu_seconds, gpu_samples

NETWORK_STAGES = ("detect", "landmarks", "pose")  # of the worker's meter: most of it waiting for a device
BUSY_DEVICE = 0.85  # from such a share on it is what limits
IDLE_WORKERS = 0.7


@dataclass(frozen=True)
class Case:
    """One way to preprocess."""

    name: str
    spec: PreprocessSpec
    device: Device | None  # None: networks run on the workers' cores
    num_workers: int


@dataclass(frozen=True)
class Figures:
    """Of one run."""

    case: Case
    num_frames: int
    frames_per_second: float  # while all workers work
    busy_share: float | None  # of the device processes, each from the first frame on; None: there were none
    gpu_share: float | None  # with a kernel running, as nvidia-smi says; None without a GPU
    mean_batch: float | None
    cpu_ms_a_frame: dict[str, float]  # by kind of process; what networks compute on a CPU included
    worker_share: float  # of the workers' time from the first frame on that they had a video
    stages: dict[str, float]  # seconds

    @property
    def bottleneck(self) -> str:
        """What held it up, in words."""
        if self.busy_share is not None and self.busy_share >= BUSY_DEVICE:
            return "the device"
        if self.worker_share < IDLE_WORKERS:
            return "handing out videos: too few, or too short"
        own = {name: value for name, value in self.stages.items() if name not in NETWORK_STAGES}
        total = sum(self.stages.values())
        networks = total - sum(own.values())
        if networks > 0.5 * total:
            where = "on the cores" if self.case.device is None else "waited for: more workers help"
            return f"the networks, {where} ({networks / total:.0%})"
        most = max(own, key=lambda name: own[name])
        return f"the cores: {most} {own[most] / total:.0%}"


def measure(case: Case, videos: Sequence[Path], store: Path, weights_dir: Path | None) -> Figures:
    """One run of the stage into a store that is removed again."""
    watch = _Watch(case.num_workers)
    reports: list[RunReport] = []
    with gpu_samples() as samples:
        done = preprocess(
            list(videos),
            store,
            case.spec,
            weights_dir=weights_dir,
            num_workers=case.num_workers,
            device=case.device,
            progress=watch,
            on_end=reports.append,
        )
    shutil.rmtree(store)
    (report,) = reports
    if done.failures:
        raise SystemExit(f"{case.name}: {done.failures[0].name}: {done.failures[0].reason}")
    seconds, frames, cpu = watch.steady()
    working = watch.working_seconds
    devices, batches = report.devices, sum(each.num_batches for each in report.devices)
    return Figures(
        case=case,
        num_frames=report.num_frames,
        frames_per_second=frames / seconds,
        busy_share=sum(each.busy_seconds for each in devices) / len(devices) / working if devices else None,
        gpu_share=samples.mean_share,
        mean_batch=sum(each.num_pictures for each in devices) / batches if batches else None,
        cpu_ms_a_frame={kind: 1000 * value / frames for kind, value in cpu.items()},
        worker_share=min(1.0, report.worker_seconds / (working * report.num_workers)),
        stages={name: value for name, value in report.stage_seconds.items() if name != "wait"},
    )


@dataclass(frozen=True)
class _Note:
    seconds: float
    num_done: int
    num_frames: int
    cpu: dict[str, float]


class _Watch:
    """Notes the stage's progress, and the CPU time of all processes by then."""

    def __init__(self, num_workers: int) -> None:
        self._num_workers = num_workers
        self._notes: list[_Note] = []
        self._began: float | None = None

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def note(self, message: str) -> None: ...

    def working(self, totals: Totals) -> None:
        if self._began is None and totals.num_frames + totals.media_seconds_under_way > 0:
            self._began = time.monotonic()
        if not self._notes or totals.num_frames != self._notes[-1].num_frames:
            self._notes.append(_Note(time.monotonic(), totals.num_done, totals.num_frames, cpu_seconds()))

    @property
    def working_seconds(self) -> float:
        """From the first frame to the last finished video."""
        assert self._began is not None
        return max(self._notes[-1].seconds - self._began, 1e-9)

    def steady(self) -> tuple[float, int, dict[str, float]]:
        """Seconds, frames and CPU seconds from when each worker has finished a video to the last video."""
        first = next(note for note in self._notes if note.num_done >= self._num_workers)
        last = max(self._notes, key=lambda note: note.num_done)
        if last.num_done == first.num_done:
            raise SystemExit("too few videos for so many workers: none was finished after the first ones")
        cpu = {kind: last.cpu.get(kind, 0.0) - first.cpu.get(kind, 0.0) for kind in last.cpu}
        return last.seconds - first.seconds, last.num_frames - first.num_frames, cpu
