"""Speed of preprocessing, side by side in one run. Nothing else should run on the machine.

    make bench      (or: .venv/bin/python -m tools.bench [--parts one-core,skeletons] [--frames 1500])

Parts:
  one-core   decoding alone against the whole preprocessing, one process on one thread; stages of a frame
  skeletons  the same with skeletons, where their weights are
  all-cores  1 and N processes: decoding alone, bare preprocessing, actors of the stage's Ray pool
  command    `videofer preprocess` on one file, process start included (interview_one_face.mp4 or --video)
  timeline   `videofer timeline` on that file, process start included, and times real time in the steady state
  overlay    the annotated video, plain and with faces hidden, at 640x360 and 1920x1080

YuNet's weights are taken from --weights-dir, $VIDEOFER_WEIGHTS, or the test data beside the checkout.
The video is made here: 640x480 H.264, 25 fps, one moving face. Decoding alone is PyAV on one thread, every
frame, no colour conversion; preprocessing is what workers do: every frame sampled, 112-pixel JPEG crops,
faces looked for exactly every 5th frame unless a line says otherwise, no skeletons.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

from preprocessing.engines import resolve_engines
from preprocessing.stage.cluster import usable_cores
from tools.speed import all_cores, command, one_core, overlay, skeletons, timeline
from tools.speed.setting import FPS, Setting, make_video

PARTS: dict[str, Callable[[Setting], None]] = {
    "one-core": one_core.measure,
    "skeletons": skeletons.measure,
    "all-cores": all_cores.measure,
    "command": command.measure,
    "timeline": timeline.measure,
    "overlay": overlay.measure,
}


def test_data(name: str) -> Path | None:
    """A file or folder of the test data, where it is."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("VIDEOFER_TEST_DATA", beside)) / name
    return path if path.exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, with commas between")
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=usable_cores(), help="processes of all-cores")
    parser.add_argument("--weights-dir", type=Path, help="folder with YuNet's weights")
    parser.add_argument("--video", type=Path, help="for the parts command and timeline")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}")
    weights = arguments.weights_dir
    if weights is None and "VIDEOFER_WEIGHTS" not in os.environ:
        weights = test_data("weights")
    choices = resolve_engines(decoder="pyav", faces_name="auto", pose="none", weights_dir=weights)
    print(f"machine: {platform.processor() or platform.machine()}, {usable_cores()} cores")
    print(f"faces: {choices.faces.name} ({choices.faces.reason})")
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "bench.mp4"
        make_video(video, arguments.frames)
        rate = video.stat().st_size * 8 * FPS / arguments.frames / 1e6
        print(f"video: {arguments.frames} frames of 640x480, {rate:.1f} Mbit/s")
        setting = Setting(
            folder=Path(folder),
            video=video,
            num_frames=arguments.frames,
            choices=choices,
            weights_dir=weights,
            repeats=arguments.repeats,
            num_workers=arguments.workers,
            command_video=arguments.video or test_data("videos/interview_one_face.mp4"),
        )
        for part in parts:
            print(f"\n{part}")
            PARTS[part](setting)


if __name__ == "__main__":
    main()
