"""What all parts measure on: the generated video, the engines, and how rates are taken."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data

from preprocessing.engines import EngineChoices
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import Job
from preprocessing.stage.worker import Worker
from preprocessing.types import Source

FPS = 25


@dataclass(frozen=True)
class Setting:
    """The bench's folder and choices. Plain data: it passes between processes."""

    folder: Path  # for scratch; removed afterwards
    video: Path
    num_frames: int
    choices: EngineChoices
    weights_dir: Path | None
    repeats: int
    num_workers: int  # of the parts that fill the machine
    command_video: Path | None


def every_fifth(**changes: object) -> PreprocessSpec:
    """The measured spec: a look exactly every 5th frame, whatever moves or does not."""
    return PreprocessSpec().model_copy(update={"detect_longest_seconds": 0.01, **changes})


def make_video(path: Path, num_frames: int, height: int = 480) -> None:
    """640 wide H.264: a moving face before a slowly panned room, with the noise of a camera.

    height: at most 480, at least 360, so that the face stays inside.
    """
    above = (480 - height) // 2
    portrait = skimage.data.astronaut()[0:280, 90:370]  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(0)
    coarse = cv2.resize(
        rng.integers(40, 200, (24, 40, 3), np.uint8), (900, 540), interpolation=cv2.INTER_CUBIC
    )
    room = np.clip(coarse + rng.normal(0, 8, (540, 900, 1)), 0, 255).astype(np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "medium", "crf": "22"})
        stream.width, stream.height, stream.pix_fmt = 640, height, "yuv420p"
        for index in range(num_frames):
            pan_x, pan_y = int(120 + 110 * np.sin(index / 60)), int(30 + 25 * np.cos(index / 45))
            picture = room[pan_y : pan_y + 480, pan_x : pan_x + 640].copy()
            x = int(180 + 100 * np.sin(index / 40))
            y = int(100 + 40 * np.cos(index / 55))
            picture[y : y + 280, x : x + 280] = portrait
            noise = rng.normal(0, 2.5, (480, 640, 1))
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
            picture = np.ascontiguousarray(picture[above : above + height])
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def copies(setting: Setting, count: int) -> list[Path]:
    """So many files with the same pictures and different content: each ends with a free box of its own."""
    folder = setting.folder / f"copies-{count}"
    folder.mkdir(exist_ok=True)
    data = setting.video.read_bytes()
    paths = []
    for number in range(count):
        note = number.to_bytes(8, "big")
        path = folder / f"{number}.mp4"
        path.write_bytes(data + (8 + len(note)).to_bytes(4, "big") + b"free" + note)
        paths.append(path)
    return paths


def decode_only(path: Path) -> int:
    """Frames decoded by PyAV on one thread, nothing converted."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


class Preprocessing:
    """A worker as the stage runs it, without a driver: video in, sealed shard out."""

    def __init__(self, setting: Setting, spec: PreprocessSpec) -> None:
        self.setting = setting
        self.store = setting.folder / f"store-{os.getpid()}"
        (self.store / "shards").mkdir(parents=True, exist_ok=True)
        self.worker = Worker(self.store, spec, setting.choices)
        self.stage_seconds: dict[str, float] = {}  # of the newest run

    def __call__(self) -> int:
        """Frames preprocessed; every one of them has a crop."""
        reply = self.worker.process(Job("bench", [Source(self.setting.video, "bench", "video")]))
        assert reply.outcome is not None, reply
        sealed = self.worker.seal()
        for name in sealed.sealed:
            (self.store / "shards" / name).unlink()
        outcome = reply.outcome
        assert sum(t.num_frames for t in outcome.record.tracks if t.kind == "face") == self.setting.num_frames
        self.stage_seconds = dict(outcome.stage_seconds)
        for stage, seconds in sealed.seconds.items():
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds
        return outcome.record.num_frames


@dataclass
class Rates:
    """Frames per second of several runs, by the clock on the wall and by the CPU time of this process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def in_turns(runs: dict[str, Callable[[], int]], repeats: int) -> dict[str, Rates]:
    """Rates of each, measured alternately, so that a slow minute hurts all alike."""
    rates = {name: Rates() for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            num_frames = run()
            rates[name].wall.append(num_frames / (time.perf_counter() - began))
            rates[name].cpu.append(num_frames / (time.process_time() - began_cpu))
    return rates


def ratios(above: Rates, below: Rates) -> str:
    """Medians of the ratios of runs that stood side by side; by CPU time other work disturbs them less."""
    wall = statistics.median(a / b for a, b in zip(above.wall, below.wall, strict=True))
    cpu = statistics.median(a / b for a, b in zip(above.cpu, below.cpu, strict=True))
    return f"ratio {wall:.2f}, by CPU time {cpu:.2f}"


def row(name: str, rates: Rates, rest: str = "") -> str:
    """One line of a table."""
    return f"{name:36} {max(rates.wall):6.0f} frames/s (median {statistics.median(rates.wall):5.0f})  {rest}"
