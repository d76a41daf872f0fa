"""The annotated video: times real time, plain and with faces hidden, and where a picture's time goes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cache.reader import StoreReader
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tools.speed.setting import FPS, Setting
from videofer.overlay.encode import Mp4Writer
from videofer.overlay.footage import Footage
from videofer.overlay.write import write_annotated
from videofer.timeline.facts import video_facts
from videofer.timeline.rows import person_rows
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import ModelFacts, Person, Timeline, row_columns

CLASSES = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
HOP_SECONDS = 0.2
SIZES = ((640, 360), (1920, 1080))
FLOOR_TIMES = 1.0  # the aim at 640x360 on 4 cores


def measure(setting: Setting) -> None:
    """Prints times real time of `write_annotated` for each size, beside decoding and encoding alone."""
    for width, height in SIZES:
        video = setting.folder / f"{width}.mp4"
        copy(setting.video, video, width, height)
        store = setting.folder / f"store-{width}"
        preprocess([video], store, PreprocessSpec(), weights_dir=setting.weights_dir, num_workers=1)
        reader = StoreReader(store)
        timeline = invented_timeline(reader, reader.videos()[0].key)
        out = setting.folder / "annotated.mp4"
        runs: dict[str, Callable[[], object]] = {
            "decoded and encoded, nothing drawn": lambda video=video, out=out, size=(width, height): copy(
                video, out, *size
            ),
            "annotated": lambda t=timeline, v=video, o=out, r=reader: write_annotated(t, v, o, reader=r),
            "annotated, all faces hidden": lambda t=timeline, v=video, o=out, r=reader: write_annotated(
                t, v, o, reader=r, blur="all", weights_dir=setting.weights_dir
            ),
        }
        for name, run in runs.items():
            seconds = [clocked(run) for _ in range(setting.repeats)]
            times = setting.num_frames / FPS / statistics.median(seconds)
            rate = setting.num_frames / statistics.median(seconds)
            print(f"{width}x{height} {name:35} {rate:6.0f} frames/s, {times:5.1f} times real time")
    print(f"aim: {FLOOR_TIMES:.0f} times real time at 640x360")


def clocked(run: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def copy(source: Path, out: Path, width: int, height: int) -> None:
    """The video at another size."""
    footage = Footage.open(source)
    with Mp4Writer(out, width=width, height=height, footage=footage) as writer:
        for picture in footage.pictures():
            resized = picture if footage.even_size == (width, height) else picture.resized(width, height)
            writer.write(resized.planes, picture.t_start, picture.t_end)


def invented_timeline(reader: StoreReader, key: str) -> Timeline:
    """Rows of everybody in a video of a store with expressions that come and go: no model is needed."""
    video = reader.video(key)
    rng = np.random.default_rng(0)
    parts = []
    for person in video.persons:
        track = reader.track(key, person.id)
        rows = person_rows(
            person.id, track.t_start, track.t_end, track.face_state, track.body_state, HOP_SECONDS
        )
        t = rows["t_start"].to_numpy()[:, None]
        logits = 3 * np.sin(rng.uniform(0.3, 1, len(CLASSES)) * t + rng.uniform(0, 6, len(CLASSES)))
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        rows[[f"p_{name}" for name in CLASSES]] = p
        rows["label"] = np.array(CLASSES, dtype=object)[p.argmax(axis=1)]
        rows["confidence"], rows["state"] = p.max(axis=1), "ok"
        parts.append(rows)
    return Timeline(
        rows=pd.concat(parts, ignore_index=True).reindex(columns=row_columns(CLASSES, ("face",))),
        classes=CLASSES,
        persons=tuple(Person(id=person.id, name=f"person {person.id}") for person in video.persons),
        video=video_facts(video),
        model=ModelFacts(name="none", weights_sha256="", modalities=("face",), hop_seconds=HOP_SECONDS,
                         window_seconds=1.2),
        settings=TimelineSettings(),
    )  # fmt: skip
