"""Real videos, stores and timelines for the tests of the annotated video; no model."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import skimage.data

from cache.reader import StoreReader
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tests.videofer.timeline_examples import example_timeline
from videofer.timeline.facts import video_facts
from videofer.timeline.rows import person_rows
from videofer.timeline.timeline import BOX_COLUMNS, Person, Timeline, row_columns

FPS = 25


def face_video(path: Path, num_frames: int = 30, *, second_from: int | None = None) -> Path:
    """320x240: a real face that moves to the right; another one, small, below it from a frame on."""
    portrait = np.asarray(skimage.data.astronaut())[0:260, 100:360]
    large, small = portrait[::2, ::2], portrait[::4, ::4]
    room = (
        np.full((240, 320, 3), 90, np.uint8) + (np.arange(320) // 8 % 4 * 6).astype(np.uint8)[None, :, None]
    )
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(num_frames):
            picture = room.copy()
            picture[20:150, 20 + 2 * number : 150 + 2 * number] = large
            if second_from is not None and number >= second_from:
                picture[170:235, 230:295] = small
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def store_of(
    folder: Path, *videos: Path, faces: str = "mtcnn", weights_dir: Path | None = None
) -> StoreReader:
    """Preprocessed for real."""
    report = preprocess(
        list(videos), folder, PreprocessSpec(faces=faces), weights_dir=weights_dir, num_workers=1
    )
    assert not report.failures
    return StoreReader(folder)


def timeline_of(reader: StoreReader, key: str) -> Timeline:
    """Rows of every person of a video in a store, with probabilities by rote."""
    video = reader.video(key)
    base = example_timeline(num_persons=0, duration_seconds=video.duration)
    parts = []
    for person in video.persons:
        track = reader.track(key, person.id)
        rows = person_rows(person.id, track.t_start, track.t_end, track.face_state, track.body_state, 0.2)
        rows["state"], rows["label"], rows["confidence"] = "ok", "happiness", 0.6
        for name, p in zip(base.classes, (0.2, 0.1, 0.6, 0.1), strict=True):
            rows[f"p_{name}"] = p
        middle = ((rows["t_start"] + rows["t_end"]) / 2).to_numpy()
        nearest = np.clip(np.searchsorted(track.t_start, middle) - 1, 0, len(track) - 1)
        rows[list(BOX_COLUMNS)] = track.face_boxes_xyxy[nearest]
        parts.append(rows)
    rows = pd.concat(parts) if parts else base.rows.iloc[:0]
    return Timeline(
        rows=rows.reindex(columns=row_columns(base.classes, ("face",))).reset_index(drop=True),
        classes=base.classes, persons=tuple(Person(id=p.id, name=f"person {p.id}") for p in video.persons),
        video=video_facts(video), model=base.model, settings=base.settings,
    )  # fmt: skip


def pictures_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(file's own time, RGB) of every picture."""
    with av.open(path) as container:
        return [(f.pts * f.time_base, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
