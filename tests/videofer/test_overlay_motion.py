"""Boxes and joints between the frames of a store, and every face that a store holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cache.reader import StoreReader
from cache.schema import BodyBlock, FaceBlock, PersonRecord, State, VideoRecord
from cache.shard import ShardWriter
from tests.videofer.timeline_examples import example_timeline
from tests.videofer.timeline_helpers import CROP, MILLISECONDS, make_store
from videofer.overlay.motion import Path as Motion
from videofer.overlay.motion import all_faces, from_rows, from_track

OK, ABSENT, LOW, FILLED = State.OK, State.ABSENT, State.LOW_QUALITY, State.INTERPOLATED


def straight(*times: float) -> Motion:
    t = np.array(times)
    return Motion(t, np.stack([10 * t, 20 * t, 10 * t + 5, 20 * t + 5], axis=1))


def test_between_two_sightings_it_is_on_the_line_between() -> None:
    path = straight(0.0, 0.4, 1.4)
    found = path.at(0.3, gap_seconds=0.5)
    assert found is not None and found.tolist() == pytest.approx([3, 6, 8, 11])
    exact = path.at(0.4, gap_seconds=0.0)
    assert exact is not None and exact.tolist() == pytest.approx([4, 8, 9, 13])
    rounded = path.at(0.4 - 1e-9, gap_seconds=0.0)
    assert rounded is not None and rounded.tolist() == exact.tolist()


def test_a_longer_gap_stays_one_but_where_the_last_sighting_holds() -> None:
    path = straight(0.0, 0.4, 1.4)
    assert path.at(0.9, gap_seconds=0.5) is None
    assert path.at(-0.01, gap_seconds=9) is None
    assert path.at(1.5, gap_seconds=9) is None
    held = path.at(0.55, gap_seconds=0.5, hold_seconds=0.2)
    assert held is not None and held.tolist() == pytest.approx([4, 8, 9, 13])
    before = path.at(-0.1, gap_seconds=0.5, hold_seconds=0.2)
    assert before is not None and before.tolist() == pytest.approx([0, 0, 5, 5])
    assert path.at(0.61, gap_seconds=0.5, hold_seconds=0.2) is None
    assert Motion(np.empty(0), np.empty((0, 4))).at(0, gap_seconds=1, hold_seconds=9) is None


def test_how_far_the_nearest_sighting_is() -> None:
    path = straight(0.0, 0.4, 1.4)
    assert [path.seconds_to_nearest(t) for t in (-1, 0.1, 0.4, 1.0, 3.4)] == pytest.approx(
        [1, 0.1, 0, 0.4, 2]
    )


def boxes(first: int, count: int, left: float) -> np.ndarray:
    x = left + np.arange(first, first + count)
    return np.stack([x, 0 * x + 10, x + 40, 0 * x + 60], axis=1).astype(np.float32)


def faces(states: list[State], first: int, left: float) -> FaceBlock:
    n, seen = len(states), sum(state != ABSENT for state in states)
    where = boxes(first, n, left)
    where[[state == ABSENT for state in states]] = np.nan
    return FaceBlock(
        boxes_xyxy=where, landmarks_xy=np.zeros((n, 5, 2), np.float32),
        warps=np.zeros((n, 2, 3), np.float32), scores=np.ones(n, np.float32),
        states=np.array(states, np.uint8), quality=np.zeros((n, 3), np.float32),
        crops=np.zeros((seen, CROP, CROP, 3), np.uint8),
    )  # fmt: skip


@pytest.fixture
def reader(tmp_path: Path) -> StoreReader:
    """Twenty frames of 40 ms in two segments. Person 0: a face from frame 2 on, in both segments, and a body.
    Person 1: a face at the end. Nobody: a short face at frames 4 to 6 of the first segment.
    """
    store = make_store(tmp_path / "store")
    records = []
    for index in (0, 1):
        writer = ShardWriter(store.path, codec="plain", crop_size=CROP)
        segment = writer.begin_segment("v", index, MILLISECONDS)
        segment.append_frames(np.arange(index * 10, index * 10 + 10, dtype=np.int64) * 40)
        if index == 0:
            a = segment.open_track("face", 2, "")
            segment.append_faces(a, faces([OK, OK, FILLED, LOW, ABSENT, ABSENT, OK, OK], 2, 100.0))
            b = segment.open_track("face", 4, "")
            segment.append_faces(b, faces([LOW, LOW, LOW], 4, 300.0))
            c = segment.open_track("body", 0, "coco17")
            keypoints = np.ones((10, 17, 3), np.float32) * np.arange(10, dtype=np.float32)[:, None, None]
            keypoints[..., 2] = 0.9
            segment.append_bodies(c, BodyBlock(boxes(0, 10, 50.0), keypoints, np.ones(10, np.float32),
                                               np.full(10, OK, np.uint8)))  # fmt: skip
            ids = [(0, a)], [(0, c)]
        else:
            a = segment.open_track("face", 0, "")
            segment.append_faces(a, faces([OK] * 5, 10, 100.0))
            d = segment.open_track("face", 6, "")
            segment.append_faces(d, faces([OK] * 4, 16, 400.0))
            ids[0].append((1, a))
            other = [(1, d)]
        records.append(segment.finish((index + 1) * 400))
        writer.seal()
    facts = {"t_start": 0.0, "t_end": 0.8, "face_states": {}, "body_states": {}}
    persons = [
        PersonRecord(id=0, faces=ids[0], bodies=ids[1], num_frames=15, **facts),  # type: ignore[arg-type]
        PersonRecord(id=1, faces=other, bodies=[], num_frames=4, **facts),  # type: ignore[arg-type]
    ]
    store.commit(
        VideoRecord(
            key="v", names=["v.mp4"], kind="video", num_frames=20, width=640, height=480, time_base=(1, 1000),
            presentation_start=(0, 1), t_start=0.0, t_end=0.8, duration=0.8, segments=records,
            persons=persons,
        )
    )  # fmt: skip
    return StoreReader(store.path)


def test_a_person_is_where_the_store_says_in_every_frame(reader: StoreReader) -> None:
    person = from_track(reader.track("v", 0))
    for frame in (2, 3, 4, 5, 8, 9, 12):  # interpolated and low quality ones as well
        box = person.face_at(frame * 0.04)
        assert box is not None and box[0] == pytest.approx(100 + frame)
    gap = person.face_at(6.5 * 0.04)
    assert gap is not None and gap[0] == pytest.approx(106.5, abs=0.01)
    assert person.face_at(0.0) is None and person.face_at(0.79) is None
    body = person.body_at(0.06)
    assert body is not None and body[0] == pytest.approx(51.5)
    joints = person.joints_at(0.06)
    assert joints is not None and joints[3].tolist() == pytest.approx([1.5, 1.5, 0.9])
    assert len(person.bones) > 10 and person.fine == frozenset()
    assert from_track(reader.track("v", 1)).joints_at(0.7) is None


def test_all_faces_are_those_of_everybody_and_of_nobody(reader: StoreReader) -> None:
    found = all_faces(reader, "v")
    spans = sorted(
        (round(p.t[0] / 0.04), round(p.t[-1] / 0.04), p.values[0, 0] - p.t[0] / 0.04) for p in found
    )
    assert [(a, b) for a, b, _ in spans] == [(2, 9), (4, 6), (10, 14), (16, 19)]
    assert [left for *_, left in spans] == pytest.approx([100, 300, 100, 400])
    lengths = sorted(len(p.t) for p in found)
    assert lengths == [3, 4, 5, 6]  # the two absent frames are none


def test_one_person_can_be_spared(reader: StoreReader) -> None:
    found = all_faces(reader, "v", but_of=0)
    assert sorted(round(p.t[0] / 0.04) for p in found) == [4, 16]


def test_without_a_store_the_rows_tell() -> None:
    timeline = example_timeline()
    person = from_rows(timeline.rows_of(0))
    box = person.face_at(2.0)
    assert box is not None
    assert box.tolist() == pytest.approx([100 + 5 * np.sin(2), 80, 190 + 5 * np.sin(2), 190], abs=0.05)
    assert person.face_at(5.3) is None  # hidden from 5.0 to 5.6
    assert person.body_at(2.0) is None and person.joints_at(2.0) is None
