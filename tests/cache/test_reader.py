from __future__ import annotations

import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cache.reader
from cache.codecs import decode_jpeg
from cache.errors import CorruptError
from cache.reader import PersonTrack, StoreReader
from cache.schema import SEEN_STATES, Codec, PersonRecord, SegmentRecord, State
from cache.store import Store, StoreError
from tests.cache.parts import (
    JOINTS,
    SIDE,
    TIME_BASE,
    make_bodies,
    make_faces,
    make_record,
    make_store,
    make_writer,
    part_of,
    stored_video,
    write_segment,
)

states = st.lists(st.sampled_from(list(State)), min_size=1, max_size=90)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store")


def same_crops(codec: Codec, read: np.ndarray, written: np.ndarray) -> bool:
    if codec == "plain":
        return np.array_equal(read, written)
    return read.shape == written.shape and int(np.abs(read.astype(int) - written).max(initial=0)) <= 12


@settings(max_examples=30)
@given(
    codec=st.sampled_from(get_args(Codec)),
    states=states,
    first=st.integers(0, 5),
    num_points=st.sampled_from([None, 1, 68]),
    data=st.data(),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    codec: Codec,
    states: list[int],
    first: int,
    num_points: int | None,
    data: st.DataObject,
) -> None:
    """Whatever is appended in whatever pieces comes back."""
    store = make_store(tmp_path_factory.mktemp("s") / "store", codec)
    rng = np.random.default_rng(0)
    num_frames = len(states) + first
    faces, bodies = make_faces(rng, states, num_points), make_bodies(rng, states[::-1])
    segment = make_writer(store)
    writer = segment.begin_segment("k", 0, TIME_BASE)
    landmark_layout = "" if num_points is None else "mesh"
    face, body = writer.open_track("face", first, landmark_layout), writer.open_track("body", 0, "coco17")
    seen = np.isin(faces.states, SEEN_STATES)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(states)), max_size=6)) | {len(states)})
    for begin, end in zip([0, *cuts], cuts, strict=False):
        writer.append_frames(np.arange(begin, end) * 7)
        part = part_of(faces, begin, end)
        writer.append_faces(face, part)
        part.crops[:] = 0  # the caller may reuse its memory
        writer.append_bodies(body, type(bodies)(**{name: v[begin:end] for name, v in vars(bodies).items()}))
    writer.append_frames(np.arange(len(states), num_frames) * 7)
    record = make_record("k", [writer.finish(num_frames * 7)])
    segment.seal()
    store.commit(record)

    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    assert (len(track), track.first_frame, track.layout) == (num_frames, 0, "coco17")
    absent = faces.states == State.ABSENT
    for name, written in (
        ("face_boxes_xyxy", faces.boxes_xyxy),
        ("landmarks_xy", faces.landmarks_xy),
        ("warps", faces.warps),
        ("quality", faces.quality),
    ):
        value = getattr(track, name)
        assert np.array_equal(value[first:][~absent], written[~absent]), name
        assert np.isnan(value[:first]).all() and np.isnan(value[first:][absent]).all(), name
    assert (track.landmark_layout, track.dense_landmarks.shape) == (
        (landmark_layout, (num_frames, num_points or 0, 2))
    )
    if faces.dense_landmarks is not None:
        assert np.array_equal(track.dense_landmarks[first:][~absent], faces.dense_landmarks[~absent])
        assert np.isnan(track.dense_landmarks[:first]).all()
        assert np.isnan(track.dense_landmarks[first:][absent]).all()
    assert np.array_equal(track.face_state, [*[State.ABSENT] * first, *states])
    seen_body = bodies.states != State.ABSENT
    assert np.array_equal(track.body_state, [*states[::-1], *[State.ABSENT] * first])
    assert np.array_equal(track.keypoints[: len(states)][seen_body], bodies.keypoints[seen_body])
    assert (track.keypoints[: len(states)][~seen_body] == 0).all()
    assert track.keypoints.shape == (num_frames, JOINTS, 3)
    assert np.array_equal(track.has_crop[first:], seen)
    rows = np.flatnonzero(track.has_crop)
    order = rng.permutation(len(rows))
    assert same_crops(codec, reader.read_crops(track, rows[order]), faces.crops[order])


def test_times(store: Store) -> None:
    """Exact to the last bit, also for a presentation that starts late and a base of thirds."""
    writer = make_writer(store)
    segment = writer.begin_segment("k", 0, Fraction(1001, 30000))
    pts = np.array([300, 301, 303, 310])
    segment.append_frames(pts)
    record = make_record("k", [segment.finish(312)])
    record = replace(record, time_base=(1001, 30000), presentation_start=(7, 3), persons=[])
    writer.seal()
    store.commit(record)
    stored_pts, t_start, t_end = StoreReader(store.path).times("k")
    exact = [float(Fraction(int(p)) * Fraction(1001, 30000) - Fraction(7, 3)) for p in [*pts, 312]]
    assert stored_pts.dtype == np.int64 and np.array_equal(stored_pts, pts)
    assert t_start.tolist() == exact[:-1]
    assert t_end.tolist() == exact[1:]


def test_a_track_over_several_segments(store: Store) -> None:
    """A person's face is lost at the seam and found again; tracks overlap by two frames."""
    rng = np.random.default_rng(0)
    writer = make_writer(store)
    first, second = make_faces(rng, 6), make_faces(rng, 5)
    segments = [
        write_segment(writer, "k", first, index=0, num_frames=10, first=4),
        write_segment(writer, "k", second, index=1, num_frames=10, first=2),
        write_segment(writer, "k", None, index=2, num_frames=10),
    ]
    writer.seal()
    store.commit(make_record("k", segments))
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    assert (track.first_frame, len(track)) == (4, 13)
    assert track.face_state.tolist() == [State.OK] * 6 + [State.ABSENT] * 2 + [State.OK] * 5
    assert np.array_equal(track.t_start, reader.times("k")[1][4:17])
    assert track.layout == "" and track.keypoints.shape == (13, 0, 3)
    crops = reader.read_crops(track, np.array([12, 0, 8, 5, 0]))
    assert np.array_equal(
        crops, np.stack([second.crops[4], first.crops[0], second.crops[0], first.crops[5], first.crops[0]])
    )


def test_overlapping_local_tracks_fill_each_other(store: Store) -> None:
    rng = np.random.default_rng(0)
    writer = make_writer(store)
    segment = writer.begin_segment("k", 0, TIME_BASE)
    segment.append_frames(np.arange(6))
    one = make_faces(rng, [State.OK, State.ABSENT, State.INTERPOLATED, State.ABSENT])
    two = make_faces(rng, [State.LOW_QUALITY, State.OK, State.NOT_DECODED, State.OK])
    for faces, start in ((one, 0), (two, 1)):
        segment.append_faces(segment.open_track("face", start), faces)
    record = make_record("k", [segment.finish(6)])
    writer.seal()
    store.commit(record)
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    assert track.face_state.tolist() == [
        State.OK, State.LOW_QUALITY, State.INTERPOLATED, State.NOT_DECODED, State.OK,
    ]  # fmt: skip
    assert track.has_crop.tolist() == [True, True, True, False, True]
    crops = reader.read_crops(track, np.array([0, 1, 2, 4]))
    assert np.array_equal(crops, np.stack([one.crops[0], two.crops[0], one.crops[1], two.crops[2]]))


def test_many_tracks_at_once_are_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, also a video that lies in two shards; with and without the index of records."""
    rng = np.random.default_rng(0)
    keys = [f"k{number}" for number in range(5)]
    segments: dict[str, list[SegmentRecord]] = {key: [] for key in keys}
    for index, some in enumerate((keys[:3], keys[2:])):
        writer = make_writer(store)
        for key in some:
            place = index if key == "k2" else 0
            segments[key].append(write_segment(writer, key, make_faces(rng, 4), index=place, num_frames=4))
        writer.seal()
    for key in keys:
        store.commit(make_record(key, segments[key]))
    wanted = [(key, 0) for key in [*keys[::-1], keys[0]]]
    for limit in (100, 2):
        monkeypatch.setattr(cache.reader, "MANY_TRACKS", limit)
        many = StoreReader(store.path)
        found = {track.video_key: track for track in many.tracks(wanted)}
        assert sorted(found) == keys
        for key in keys:
            alone = StoreReader(store.path)
            track, rows = alone.track(key, 0), np.arange(8 if key == "k2" else 4)
            assert many.track(key, 0) is found[key]
            np.testing.assert_array_equal(found[key].landmarks_xy, track.landmarks_xy)
            np.testing.assert_array_equal(many.read_crops(found[key], rows), alone.read_crops(track, rows))
    with pytest.raises(StoreError, match=r"no person 5, its persons are \[0\]"):
        list(StoreReader(store.path).tracks([("k0", 5)]))
    with pytest.raises(StoreError, match="no video with key x"):
        list(StoreReader(store.path).tracks([("x", 0)]))
    store.shard_path(segments["k0"][0].shard).unlink()
    with pytest.raises(CorruptError, match="is missing"):
        list(StoreReader(store.path).tracks([("k0", 0)]))


def test_a_row_without_a_crop_is_refused(store: Store) -> None:
    stored_video(store, "k", make_faces(np.random.default_rng(0), [State.OK, State.ABSENT, State.OK]))
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    with pytest.raises(StoreError, match="row 1 has no crop, its face is absent"):
        reader.read_crops(track, np.array([0, 1]))
    assert reader.read_crops(track, np.array([], dtype=int)).shape == (0, SIDE, SIDE, 3)


def test_jpegs_as_they_are_stored(tmp_path: Path) -> None:
    store = make_store(tmp_path / "jpeg", "jpeg")
    stored_video(store, "k", make_faces(np.random.default_rng(0), [State.OK, State.ABSENT, State.OK]))
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    files = reader.read_jpegs(track, np.array([2, 0, 2]))
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    for file, crop in zip(files, reader.read_crops(track, np.array([2, 0, 2])), strict=True):
        decode_jpeg(np.frombuffer(file, np.uint8), out)
        assert np.array_equal(out, crop)
    with pytest.raises(StoreError, match="row 1 has no crop"):
        reader.read_jpegs(track, np.array([1]))
    plain = make_store(tmp_path / "plain", "plain")
    stored_video(plain, "k", make_faces(np.random.default_rng(0), 2))
    reader = StoreReader(plain.path)
    with pytest.raises(StoreError, match="holds plain pixels"):
        reader.read_jpegs(reader.track("k", 0), np.array([0]))


def test_unknown_person_and_video(store: Store) -> None:
    stored_video(store, "k", make_faces(np.random.default_rng(0), 2))
    reader = StoreReader(store.path)
    with pytest.raises(StoreError, match=r"no person 3, its persons are \[0\]"):
        reader.track("k", 3)
    with pytest.raises(StoreError, match="no video with key x"):
        reader.track("x", 0)


def test_a_record_that_points_elsewhere_is_noticed(store: Store) -> None:
    record = stored_video(store, "k", make_faces(np.random.default_rng(0), 3))
    store.commit(replace(record, key="wrong"))
    segments = [replace(record.segments[0], group="/segments/77")]
    store.commit(replace(record, key="nowhere", segments=segments))
    store.commit(replace(record, key="ghost", persons=[PersonRecord(0, [(0, 9)], [], 3, 0.0, 1.0, {}, {})]))
    reader = StoreReader(store.path)
    with pytest.raises(CorruptError, match="of video k, the record says"):
        reader.track("wrong", 0)
    with pytest.raises(CorruptError, match="no segment /segments/77"):
        reader.track("nowhere", 0)
    store.shard_path(record.segments[0].shard).unlink()
    with pytest.raises(CorruptError, match="is missing"):
        reader.times("k")


def test_handles_stay_bounded(store: Store) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        stored_video(store, f"k{number}", make_faces(rng, 2))
    reader = StoreReader(store.path, max_open_shards=3)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(12):
        reader.read_crops(reader.track(f"k{number}", 0), np.array([0]))
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 3


def test_threads(store: Store) -> None:
    faces = make_faces(np.random.default_rng(0), 60)
    stored_video(store, "k", faces)
    reader = StoreReader(store.path)
    with ThreadPoolExecutor(8) as pool:
        rows = [np.array([i % 60, (i * 7) % 60]) for i in range(200)]
        for want, crops in zip(
            rows, pool.map(lambda r: reader.read_crops(reader.track("k", 0), r), rows), strict=True
        ):
            assert np.array_equal(crops, faces.crops[want])


def read_checksum(reader: StoreReader, seed: int) -> int:
    track: PersonTrack = reader.track("k", 0)
    rows = np.random.default_rng(seed).integers(len(track), size=15)
    return int(reader.read_crops(track, rows).astype(np.int64).sum())


# A forked child of a process with threads is what a loader worker is; Python warns of it from 3.12 on.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("codec", get_args(Codec))
def test_many_loader_workers(tmp_path: Path, codec: Codec, method: str) -> None:
    """Workers share a reader that was in use when they were made."""
    store = make_store(tmp_path / "store", codec)
    stored_video(store, "k", make_faces(np.random.default_rng(0), 100))
    reader = StoreReader(store.path)
    expected = [read_checksum(reader, seed) for seed in range(60)]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        assert list(pool.map(read_checksum, [reader] * 60, range(60), chunksize=5)) == expected


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork_while_reading(store: Store) -> None:
    """Children go on with their parent's open reader; parent and children read on unharmed."""
    faces = make_faces(np.random.default_rng(0), 100)
    stored_video(store, "k", faces)
    reader = StoreReader(store.path)
    track = reader.track("k", 0)
    children = []
    for number in range(6):
        reader.read_crops(track, np.array([number]))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                rows = np.arange(100)
                mine = reader.read_crops(reader.track("k", 0), rows)
                code = (
                    0
                    if np.array_equal(mine, faces.crops) and len(StoreReader(store.path).times("k")[0]) == 100
                    else 2
                )
            finally:
                os._exit(code)
        children.append(child)
    assert np.array_equal(reader.read_crops(track, np.arange(100)), faces.crops)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6


def test_pickle(store: Store) -> None:
    faces = make_faces(np.random.default_rng(0), 20)
    stored_video(store, "k", faces)
    reader = StoreReader(store.path, check_crc=False)
    track = reader.track("k", 0)
    again, track_again = pickle.loads(pickle.dumps((reader, track)))
    assert len(pickle.dumps(reader)) < 1000
    assert np.array_equal(again.read_crops(track_again, np.arange(20)), faces.crops)
