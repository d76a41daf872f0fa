"""Measures the store: size, writing, and reading samples, for both codecs, against a NumPy memory map.

    python tools/bench_store.py [--tracks 8] [--frames 900] [--samples 1500] [--json FILE]

A sample is what training reads: C x K = 5 x 3 scattered frames of a 2 s window of a random track. The crops
are 112-pixel faces cut from a photograph, each shifted, lit and with its own noise. The memory map
holds the same pixels and copies the same frames out. Everything is in the page cache; the sources alternate,
and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, get_args

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also where videofer is not installed

from cache.reader import StoreReader
from cache.schema import Codec, FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store

CROP_SIZE = 112
FPS = 25
BLOCK_FRAMES = 64  # appended at once
CLIPS, FRAMES_PER_CLIP, WINDOW_SECONDS = 5, 3, 2.0
ROUNDS = 5


def make_crops(rng: np.random.Generator, num_tracks: int, num_frames: int) -> np.ndarray:
    """(N, T, S, S, 3) uint8 RGB: a face that moves a little, under changing light, with camera noise."""
    import skimage.data

    face = np.ascontiguousarray(skimage.data.astronaut()[30:270, 110:350])  # type: ignore[no-untyped-call]
    noise = rng.normal(0, 3, (64, CROP_SIZE, CROP_SIZE, 3)).astype(np.float32)
    crops = np.empty((num_tracks, num_frames, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    scale = CROP_SIZE / face.shape[0]
    for track in crops:
        gain, phase = rng.uniform(0.7, 1.2), rng.uniform(0, 2 * np.pi)
        for frame, crop in enumerate(track):
            shift = 3 * np.sin(frame / 15 + phase)
            warp = np.array([[scale, 0, shift], [0, scale, shift / 2]], np.float32)
            image = cv2.warpAffine(face, warp, (CROP_SIZE, CROP_SIZE), borderMode=cv2.BORDER_REFLECT)
            crop[:] = np.clip(image * gain + noise[rng.integers(len(noise))], 0, 255)
    return crops


def write_store(path: Path, codec: Codec, crops: np.ndarray) -> float:
    """Write one video a track; seconds from the first append to the durable commit."""
    store = Store.create(path, spec={}, contract={"crop_size": CROP_SIZE}, codec=codec)
    writer = ShardWriter(path, codec=codec, crop_size=CROP_SIZE)
    begin = time.perf_counter()
    pending = [write_video(writer, f"{number:032x}", track) for number, track in enumerate(crops)]
    writer.seal()
    store.commit_all(pending)
    return time.perf_counter() - begin


def write_video(writer: ShardWriter, key: str, crops: np.ndarray) -> VideoRecord:
    """One segment with one face track."""
    num_frames = len(crops)
    segment = writer.begin_segment(key, 0, Fraction(1, FPS))
    segment.append_frames(np.arange(num_frames))
    local_id = segment.open_track("face", 0)
    for first in range(0, num_frames, BLOCK_FRAMES):
        block = crops[first : first + BLOCK_FRAMES]
        segment.append_faces(
            local_id,
            FaceBlock(
                boxes_xyxy=np.zeros((len(block), 4), np.float32),
                landmarks_xy=np.zeros((len(block), 5, 2), np.float32),
                warps=np.zeros((len(block), 2, 3), np.float32),
                scores=np.ones(len(block), np.float32),
                states=np.full(len(block), State.OK, np.uint8),
                quality=np.zeros((len(block), 3), np.float32),
                crops=block,
            ),
        )
    person = PersonRecord(0, [(0, local_id)], [], num_frames, 0.0, num_frames / FPS, {"ok": num_frames}, {})
    return VideoRecord(
        key=key,
        names=[key],
        kind="video",
        num_frames=num_frames,
        width=CROP_SIZE,
        height=CROP_SIZE,
        time_base=(1, FPS),
        presentation_start=(0, 1),
        t_start=0.0,
        t_end=num_frames / FPS,
        duration=num_frames / FPS,
        segments=[segment.finish(num_frames)],
        persons=[person],
    )


def draw_samples(
    rng: np.random.Generator, num_samples: int, num_tracks: int, num_frames: int
) -> list[tuple[int, np.ndarray]]:
    """(track, rows (C * K,)) of each sample."""
    window = int(WINDOW_SECONDS * FPS)
    samples = []
    for _ in range(num_samples):
        first = rng.integers(num_frames - window)
        rows = np.sort(rng.choice(window, CLIPS * FRAMES_PER_CLIP, replace=False)) + first
        samples.append((int(rng.integers(num_tracks)), rows))
    return samples


def microseconds_a_sample(
    read: Callable[[int, np.ndarray], np.ndarray], samples: list[tuple[int, np.ndarray]]
) -> float:
    """Mean time of reading one sample."""
    begin = time.perf_counter()
    for track, rows in samples:
        read(track, rows)
    return (time.perf_counter() - begin) / len(samples) * 1e6


def reading(reader: StoreReader) -> Callable[[int, np.ndarray], np.ndarray]:
    """Reads as a loader does: the track by key, then its crops."""
    return lambda track, rows: reader.read_crops(reader.track(f"{track:032x}", 0), rows)


def measure(folder: Path, crops: np.ndarray, samples: list[tuple[int, np.ndarray]]) -> dict[str, Any]:
    """All figures of one run."""
    raw = folder / "raw"
    crops.tofile(raw)
    memory = np.memmap(raw, np.uint8, "r", shape=crops.shape)
    sources: dict[str, Callable[[int, np.ndarray], np.ndarray]] = {"memmap": lambda t, rows: memory[t, rows]}
    results: dict[str, Any] = {"crops_mb": crops.nbytes / 1e6, "memmap": {}}
    for codec in get_args(Codec):
        write_seconds = write_store(folder / codec, codec, crops)
        size = sum(path.stat().st_size for path in (folder / codec).rglob("*.h5"))
        reader = StoreReader(folder / codec)
        results[codec] = {
            "bytes_a_crop": size / (crops.shape[0] * crops.shape[1]),
            "write_mb_a_second": crops.nbytes / 1e6 / write_seconds,
            "first_sample_us": microseconds_a_sample(reading(reader), samples[: len(samples) // 5]),
        }
        sources[codec] = reading(reader)
    assert np.array_equal(sources["plain"](*samples[0]), sources["memmap"](*samples[0]))
    rounds: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(ROUNDS):
        for name, read in sources.items():
            rounds[name].append(microseconds_a_sample(read, samples))
    for name, times in rounds.items():
        results[name]["sample_us"] = median(times)
        results[name]["against_memmap"] = median(
            base / own for base, own in zip(rounds["memmap"], times, strict=True)
        )
    return results


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=8)
    parser.add_argument("--frames", type=int, default=900, help="of each track")
    parser.add_argument("--samples", type=int, default=1500, help=f"read in each of {ROUNDS} rounds")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    crops = make_crops(rng, arguments.tracks, arguments.frames)
    samples = draw_samples(rng, arguments.samples, arguments.tracks, arguments.frames)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), crops, samples)
    print(f"{crops.shape[0]} tracks of {crops.shape[1]} crops, {results['crops_mb']:.0f} MB")
    columns = ("bytes_a_crop", "write_mb_a_second", "first_sample_us", "sample_us", "against_memmap")
    print(f"{'':8}" + "".join(f"{column:>19}" for column in columns))
    for name in ("memmap", *get_args(Codec)):
        cells = (
            f"{results[name][column]:19.2f}" if column in results[name] else " " * 19 for column in columns
        )
        print(f"{name:8}" + "".join(cells))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
