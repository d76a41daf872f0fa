"""How fast crops are read, against a flat file of the same bytes, by 1 to 8 processes at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np

from cache.reader import StoreReader
from cache.schema import Codec
from tools.store_bench.material import CROP_SIZE, FPS, evict, key_of, write_store

CLIPS, FRAMES_PER_CLIP, WINDOW_SECONDS = 5, 2, 3.0
PROCESSES = (1, 2, 4, 8)
COLD_ROUNDS = 2

Read = Callable[[int, np.ndarray], Any]
Samples = list[tuple[int, np.ndarray]]
"""(track, rows) each."""


def draw_samples(rng: np.random.Generator, number: int, num_tracks: int, num_frames: int) -> Samples:
    """C x K scattered frames of a window."""
    window = int(WINDOW_SECONDS * FPS)
    firsts = rng.integers(num_frames - window + 1, size=number)
    chosen = [np.sort(rng.choice(window, CLIPS * FRAMES_PER_CLIP, replace=False)) for _ in range(number)]
    return [(int(rng.integers(num_tracks)), first + rows) for first, rows in zip(firsts, chosen, strict=True)]


def draw_runs(rng: np.random.Generator, number: int, num_tracks: int, num_frames: int) -> Samples:
    """16 consecutive frames from anywhere."""
    firsts = rng.integers(num_frames - 15, size=number)
    return [(int(rng.integers(num_tracks)), first + np.arange(16)) for first in firsts]


def open_store(path: Path) -> Read:
    """Reads as a loader does: the track by its key, then its crops."""
    reader = StoreReader(path)
    return lambda track, rows: reader.read_crops(reader.track(key_of(track), 0), rows)


def open_flat(folder: Path, codec: Codec) -> Read:
    """Copies plain pixels out of a memory map, or decodes the JPEG files in it and does nothing else."""
    ends = np.load(folder / "ends.npy")  # (N, T) int64
    if codec == "plain":
        pixels = np.memmap(folder / "flat", np.uint8, "r", shape=(*ends.shape, CROP_SIZE, CROP_SIZE, 3))
        return lambda track, rows: pixels[track, rows]
    data = np.asarray(np.memmap(folder / "flat", np.uint8, "r"))
    starts = np.concatenate([[0], ends.reshape(-1)[:-1]]).reshape(ends.shape)

    def decode(track: int, rows: np.ndarray) -> list[np.ndarray]:
        places = zip(starts[track, rows].tolist(), ends[track, rows].tolist(), strict=True)
        return [cv2.imdecode(data[start:end], cv2.IMREAD_COLOR_RGB) for start, end in places]

    return decode


def write_both(folder: Path, codec: Codec, crops: np.ndarray) -> None:
    """A store, and a flat file with the bytes of the same crops one behind the other."""
    write_store(folder / "store", codec, list(crops))
    (folder / "flat").mkdir()
    if codec == "plain":
        crops.tofile(folder / "flat" / "flat")
        sizes = np.full(crops.shape[:2], crops[0, 0].nbytes)
    else:
        reader = StoreReader(folder / "store")
        rows = np.arange(crops.shape[1])
        files = [reader.read_jpegs(reader.track(key_of(n), 0), rows) for n in range(len(crops))]
        (folder / "flat" / "flat").write_bytes(b"".join(file for track in files for file in track))
        sizes = np.array([[len(file) for file in track] for track in files])
    np.save(folder / "flat" / "ends.npy", np.cumsum(sizes.reshape(-1)).reshape(sizes.shape))


def warm_rates(
    sources: Sequence[Callable[[], Read]], samples: Samples, processes: int, rounds: int
) -> np.ndarray:
    """(rounds, sources) samples a second of that many forked processes together.

    Each opens all sources and reads its own part of the samples once before; then the sources take turns.
    """

    def work(mine: Samples, barrier: Any) -> list[tuple[float, float]]:
        reads = [source() for source in sources]
        for read in reads:
            _time(read, mine)
        times = []
        for _ in range(rounds):
            for read in reads:
                barrier.wait()
                times.append(_time(read, mine))
        return times

    return len(samples) / _together(work, samples, processes).reshape(rounds, len(sources))


def cold_rate(source: Callable[[], Read], samples: Samples, processes: int) -> float:
    """The same where opening the source and all first reads count."""

    def work(mine: Samples, barrier: Any) -> list[tuple[float, float]]:
        barrier.wait()
        begin = time.perf_counter()
        return [(begin, _time(source(), mine)[1])]

    return len(samples) / float(_together(work, samples, processes)[0])


def _time(read: Read, samples: Samples) -> tuple[float, float]:
    begin = time.perf_counter()
    for track, rows in samples:
        read(track, rows)
    return begin, time.perf_counter()


def _together(
    work: Callable[[Samples, Any], list[tuple[float, float]]], samples: Samples, processes: int
) -> np.ndarray:
    """Seconds of each timed piece of work, from the first process's begin to the last one's end."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes), context.SimpleQueue()
    workers = [
        context.Process(target=lambda mine=samples[n::processes]: results.put(work(mine, barrier)))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    times = np.array([results.get() for _ in workers])  # (processes, pieces, 2)
    for worker in workers:
        worker.join()
    seconds: np.ndarray = times[..., 1].max(axis=0) - times[..., 0].min(axis=0)
    return seconds


def measure_reading(folder: Path, crops: np.ndarray, num_samples: int, rounds: int) -> list[dict[str, Any]]:
    """One row per codec, unit, state of the page cache and number of processes; the sources take turns."""
    rng = np.random.default_rng(1)
    rows = []
    for codec in get_args(Codec):
        here = folder / codec
        write_both(here, codec, crops)
        flat, store = partial(open_flat, here / "flat", codec), partial(open_store, here / "store")
        for unit, draw in {"sample": draw_samples, "16 frames": draw_runs}.items():
            warm = draw(rng, num_samples * (10 if codec == "plain" else 1), *crops.shape[:2])
            cold = draw(rng, num_samples // 2, *crops.shape[:2])
            for processes in PROCESSES:
                rates = warm_rates((flat, store), warm, processes, rounds)
                rows.append(_row(codec, unit, "warm", processes, rates))
                pairs, stayed = [], 0.0
                for _ in range(COLD_ROUNDS):
                    pair = []
                    for source in (flat, store):
                        stayed = max(stayed, evict(here))
                        pair.append(cold_rate(source, cold, processes))
                    pairs.append(pair)
                rows.append(_row(codec, unit, "cold", processes, np.array(pairs), stayed))
    return rows


def _row(
    codec: str, unit: str, cache: str, processes: int, rates: np.ndarray, stayed: float | None = None
) -> dict[str, Any]:
    """rates: (rounds, 2) of the flat file and the store."""
    flat, store = np.median(rates, axis=0).tolist()
    return {
        "codec": codec,
        "unit": unit,
        "cache": cache,
        "processes": processes,
        "flat_per_second": flat,
        "store_per_second": store,
        "ratio": float(np.median(rates[:, 1] / rates[:, 0])),
        "stayed_in_cache": stayed,
    }
