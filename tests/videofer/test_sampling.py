"""The sampler: instants, frames shown then, masks, and that windows share their clips."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.schema import State
from preprocessing.landmarks.layouts import IBUG68_FROM_MESH468
from videofer.data.sampling import (
    NANOSECONDS,
    SampleSpec,
    nothing,
    plan,
    plan_clips,
    read,
    read_clips,
    read_keypoints,
    read_landmarks,
    resize_crops,
)

SPEC = SampleSpec(
    num_clips=3, num_frames=3, clip_seconds=0.36, window_seconds=1.2, body_length=12, input_size=8
)


@dataclass
class FakeTrack:
    t_start: np.ndarray
    t_end: np.ndarray
    face_state: np.ndarray
    body_state: np.ndarray
    keypoints: np.ndarray
    dense_landmarks: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 2), np.float32))
    landmark_layout: str = ""
    warps: np.ndarray = field(default_factory=lambda: np.empty((0, 2, 3), np.float32))
    crop_size: int = 8
    layout: str = "coco17"
    video_key: str = "v"
    person_id: int = 0


class FakeReader:
    """Crop of row r is filled with r."""

    def __init__(self) -> None:
        self.rows_read: list[int] = []

    def read_crops(self, track: Any, rows: np.ndarray) -> np.ndarray:
        self.rows_read += rows.tolist()
        return np.broadcast_to(rows.astype(np.uint8)[:, None, None, None], (len(rows), 8, 8, 3)).copy()


def make_track(edges: np.ndarray, seen: np.ndarray | None = None) -> FakeTrack:
    """edges (n + 1,) seconds."""
    n = len(edges) - 1
    state = np.full(n, State.OK, dtype=np.uint8)
    if seen is not None:
        state[~seen] = State.ABSENT
    keypoints = np.zeros((n, 17, 3), dtype=np.float32)
    keypoints[:] = np.arange(n)[:, None, None]
    return FakeTrack(edges[:-1], edges[1:], state, state.copy(), keypoints)


def steady(num_frames: int = 100, fps: float = 25.0, start: float = 0.0) -> FakeTrack:
    return make_track(start + np.arange(num_frames + 1) / fps)


@pytest.fixture
def track() -> FakeTrack:
    return steady()


def test_instants_are_those_of_the_definition(track: FakeTrack) -> None:
    sample = plan(track, 1.0, SPEC)
    instants = 1.0 + np.arange(3)[:, None] * 0.4 + (np.arange(3) + 0.5) * 0.12
    np.testing.assert_array_equal(sample.rows, np.floor(instants * 25 + 1e-6))
    body = 1.0 + (np.arange(12) + 0.5) * 0.1
    np.testing.assert_array_equal(sample.body_rows, np.floor(body * 25 + 1e-6))
    assert sample.clip_mask.all() and sample.body_valid.all() and sample.has_face and sample.has_body
    assert (sample.t_start, sample.t_end) == (1.0, 2.2)


def test_a_frame_is_shown_from_its_start_to_before_its_end() -> None:
    spec = replace(SPEC, num_clips=1, num_frames=1, clip_seconds=0.2, window_seconds=0.2)
    track = make_track(np.array([0.0, 0.1, 0.3]))
    assert plan(track, 0.0, spec).rows.item() == 1  # its instant 0.1 is the second frame's start
    assert plan(track, -0.01, spec).rows.item() == 0
    assert plan(track, 0.199, spec).rows.item() == 1
    assert plan(track, 0.2, spec).rows.item() == -1  # the instant 0.3 is where the track ends
    assert plan(track, -0.11, spec).rows.item() == -1


def test_variable_frame_rate() -> None:
    track = make_track(np.array([0.0, 0.5, 0.52, 0.54, 2.0]))
    rows = plan(track, 0.0, SPEC).rows
    np.testing.assert_array_equal(rows, [[0, 0, 0], [0, 3, 3], [3, 3, 3]])


def test_missing_frame_repeats_the_nearest_of_its_clip() -> None:
    seen = np.ones(100, dtype=bool)
    seen[1] = seen[14] = False
    rows = plan(make_track(np.arange(101) / 25, seen), 0.0, SPEC).rows
    np.testing.assert_array_equal(rows, [[4, 4, 7], [11, 11, 17], [21, 24, 27]])  # the earlier of two as near


@pytest.mark.parametrize(("num_missing", "kept"), [(0, True), (1, True), (2, False), (3, False)])
def test_clip_with_under_half_is_masked(num_missing: int, kept: bool) -> None:
    seen = np.ones(100, dtype=bool)
    seen[[1, 4, 7][:num_missing]] = False
    track = make_track(np.arange(101) / 25, seen)
    sample = plan(track, 0.0, SPEC)
    assert sample.clip_mask.tolist() == [kept, True, True]
    assert (sample.rows[0] >= 0).all() == kept
    arrays = read(FakeReader(), track, sample, SPEC)
    assert arrays["frames"][0].any() == kept
    assert arrays["clip_mask"].tolist() == [kept, True, True]


def test_half_is_enough_when_k_is_even() -> None:
    seen = np.ones(100, dtype=bool)
    seen[2] = False
    spec = replace(SPEC, num_frames=2)
    assert plan(make_track(np.arange(101) / 25, seen), 0.0, spec).rows[0].tolist() == [6, 6]


@pytest.mark.parametrize("t0", [-50.0, 50.0])
def test_window_beyond_the_track_is_masked(track: FakeTrack, t0: float) -> None:
    sample = plan(track, t0, SPEC)
    assert not sample.clip_mask.any() and not sample.body_valid.any()
    assert not sample.has_face and not sample.has_body
    reader = FakeReader()
    arrays = read(reader, track, sample, SPEC)
    assert not any(array.any() for array in arrays.values()) and reader.rows_read == []


def test_low_quality_and_interpolated_frames_count(track: FakeTrack) -> None:
    track.face_state[::2] = State.LOW_QUALITY
    track.face_state[1::2] = State.INTERPOLATED
    assert plan(track, 1.0, SPEC).clip_mask.all()
    track.face_state[:] = State.NOT_DECODED
    assert not plan(track, 1.0, SPEC).clip_mask.any()


@pytest.mark.parametrize("num_valid", [5, 6])
def test_body_needs_half_of_its_instants(track: FakeTrack, num_valid: int) -> None:
    rows = plan(track, 1.0, SPEC).body_rows
    track.body_state[rows[num_valid:]] = State.ABSENT
    sample = plan(track, 1.0, SPEC)
    assert sample.has_body == (num_valid >= 6)
    assert np.count_nonzero(sample.body_valid) == num_valid


def test_still_is_shown_at_every_instant() -> None:
    still = make_track(np.array([0.0, 0.0]))
    sample = plan(still, 17.0, SPEC, still=True)
    assert not sample.rows.any() and sample.clip_mask.all() and sample.has_body
    assert not plan(still, 17.0, SPEC).has_face


def test_modalities_that_the_spec_leaves_out(track: FakeTrack) -> None:
    body_only = replace(SPEC, use_face=False)
    sample = plan(track, 1.0, body_only)
    assert not sample.has_face and sample.has_body
    assert set(read(FakeReader(), track, sample, body_only)) == {"keypoints", "body_mask"}
    face_only = replace(SPEC, use_body=False)
    sample = plan(track, 1.0, face_only)
    assert sample.has_face and not sample.has_body
    assert set(read(FakeReader(), track, sample, face_only)) == {"frames", "clip_mask"}


def test_read_puts_pixels_where_they_belong(track: FakeTrack) -> None:
    sample = plan(track, 1.0, SPEC)
    reader = FakeReader()
    arrays = read(reader, track, sample, SPEC)
    assert arrays["frames"].shape == (3, 3, 8, 8, 3) and arrays["frames"].dtype == np.uint8
    assert arrays["frames"].flags.c_contiguous
    np.testing.assert_array_equal(arrays["frames"][:, :, 5, 2, 1], sample.rows)  # (C, K, y, x, colour)
    np.testing.assert_array_equal(arrays["keypoints"][:, 3, 0], sample.body_rows)
    assert arrays["keypoints"].dtype == np.float32 and arrays["body_mask"].shape == ()


def test_a_frame_is_read_once(track: FakeTrack) -> None:
    reader = FakeReader()
    rows = np.array([[5, 5, 7], [7, 7, 5], [-1, -1, -1]])
    crops = read_clips(reader, track, rows, SPEC)
    assert reader.rows_read == [5, 7]
    np.testing.assert_array_equal(crops[..., 0, 0, 0], np.maximum(rows, 0))


def test_keypoints_nan_is_unseen(track: FakeTrack) -> None:
    track.keypoints[3, 4] = [np.nan, np.nan, 0]
    assert not read_keypoints(track, np.array([3]), SPEC)[0, 4].any()


def test_keypoints_of_another_layout_fails(track: FakeTrack) -> None:
    track.keypoints = track.keypoints[:, :14]
    with pytest.raises(ValueError, match="skeletons of 14 joints, the recipe's body model takes 17"):
        read_keypoints(track, np.array([3]), SPEC)
    track.keypoints = track.keypoints[:, :0]
    assert not read_keypoints(track, np.array([-1, -1]), SPEC).any()  # nobody's body: nothing to compare


def test_keypoints_are_brought_to_the_layout_that_is_wanted(track: FakeTrack) -> None:
    spec = replace(SPEC, skeleton="openpose18", num_joints=18)
    track.keypoints[:, :, 2] = 0.9
    track.keypoints[3, 5], track.keypoints[3, 6] = (10, 20, 0.8), (30, 24, 0.5)
    track.keypoints[4, 5, 2] = 0
    keypoints = read_keypoints(track, np.array([3, 4, -1]), spec)
    np.testing.assert_allclose(keypoints[0, 1], (20, 22, 0.5))  # the neck
    assert not keypoints[1, 1].any()  # of a shoulder that is not seen
    np.testing.assert_array_equal(keypoints[0, 0], track.keypoints[3, 0])  # the nose
    assert not keypoints[2].any() and np.isfinite(keypoints).all()
    track.layout, track.keypoints = "openpose18", np.ones((10, 18, 3), np.float32)
    assert (read_keypoints(track, np.array([3]), spec) == 1).all()


def test_resize_averages() -> None:
    crops = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    crops[:, ::2] = 200
    assert resize_crops(crops, 8) is crops
    np.testing.assert_array_equal(resize_crops(crops, 4), np.full((2, 4, 4, 3), 100))


def with_landmarks(track: FakeTrack, num_points: int = 68, layout: str = "ibug68") -> FakeTrack:
    """Crops of 8 px of a square of 32 px, whose corner is at (10, 20) of the picture."""
    rng, n = np.random.default_rng(0), len(track.t_start)
    warp = np.array([[0.25, 0, -2.5], [0, 0.25, -5]], np.float32)
    points = (rng.random((n, num_points, 2)) * 32 + [10, 20]).astype(np.float32)
    return replace(
        track, dense_landmarks=points, landmark_layout=layout, warps=np.repeat(warp[None], n, axis=0)
    )


def test_landmarks_are_shares_of_the_crop_s_side(track: FakeTrack) -> None:
    track = with_landmarks(track)
    track.dense_landmarks[0, :3] = [[10, 20], [42, 52], [26, 20]]  # corners, and the middle of the upper edge
    track.dense_landmarks[5, 7, 1] = np.nan
    points, mask = read_landmarks(track, np.array([[0, 5], [9, -1]]))
    assert points.shape == (2, 2, 68, 2) and points.dtype == np.float32
    np.testing.assert_allclose(points[0, 0, :3], [[0, 0], [1, 1], [0.5, 0]], atol=1e-6)
    np.testing.assert_allclose(points[1, 0], (track.dense_landmarks[9] - [10, 20]) / 32, atol=1e-6)
    assert mask.tolist() == [[True, False], [True, False]]  # a face of which a point lacks has none
    assert not points[~mask].any()


def test_a_mesh_is_brought_to_68_points(track: FakeTrack) -> None:
    mesh = with_landmarks(track, 468, "mesh468")
    points, mask = read_landmarks(mesh, np.array([[3]]))
    means = [mesh.dense_landmarks[3, list(vertices)].mean(axis=0) for vertices in IBUG68_FROM_MESH468]
    np.testing.assert_allclose(points[0, 0], (np.array(means) - [10, 20]) / 32, atol=1e-6)
    assert mask.all()
    with pytest.raises(ValueError, match="unknown landmark layout 'mesh478'"):
        read_landmarks(replace(mesh, landmark_layout="mesh478"), np.array([[3]]))


def test_a_sample_has_landmarks_where_its_spec_wants_them(track: FakeTrack) -> None:
    track.face_state[:15] = State.ABSENT
    spec = replace(SPEC, use_landmarks=True)
    for each in (with_landmarks(track), track):  # a store with and one without
        sample = plan(each, 0.3, spec)
        assert 0 < np.count_nonzero(sample.clip_mask) < 3
        arrays = read(FakeReader(), each, sample, spec)
        there = (sample.rows >= 0) & bool(each.landmark_layout)
        assert np.array_equal(arrays["landmark_mask"], there)
        assert np.array_equal(arrays["landmarks"].any(axis=(2, 3)), there)
    assert not {"landmarks", "landmark_mask"} & set(read(FakeReader(), track, sample, SPEC))
    with pytest.raises(ValueError, match="use_landmarks needs use_face"):
        replace(spec, use_face=False)


def test_interval_spreads_the_clips(track: FakeTrack) -> None:
    spec = replace(SPEC, sampling="interval")
    sample = plan(track, 0.0, spec, t1=3.6)
    np.testing.assert_array_equal(sample.rows, [[5, 15, 25], [35, 45, 55], [65, 75, 85]])
    drawn = plan(track, 0.0, spec, t1=3.6, rng=np.random.default_rng(0)).rows.ravel()
    assert (drawn != sample.rows.ravel()).any()
    np.testing.assert_array_equal(drawn // 10, np.arange(9))  # one in each ninth


def test_nothing_is_what_a_masked_plan_reads(track: FakeTrack) -> None:
    changes: list[dict[str, Any]] = [{}, {"use_face": False}, {"use_body": False}, {"use_landmarks": True}]
    for spec in (replace(SPEC, **change) for change in changes):
        masked = read(FakeReader(), track, plan(track, 50.0, spec), spec)
        assert masked.keys() == nothing(spec).keys()
        for name, value in nothing(spec).items():
            assert value.dtype == masked[name].dtype
            np.testing.assert_array_equal(value, masked[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_clips": 0}, "num_clips must be at least 1, not 0"),
        ({"clip_seconds": 0.5}, r"clip_seconds must be in \(0, window_seconds / num_clips = 0.4\], not 0.5"),
        ({"clip_seconds": -1.0}, "clip_seconds"),
        ({"window_seconds": float("nan")}, "window_seconds"),
        ({"use_face": False, "use_body": False}, "needs a face or a body"),
    ],
)
def test_spec_fails(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SPEC, **change)


frame_edges = st.lists(st.floats(0.001, 0.3), min_size=1, max_size=120).map(
    lambda lengths: np.concatenate([[0.0], np.cumsum(lengths)])
)
specs = st.builds(
    lambda C, K, window, share, L: SampleSpec(
        num_clips=C, num_frames=K, window_seconds=window, clip_seconds=window / C * share, body_length=L
    ),
    C=st.integers(1, 7),
    K=st.integers(1, 9),
    window=st.floats(0.02, 5.0),
    share=st.floats(0.05, 1.0),
    L=st.integers(1, 40),
)


@settings(max_examples=150)
@given(frame_edges, specs, st.integers(-50, 200), st.randoms(use_true_random=False))
def test_windows_on_the_grid_share_their_clips(
    edges: np.ndarray, spec: SampleSpec, first: int, random: Any
) -> None:
    seen = np.array([random.random() < 0.7 for _ in edges[1:]])
    track = make_track(edges, seen)
    C = spec.num_clips
    windows = np.arange(first, first + 6)
    starts = np.arange(first, first + 6 + C) * spec.hop_seconds
    rows, mask = plan_clips(track, starts, spec)
    for window in windows:
        sample = plan(track, window * spec.hop_seconds, spec)
        np.testing.assert_array_equal(sample.rows, rows[window - first :][:C])
        np.testing.assert_array_equal(sample.clip_mask, mask[window - first :][:C])


@settings(max_examples=150)
@given(frame_edges, specs, st.floats(-6.0, 30.0), st.randoms(use_true_random=False))
def test_rows_are_seen_and_near(edges: np.ndarray, spec: SampleSpec, t0: float, random: Any) -> None:
    seen = np.array([random.random() < 0.6 for _ in edges[1:]])
    track = make_track(edges, seen)
    sample = plan(track, t0, spec)
    assert (sample.rows >= 0).all(axis=1).tolist() == sample.clip_mask.tolist()
    assert (sample.rows[~sample.clip_mask] == -1).all()
    assert seen[sample.rows[sample.clip_mask]].all() and seen[sample.body_rows[sample.body_valid]].all()
    assert (np.diff(sample.rows, axis=1) >= 0).all()  # in order, also where frames are repeated

    # Against the definition, frame by frame, in float seconds.
    tolerance = 2 / NANOSECONDS
    for clip in range(spec.num_clips):
        begin = t0 + clip * spec.window_seconds / spec.num_clips
        for k in range(spec.num_frames):
            row = sample.rows[clip, k]
            instant = begin + (k + 0.5) * spec.clip_seconds / spec.num_frames
            shown = np.flatnonzero((edges[:-1] <= instant - tolerance) & (edges[1:] > instant + tolerance))
            if sample.clip_mask[clip] and len(shown) and seen[shown[0]]:
                assert row == shown[0]


@settings(max_examples=150)
@given(specs, st.floats(-6.0, 30.0), st.floats(0.0, 1.0), st.integers(0, 99))
def test_jitter_moves_clips_within_bounds_and_window(
    spec: SampleSpec, t0: float, time_jitter: float, seed: int
) -> None:
    """A track of a millisecond a frame, so that rows are times."""
    track = steady(60_000, fps=1000.0, start=-10.0)
    plain = plan(track, t0, spec)
    moved = plan(track, t0, spec, rng=np.random.default_rng(seed), time_jitter=time_jitter)
    moves = moved.rows - plain.rows  # (C, K) ms
    assert np.abs(moves).max() <= 500 * time_jitter * spec.clip_seconds + 1
    assert (moves.max(axis=1) - moves.min(axis=1)).max() <= 1  # a clip moves as a whole
    assert (np.diff(moved.rows, axis=1) >= 0).all() and (np.diff(moved.rows[:, 0]) >= -1).all()
    first, last = 1000 * (10 + t0), 1000 * (10 + t0 + spec.window_seconds)
    assert moved.rows.min() >= first - 1 and moved.rows.max() <= last + 1
    np.testing.assert_array_equal(moved.body_rows, plain.body_rows)
    assert (moved.t_start, moved.t_end) == (plain.t_start, plain.t_end)


def test_jitter_moves_each_clip_by_itself_and_to_both_sides() -> None:
    track = steady(60_000, fps=1000.0)
    plain = plan(track, 20.0, SPEC)
    rngs = [np.random.default_rng(seed) for seed in range(300)]
    moves = np.array(
        [plan(track, 20.0, SPEC, rng=rng, time_jitter=0.2).rows[:, 0] - plain.rows[:, 0] for rng in rngs]
    )  # (300, C) ms, +- 36; the gap at a clip's end is 40 ms, so that only the first is held by the window
    assert moves[:, 0].min() == 0 and np.abs(moves).max() <= 36 and moves[:, 0].max() > 30
    assert (moves[:, 1:].min(axis=0) < -30).all() and (moves[:, 1:].max(axis=0) > 30).all()
    assert abs(np.corrcoef(moves[:, 1], moves[:, 2])[0, 1]) < 0.2
    # Without an rng nothing is drawn, and without jitter the rng changes nothing.
    for options in ({"time_jitter": 0.2}, {"rng": np.random.default_rng(0)}):
        np.testing.assert_array_equal(plan(track, 20.0, SPEC, **options).rows, plain.rows)


def test_jitter_leaves_interval_sampling_alone(track: FakeTrack) -> None:
    spec = replace(SPEC, sampling="interval")
    for rng in (None, 0):
        samples = [
            plan(
                track, 0.0, spec, t1=3.6, time_jitter=jitter,
                rng=None if rng is None else np.random.default_rng(rng),
            )
            for jitter in (0.0, 1.0)
        ]  # fmt: skip
        np.testing.assert_array_equal(samples[0].rows, samples[1].rows)


def test_long_track_only_looks_near_the_window() -> None:
    track = steady(200_000)
    np.testing.assert_array_equal(plan(track, 4000.0, SPEC).rows, plan(steady(), 0.0, SPEC).rows + 100_000)
    slow = make_track(np.array([0.0, 1000.0, 1000.1]))  # a frame may be longer than any margin
    assert plan(slow, 500.0, SPEC).clip_mask.all()
