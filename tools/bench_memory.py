"""Memory of preprocessing: a video of two hours needs no more than one of two minutes.

    .venv/bin/python -m tools.bench_memory [--long-minutes 120] [--workers N] [--weights-dir DIR]

Runs `videofer preprocess` in a process of its own on a short and on a long video, once as usual (the long one
is cut into segments for several workers) and once in one piece (one worker streams all of it). Prints the
largest resident memory of the driver and of one worker, as the kernel kept it (VmHWM), and sizes and times.
The videos are made here: 20 s of one moving face are encoded, then their packets are repeated.
YuNet's weights are taken from --weights-dir, $VIDEOFER_WEIGHTS, or the test data beside the checkout.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data

from preprocessing.stage.cluster import usable_cores
from tools.bench import test_data

WIDTH, HEIGHT, FPS = 320, 240, 25
PATTERN_SECONDS = 20
SHORT_MINUTES = 2.0
ONE_PIECE_SECONDS = 1e6  # longer than any video: it is not cut
SAMPLE_SECONDS = 0.2


@dataclass
class Peak:
    """Largest resident memory of the processes of one run, in MiB."""

    driver: float = 0.0
    worker: float = 0.0
    all_together: float = 0.0
    num_workers: int = 0


def make_pattern(path: Path) -> Path:
    """One face that moves over a dark wall and is back at its place in the end."""
    face = cv2.resize(skimage.data.astronaut()[0:280, 90:370], (150, 150))  # type: ignore[no-untyped-call]
    wall = np.random.default_rng(0).integers(40, 70, (HEIGHT, WIDTH, 3), np.uint8)
    num_frames = PATTERN_SECONDS * FPS
    with av.open(path, "w") as container:
        options = {"preset": "veryfast", "crf": "24", "g": str(2 * FPS), "bf": "0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(num_frames):
            angle = 2 * np.pi * index / num_frames
            x, y = int(85 + 60 * np.sin(angle)), int(45 + 30 * np.cos(angle))
            picture = wall.copy()
            picture[y : y + 150, x : x + 150] = face
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def repeat_video(pattern: Path, seconds: float, to: Path) -> Path:
    """A video that shows the pattern again and again: its packets are copied with later times."""
    with av.open(pattern) as source, av.open(to, "w") as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        packets = [(bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in source.demux(stream) if p.size]
        assert stream.time_base is not None
        frame_pts = round(1 / FPS / stream.time_base)
        for number in range(round(seconds / PATTERN_SECONDS)):
            shift = number * len(packets) * frame_pts
            for data, pts, dts, is_keyframe in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = copy, stream.time_base, is_keyframe
                packet.pts, packet.dts, packet.duration = pts + shift, dts + shift, frame_pts
                container.mux(packet)
    return to


def run(video: Path, store: Path, options: list[str], timeout_seconds: float) -> tuple[Peak, float]:
    """Preprocess in a process of its own; its peaks and its seconds."""
    command = [sys.executable, "-c", "from videofer.cli import main; main()", "preprocess", str(video)]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--out", str(store), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    peak = Peak()
    seen: set[int] = set()
    while process.poll() is None:
        driver, workers = _high_water(process.pid), {}
        for pid in _children(process.pid):
            workers[pid] = _high_water(pid)
        seen |= {pid for pid, mib in workers.items() if mib > 100}  # others only help to spawn
        peak.driver = max(peak.driver, driver)
        peak.worker = max([peak.worker, *workers.values()])
        peak.all_together = max(peak.all_together, driver + sum(workers.values()))
        if time.monotonic() - began > timeout_seconds:
            process.kill()
            raise SystemExit(f"{video.name}: not done after {timeout_seconds:.0f} s")
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        assert process.stdout is not None
        raise SystemExit(
            f"{video.name}: exit code {process.returncode}: {process.stdout.read().decode()[-2000:]}"
        )
    peak.num_workers = len(seen)
    return peak, time.monotonic() - began


def _high_water(pid: int) -> float:
    """MiB; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _children(pid: int) -> list[int]:
    """Processes below one, all the way down."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(after_name[1]), []).append(int(entry.name))
    below, found = [pid], []
    while below:
        children = parents.get(below.pop(), [])
        found += children
        below += children
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long-minutes", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--weights-dir", type=Path, help="folder with YuNet's weights")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds a run may take")
    arguments = parser.parse_args()
    weights = arguments.weights_dir or os.environ.get("VIDEOFER_WEIGHTS") or test_data("weights")
    print(
        f"{'video':>9} {'in parts of':>12} {'workers':>8} {'driver':>8} {'worker':>8} {'together':>9} "
        f"{'seconds':>8}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pattern = make_pattern(folder / "pattern.mp4")
        for segment_seconds in (300.0, ONE_PIECE_SECONDS):
            for minutes in (SHORT_MINUTES, arguments.long_minutes):
                video = folder / f"{minutes:g}.mp4"
                if not video.exists():
                    repeat_video(pattern, 60 * minutes, video)
                options = ["--workers", str(arguments.workers), "--set", f"segment_seconds={segment_seconds}"]
                if weights:
                    options += ["--weights-dir", str(weights)]
                store = folder / f"store-{minutes:g}-{segment_seconds:g}"
                peak, seconds = run(video, store, options, arguments.timeout)
                parts = "one piece" if segment_seconds == ONE_PIECE_SECONDS else f"{segment_seconds:g} s"
                print(
                    f"{minutes:>5g} min {parts:>12} {peak.num_workers:>8} {peak.driver:>4.0f} MiB "
                    f"{peak.worker:>4.0f} MiB {peak.all_together:>5.0f} MiB {seconds:>8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
