"""A video in one piece and cut into spans: the same frames, the same people, the same boxes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.reader import StoreReader
from cache.schema import State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store
from cache.verify import verify
from preprocessing.assemble import assemble
from preprocessing.engines import EngineChoices, Engines
from preprocessing.pipeline import process_segment, spans_of
from preprocessing.spec import PreprocessSpec
from preprocessing.types import Faces, Frame, InputError, Source, Span
from preprocessing.weights import EngineChoice

WIDTH, HEIGHT, SIDE = 256, 96, 32
COLOURS = ((220, 30, 30), (30, 30, 220), (30, 200, 30))


class SquareFinder:
    """Finds coloured squares, as a face detector finds faces: it sees one picture at a time and no names."""

    name = "squares"
    sure_score = 0.5

    def __init__(self) -> None:
        self.provenance: dict[str, Any] = {}

    def detect(self, images_rgb: Sequence[np.ndarray]) -> list[Faces]:
        return [self._detect(image.astype(np.int16)) for image in images_rgb]

    def _detect(self, image: np.ndarray) -> Faces:
        boxes = []
        for channel in range(3):
            others = np.delete(image, channel, axis=2).max(axis=2)
            rows, columns = np.nonzero(image[..., channel] - others > 60)
            if len(rows) > 30:
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        xyxy = np.array(boxes, np.float32).reshape(-1, 4)
        places = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
        size = xyxy[:, None, 2:] - xyxy[:, None, :2]
        return Faces(xyxy, xyxy[:, None, :2] + places * size, np.full(len(xyxy), 0.9, np.float32))


class CornerFinder:
    """Finds two dense landmarks of a face: the corners of its box."""

    name, layout, num_points = "corners", "corners", 2
    provenance: ClassVar[dict[str, Any]] = {}

    def locate(self, frame: Frame, boxes_xyxy: np.ndarray, landmarks_xy: np.ndarray) -> np.ndarray:
        return boxes_xyxy.reshape(-1, 2, 2)


@pytest.fixture(scope="module")
def engines() -> Engines:
    none = EngineChoice("none")
    choices = EngineChoices("pyav", EngineChoice("squares"), none)
    return Engines(choices, SquareFinder(), None, landmarks=CornerFinder())


def picture(paths: Sequence[tuple[float, float]]) -> np.ndarray:
    """Squares at x, y on grey, those further down in the list before the others."""
    image = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    for (x, y), colour in zip(paths, COLOURS, strict=False):
        image[round(y) : round(y) + SIDE, round(x) : round(x) + SIDE] = colour
    return image


def write(
    path: Path,
    *,
    seconds: float = 8.0,
    fps: int = 25,
    stamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    people: int = 2,
    crossing_seconds: float = 4.0,
    options: dict[str, str] | None = None,
) -> Path:
    """People walk towards each other and cross; a keyframe every second, by default B-frames."""
    num = round(seconds * fps)
    time_base = time_base or Fraction(1, fps)
    stamps = stamps or range(num)
    x264 = {
        "preset": "veryfast",
        "crf": "16",
        "bf": "3",
        "g": str(fps),
        "keyint_min": str(fps),
        "sc_threshold": "0",
    }
    scale = {"video_track_timescale": str(time_base.denominator)} if path.suffix == ".mp4" else {}
    with av.open(path, "w", options=scale) as container:
        stream = container.add_stream("libx264", rate=fps, options=x264 | (options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        for stamp in stamps:
            t = float((stamp - stamps[0]) * time_base)
            step = 22 * (t - crossing_seconds)
            middle = (WIDTH - SIDE) / 2
            paths = [(middle + step, 8.0), (middle - step, 50.0), (middle, 30.0)][:people]
            frame = av.VideoFrame.from_ndarray(picture(paths), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


Stored = tuple[VideoRecord, StoreReader]


def stored(
    path: Path, engines: Engines, folder: Path, segment_seconds: float, lose: Sequence[int] = ()
) -> Stored:
    """As several workers and the driver do it; `lose` are spans that failed for good."""
    spec = PreprocessSpec(segment_seconds=segment_seconds)
    source = Source(path, path.name, "video")
    store = Store.create(folder, spec={}, contract={}, codec="jpeg")
    facts, spans = spans_of(source, spec)
    outcomes = []
    for span in spans:
        if span.index not in lose:
            writer = ShardWriter(folder, codec="jpeg", crop_size=112)
            outcomes.append(process_segment(source, "key", spec, engines, writer, span=span, facts=facts))
            writer.seal()
    failed = [span for span in spans if span.index in lose]
    store.commit(assemble([source], "key", outcomes, spec, failed))
    assert verify(store, deep=True) == []
    reader = StoreReader(folder)
    return reader.video("key"), reader


def boxes_of(video: Stored) -> list[dict[int, np.ndarray]]:
    """Of every person: pts -> box where the face is seen."""
    record, reader = video
    tracks = [reader.track(record.key, person.id) for person in record.persons]
    seen = [track.has_crop.nonzero()[0] for track in tracks]
    for track in tracks:
        corners = track.face_boxes_xyxy.reshape(-1, 2, 2)
        np.testing.assert_array_equal(track.dense_landmarks, corners)  # those of the same row, NaN alike
    return [
        dict(zip(track.pts[rows].tolist(), track.face_boxes_xyxy[rows], strict=True))
        for track, rows in zip(tracks, seen, strict=True)
    ]


def assert_same(whole: Stored, cut: Stored, *, tolerance: float = 8.0) -> None:
    """The same frames and people; boxes (32 pixels) as looks at other frames place them.

    They differ most while one person hides another: then a box jumps, and is interpolated between two looks.
    """
    assert len(cut[0].segments) > 1
    times, times_cut = whole[1].times("key"), cut[1].times("key")
    assert times_cut[0].tolist() == times[0].tolist()
    assert times_cut[1].tolist() == times[1].tolist() and times_cut[2].tolist() == times[2].tolist()
    assert len(cut[0].persons) == len(whole[0].persons)
    for person, other in zip(boxes_of(whole), boxes_of(cut), strict=True):
        assert person.keys() == other.keys(), "seen in the same frames, at the seams as elsewhere"
        apart = [float(np.abs(person[pts] - other[pts]).max()) for pts in person]
        assert max(apart) <= tolerance


VARIANTS: dict[str, dict[str, Any]] = {
    "b-frames": {},
    "open-gop": {"options": {"x264-params": "open-gop=1:bframes=3"}},
    "late-start": {"stamps": range(250, 450)},
    "uneven": {
        "stamps": [n * 40 + (n * 7919) % 25 for n in range(200)],
        "time_base": Fraction(1, 1000),
    },
    "60-fps": {"fps": 60},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cut_video_is_as_the_whole_one(variant: str, suffix: str, engines: Engines, tmp_path: Path) -> None:
    path = write(tmp_path / f"video{suffix}", **VARIANTS[variant])
    whole = stored(path, engines, tmp_path / "whole", 300)
    assert len(whole[0].segments) == 1 and len(whole[0].persons) == 2
    assert_same(whole, stored(path, engines, tmp_path / "cut", 2))


@pytest.fixture(scope="module")
def walk(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Stored]:
    folder = tmp_path_factory.mktemp("walk")
    path = write(folder / "walk.mp4", people=3)
    return path, stored(path, engines, folder / "whole", 300)


@given(segment_seconds=st.floats(1.0, 5.3))
@settings(max_examples=8)
def test_wherever_it_is_cut(
    walk: tuple[Path, Stored],
    engines: Engines,
    tmp_path_factory: pytest.TempPathFactory,
    segment_seconds: float,
) -> None:
    path, whole = walk
    cut = stored(path, engines, tmp_path_factory.mktemp("cut") / "store", segment_seconds)
    ends = [(segment.start_pts, segment.end_pts) for segment in cut[0].segments]
    assert all(before[1] == after[0] for before, after in pairwise(ends))
    assert_same(whole, cut)


@pytest.mark.parametrize("crossing_seconds", [2.9, 3.0, 3.1])
def test_who_crosses_at_a_seam_stays_who_they_are(
    crossing_seconds: float, engines: Engines, tmp_path: Path
) -> None:
    path = write(tmp_path / "crossing.mp4", seconds=6.0, crossing_seconds=crossing_seconds)
    record, reader = stored(path, engines, tmp_path / "store", 3)
    assert [segment.start_pts for segment in record.segments] == [0, 75]
    assert len(record.persons) == 2
    for person in record.persons:
        track = reader.track("key", person.id)
        assert len(track.pts) == 150 and (track.face_state != State.ABSENT).all()
        crops = reader.read_crops(track, np.arange(150))
        assert len(set(crops[:, 56, 56].argmax(axis=1).tolist())) == 1, "one colour all the way"


@pytest.mark.parametrize("lose", [(0,), (1,), (2, 3)])
def test_a_store_with_a_hole_can_be_read(
    lose: tuple[int, ...], walk: tuple[Path, Stored], engines: Engines, tmp_path: Path
) -> None:
    path, whole = walk
    record, reader = stored(path, engines, tmp_path / "store", 2, lose)
    pts, t_start, t_end = reader.times("key")
    lost = range(50 * lose[0], 50 * (lose[-1] + 1))
    assert pts.tolist() == [p for p in whole[1].times("key")[0].tolist() if p not in lost]
    assert (t_end > t_start).all() and record.duration == pytest.approx(8.0)
    if lost.stop < 200:
        assert record.not_decoded == [(lost.start, lost.stop)]
    else:
        assert record.not_decoded == [] and record.t_end == 4.0
    if lost.start > 0 and lost.stop < 200:
        before = int(np.searchsorted(pts, lost.start)) - 1
        assert (t_end[before], t_start[before + 1]) == (2.0, 4.0), "no frame is shown where none was decoded"
    for person in record.persons:
        track = reader.track("key", person.id)
        rows = track.has_crop.nonzero()[0]
        assert len(reader.read_crops(track, rows)) == len(rows)


def test_a_span_without_a_frame_fails(walk: tuple[Path, Stored], engines: Engines, tmp_path: Path) -> None:
    path, _ = walk
    Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    writer = ShardWriter(tmp_path / "store", codec="jpeg", crop_size=112)
    source, span = Source(path, path.name, "video"), Span(1, 10_000, 20_000)
    with pytest.raises(InputError, match="no frame"):
        process_segment(source, "key", PreprocessSpec(), engines, writer, span=span)
    assert writer.seal() is None
