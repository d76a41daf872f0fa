"""What a store of many videos costs: the first sample of a video, and the index of its records."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cache.reader import StoreReader
from cache.records import record_to_bytes
from cache.schema import LocalTrack, PersonRecord, SegmentRecord, VideoRecord
from cache.store import Store
from tools.store_bench.material import evict, key_of, make_crops, write_store
from tools.store_bench.reading import draw_samples

SHORT_FRAMES = 75  # of a short video: one window


def measure_first_samples(folder: Path, num_videos: int) -> list[dict[str, Any]]:
    """JPEG. Each video is read once, by a reader that keeps hardly any of them: nothing is found open."""
    rng = np.random.default_rng(2)
    kinds = make_crops(rng, 8, SHORT_FRAMES)
    path = folder / "short"
    write_store(path, "jpeg", [kinds[number % len(kinds)] for number in range(num_videos)])
    samples = draw_samples(rng, num_videos, 1, SHORT_FRAMES)
    order = rng.permutation(num_videos)
    rows = []
    for cache in ("warm", "cold"):
        evicted = evict(path) if cache == "cold" else None
        reader = StoreReader(path, cache_bytes=1 << 20)
        opening = reading = 0.0
        for number in order.tolist():
            begin = time.perf_counter()
            track = reader.track(key_of(number), 0)
            opened = time.perf_counter()
            reader.read_crops(track, samples[number][1])
            opening, reading = opening + opened - begin, reading + time.perf_counter() - opened
        rows.append(
            {
                "videos": num_videos,
                "cache": cache,
                "open_track_us": opening / num_videos * 1e6,
                "read_us": reading / num_videos * 1e6,
                "stayed_in_cache": evicted,
            }
        )
        del reader
    return rows


def measure_index(folder: Path, num_records: int) -> list[dict[str, Any]]:
    """Seconds to list the keys and the records of a store: each in a process of its own."""
    path = folder / "many"
    store = Store.create(path, spec={}, contract={}, codec="jpeg")
    for number in range(num_records):
        record = _made_up_record(number)
        (path / "commits" / f"{record.key}.json").write_bytes(record_to_bytes(record))
    time.sleep(1)  # the index takes no record that was just written

    def add(number: int) -> None:
        for new in range(number):
            record = _made_up_record(num_records + new)
            (path / "commits" / f"{record.key}.json").write_bytes(record_to_bytes(record))
        time.sleep(1)

    steps: list[tuple[str, Callable[[], object]]] = [
        ("keys()", lambda: None),
        ("videos(), no index", lambda: None),
        ("videos(), index", lambda: None),
        ("videos(), index lacks 100", lambda: add(100)),
    ]
    rows = []
    for name, prepare in steps:
        prepare()
        call = "keys" if name.startswith("keys") else "videos"
        command = [sys.executable, "-m", "tools.store_bench.many", str(store.path), call]
        root = Path(__file__).resolve().parents[2]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout.split()
        rows.append(
            {"what": name, "records": num_records, "seconds": float(answer[0]), "peak_mb": float(answer[1])}
        )
    return rows


def _made_up_record(number: int) -> VideoRecord:
    """As a video of 12 s with two persons has it."""
    tracks = [LocalTrack("face", n, 0, 300) for n in range(3)] + [
        LocalTrack("body", n, 0, 300) for n in range(2)
    ]
    counts = {"ok": 290, "absent": 10}
    return VideoRecord(
        key=hashlib.sha256(str(number).encode()).hexdigest()[:32],
        names=[f"archive/person{number % 97}/take_{number}.mp4"],
        kind="video",
        num_frames=300,
        width=640,
        height=480,
        time_base=(1, 25),
        presentation_start=(0, 1),
        t_start=0.0,
        t_end=12.0,
        duration=12.0,
        segments=[
            SegmentRecord(0, f"{number // 50:032x}.h5", f"/segments/{number % 50}", 300, 0, 300, tracks)
        ],
        persons=[PersonRecord(n, [(0, n)], [(0, n)], 300, 0.0, 12.0, counts, counts) for n in range(2)],
        provenance={"decoder": "pyav", "detector": {"name": "yunet", "sha256": "0" * 64}, "skeletons": {}},
    )


def _time_call(path: Path, name: str) -> None:
    """Print the seconds of one call and this process's peak memory in MB."""
    store = Store.open(path)
    begin = time.perf_counter()
    getattr(store, name)()
    seconds = time.perf_counter() - begin
    status = Path("/proc/self/status").read_text()  # unlike ru_maxrss, without what the parent process needed
    print(seconds, int(status.split("VmHWM:")[1].split()[0]) / 1e3)


if __name__ == "__main__":
    _time_call(Path(sys.argv[1]), sys.argv[2])
