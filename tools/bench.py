"""Speed, side by side in one run: decoding against the whole preprocessing, and sample reads from the store.

    make bench            (or: .venv/bin/python tools/bench.py [--frames 1500] [--weights-dir DIR])

YuNet's weights are taken from --weights-dir, $VIDEOFER_WEIGHTS, or the test data beside the checkout.

The video is made here: 640x480 H.264, 25 fps, one moving face. Decode-only is PyAV on one thread, every
frame, no colour conversion; preprocessing is the function that workers run: every frame sampled, 112-pixel
JPEG crops, faces looked for every 5th frame, no skeletons. Both run alternately, and their best runs count.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import av
import cv2
import numpy as np
import skimage.data

from cache.shard import ShardWriter
from preprocessing.engines import build_engines, resolve_engines
from preprocessing.pipeline import process_segment
from preprocessing.spec import PreprocessSpec
from preprocessing.types import Source

REPEATS = 5


def make_video(path: Path, num_frames: int) -> None:
    """A moving face before a slowly panned room, with a camera's noise: the bit rate of web video."""
    portrait = skimage.data.astronaut()[0:280, 90:370]
    rng = np.random.default_rng(0)
    coarse = cv2.resize(
        rng.integers(40, 200, (24, 40, 3), np.uint8), (900, 540), interpolation=cv2.INTER_CUBIC
    )
    room = np.clip(coarse + rng.normal(0, 8, (540, 900, 1)), 0, 255).astype(np.uint8)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "medium", "crf": "22"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for index in range(num_frames):
            pan_x, pan_y = int(120 + 110 * np.sin(index / 60)), int(30 + 25 * np.cos(index / 45))
            picture = room[pan_y : pan_y + 480, pan_x : pan_x + 640].copy()
            x = int(180 + 100 * np.sin(index / 40))
            y = int(100 + 40 * np.cos(index / 55))
            picture[y : y + 280, x : x + 280] = portrait
            noise = rng.normal(0, 2.5, (480, 640, 1))
            picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def decode_only(path: Path) -> int:
    """Frames decoded by PyAV on one thread, nothing converted."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def test_weights() -> Path | None:
    """Weights of the test data, where they are."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VIDEOFER_TEST_DATA", beside)) / "weights"
    return folder if folder.is_dir() and "VIDEOFER_WEIGHTS" not in os.environ else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument(
        "--weights-dir", type=Path, default=test_weights(), help="folder with YuNet's weights"
    )
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    choices = resolve_engines(
        decoder="pyav", faces_name="auto", pose="none", weights_dir=arguments.weights_dir
    )
    engines = build_engines(choices)
    spec = PreprocessSpec()
    machine = platform.processor() or platform.machine()
    print(f"machine: {machine}, {os.cpu_count()} cores; one process, one thread")
    print(f"faces: {choices.faces.name} ({choices.faces.reason})")

    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "bench.mp4"
        make_video(video, arguments.frames)
        rate = video.stat().st_size * 8 * 25 / arguments.frames / 1e6
        print(f"video: {arguments.frames} frames, {rate:.1f} Mbit/s")
        source = Source(video, video.name, "video")
        (Path(folder) / "shards").mkdir()

        def preprocess() -> int:
            writer = ShardWriter(Path(folder), codec=spec.codec, crop_size=spec.crop_size)
            outcome = process_segment(source, "bench", spec, engines, writer)
            writer.seal()
            (person,) = outcome.persons
            assert sum(person.face_states.values()) == arguments.frames
            return outcome.record.num_frames

        runs: dict[str, list[float]] = {"decode-only": [], "preprocessing": []}
        for _ in range(REPEATS):
            for name, run in (("decode-only", lambda: decode_only(video)), ("preprocessing", preprocess)):
                runs[name].append(_frames_per_second(run))
    for name, rates in runs.items():
        print(f"{name:14} {max(rates):7.0f} frames/s  (median of {REPEATS}: {statistics.median(rates):.0f})")
    print(f"ratio          {max(runs['preprocessing']) / max(runs['decode-only']):7.2f}  (floor 0.30)")


def _frames_per_second(run: Callable[[], int]) -> float:
    began = time.perf_counter()
    num_frames = run()
    return num_frames / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
