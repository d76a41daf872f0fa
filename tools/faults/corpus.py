"""Many real videos, cheap to make, each unlike all others; some with keypoints, one long enough to be cut."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

FPS = 25
LONG_SECONDS = 80.0
SEGMENT_SECONDS = 10.0  # of the runs, so that the long one is cut
KEYFRAME_EVERY = 25  # frames
NUM_PICTURES = 8  # clips that are encoded; all others are these with other times


def make_corpus(folder: Path, num_videos: int, num_frames: int, size: int, *, with_long: bool) -> list[Path]:
    """Square H.264 files of so many frames and pixels; every third has a keypoint file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for number in range(num_videos):
        path = folder / f"v{number:03}.mp4"
        if number < NUM_PICTURES:
            write_clip(path, number, num_frames, size)
        else:
            retime(paths[number % NUM_PICTURES], path, number)
        if number % 3 == 0:
            write_keypoints(folder / f"v{number:03}.keypoints.npz", number, num_frames)
        paths.append(path)
    if with_long:
        paths.append(write_clip(folder / "long.mp4", num_videos, int(LONG_SECONDS * FPS), size))
    return paths


def write_clip(path: Path, seed: int, num_frames: int, size: int = 96) -> Path:
    """Colours of its own that move, so that each frame is like no other."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [np.sin(a * x + b * y + c) for a, b, c in rng.uniform(2, 9, (3, 3))]
    ground = (120 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)
    # the index comes first: a file that breaks off can be read up to there
    muxer = {"video_track_timescale": "12800", "movflags": "faststart"}
    with av.open(path, "w", options=muxer) as container:
        options = {"preset": "ultrafast", "crf": "18", "g": str(KEYFRAME_EVERY), "threads": "1"}
        stream: Any = container.add_stream("libx264", rate=FPS, options=options)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            pixels = np.roll(ground, (2 * number, 3 * number // 2), axis=(0, 1))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def retime(source: Path, path: Path, offset: int) -> Path:
    """The same packets at other times: another content, without encoding anything."""
    with av.open(source) as given, av.open(path, "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.pts is not None and packet.dts is not None:  # the last one is empty
                packet.pts += offset
                packet.dts += offset
                packet.stream = stream
                container.mux(packet)
    return path


def write_keypoints(path: Path, seed: int, num_frames: int) -> Path:
    """One person of 17 joints who walks to and fro."""
    rng = np.random.default_rng(seed)
    keypoints = np.full((num_frames, 1, 17, 3), 0.9, np.float32)
    keypoints[:, 0, :, :2] = rng.uniform(20, 60, (17, 2)).astype(np.float32)
    keypoints[:, 0, :, 0] += np.abs(np.arange(num_frames, dtype=np.float32)[:, None] % 40 - 20)
    np.savez(path, keypoints=keypoints)
    return path
