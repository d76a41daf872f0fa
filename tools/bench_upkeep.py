"""How long upkeep takes on a store of many videos: python tools/bench_upkeep.py [--videos 100000] [--dir DIR]

Makes a store of short videos (8 frames of 16 pixels: the number of videos counts here, not their bytes), then
times summary, quality report, both verifications and a removal, and prints a table. The store is deleted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from cache.remove import keys_of_subjects, remove
from cache.schema import FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store
from cache.summary import summarise
from cache.verify import verify
from videofer.quality.facts import gather
from videofer.quality.page import quality_page

SIDE, NUM_FRAMES, NUM_SUBJECTS = 16, 8, 500
LABELS = ("anger", "happiness", "neutral", "sadness", "fear")
SEALED_AT_ONCE = 5000


def make_store(path: Path, num_videos: int) -> Store:
    """One person in each video; every fifth of the subjects is the test split."""
    store = Store.create(path, spec={}, contract={"crop_size": SIDE}, codec="jpeg")
    writer = ShardWriter(path, codec="jpeg", crop_size=SIDE, max_bytes=64 << 20)
    rng = np.random.default_rng(0)
    faces = FaceBlock(
        boxes_xyxy=rng.random((NUM_FRAMES, 4), np.float32),
        landmarks_xy=rng.random((NUM_FRAMES, 5, 2), np.float32),
        warps=rng.random((NUM_FRAMES, 2, 3), np.float32),
        scores=rng.random(NUM_FRAMES, np.float32),
        states=np.full(NUM_FRAMES, State.OK, np.uint8),
        quality=rng.random((NUM_FRAMES, 3), np.float32),
        crops=rng.integers(0, 255, (NUM_FRAMES, SIDE, SIDE, 3), np.uint8),
    )
    records, rows = [], []
    seconds = NUM_FRAMES / 25
    for number in range(num_videos):
        key, name = f"{number:032x}", f"s{number % NUM_SUBJECTS}/{number}.mp4"
        segment = writer.begin_segment(key, 0, Fraction(1, 25))
        segment.append_frames(np.arange(NUM_FRAMES))
        local_id = segment.open_track("face", 0)
        segment.append_faces(local_id, faces)
        person = PersonRecord(0, [(0, local_id)], [], NUM_FRAMES, 0.0, seconds, {"ok": NUM_FRAMES}, {})
        records.append(
            VideoRecord(
                key=key, names=[name], kind="video", num_frames=NUM_FRAMES, width=640, height=480,
                time_base=(1, 25), presentation_start=(0, 1), t_start=0.0, t_end=seconds, duration=seconds,
                segments=[segment.finish(NUM_FRAMES)], persons=[person],
            )
        )  # fmt: skip
        subject = number % NUM_SUBJECTS
        split = "test" if subject % 5 == 0 else "train"
        label = LABELS[number % len(LABELS)]
        rows.append({"name": name, "key": key, "label": label, "subject": f"s{subject}", "split": split})
        if len(records) == SEALED_AT_ONCE or number == num_videos - 1:
            writer.seal()
            store.commit_all(records)
            records = []
    store.write_manifest(pd.DataFrame(rows))
    return store


def main() -> None:
    """Prints a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_upkeep.", dir=arguments.dir))
    try:
        store = make_store(folder / "store", arguments.videos)
        time.sleep(1)  # else the index is too young to be kept
        workers = arguments.workers

        def removal() -> object:
            with store.lock():
                return remove(store, keys_of_subjects(store, ["s3"]), subjects=["s3"])

        todo: list[tuple[str, Callable[[], object]]] = [
            ("store info, first time", lambda: summarise(store)),
            ("store info", lambda: summarise(store)),
            ("store info --html", lambda: quality_page(store, gather(store))),
            (f"store verify, {workers} processes", lambda: verify(store, num_processes=workers)),
            (
                f"store verify --deep, {workers} processes",
                lambda: verify(store, deep=True, num_processes=workers),
            ),
            ("store remove --subject, in every shard", removal),
        ]
        print(f"{arguments.videos} videos")
        for name, do in todo:
            began = time.perf_counter()
            do()
            print(f"{name:45} {time.perf_counter() - began:8.1f} s", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
