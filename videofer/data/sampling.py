"""The one sampler, for training and timeline: which frames of a track make a sample, and reading them.

A sample shows one window [t0, t0 + W) of media time by C clips of K frames for the face and by L instants
for the body. Clip c starts at t0 + c * hop with hop = W / C, and its instants lie in the middle of K equal
parts of `clip_seconds`. At an instant the frame that is shown then counts: t_start <= t < t_end.

All arithmetic is in integer nanoseconds, offsets are rounded once per spec. So the clip at grid index i has
the same instants whether it is reached as clip 0 of window i or as clip c of window i - c, and a timeline
may run the trunk once per clip.

Letters in shapes: C clips, K frames a clip, L body instants, J joints, P dense landmarks, S side in pixels,
N clips at large, n frames of the track.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import cv2
import numpy as np

from cache.schema import SEEN_STATES
from preprocessing.landmarks.layouts import IBUG68, to_ibug68
from preprocessing.skeletons.layouts import LAYOUTS, mapping

NANOSECONDS = 1_000_000_000
_MARGIN_SECONDS = 1.0  # frames this far outside the instants are looked at; only speeds up long tracks
_SEEN = np.zeros(256, dtype=bool)
_SEEN[[int(state) for state in SEEN_STATES]] = True


class Track(Protocol):
    """What the sampler needs of `cache.reader.PersonTrack`. Arrays are over the n frames of the track."""

    @property
    def video_key(self) -> str: ...

    @property
    def person_id(self) -> int: ...

    @property
    def t_start(self) -> np.ndarray: ...  # (n,) float64 media seconds

    @property
    def t_end(self) -> np.ndarray: ...  # (n,) float64 media seconds

    @property
    def face_state(self) -> np.ndarray: ...  # (n,) uint8

    @property
    def body_state(self) -> np.ndarray: ...  # (n,) uint8

    @property
    def keypoints(self) -> np.ndarray: ...  # (n, J, 3) float32; J may be 0 where the track never has a body

    @property
    def layout(self) -> str: ...  # of the joints


class LandmarkTrack(Track, Protocol):
    """What `read` needs of it beside: landmarks, and where they lie in the crops."""

    @property
    def dense_landmarks(self) -> np.ndarray: ...  # (n, P, 2) float32 source pixels; P may be 0

    @property
    def landmark_layout(self) -> str: ...  # of the P points, "" for none

    @property
    def warps(self) -> np.ndarray: ...  # (n, 2, 3) float32: source pixels -> crop pixels

    @property
    def crop_size(self) -> int: ...  # side of a crop in pixels


class CropReader(Protocol):
    """What the sampler needs of `cache.reader.StoreReader`."""

    def read_crops(self, track: Any, rows: np.ndarray) -> np.ndarray:
        """rows (m,) index the track's frames -> (m, S, S, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, kw_only=True)
class SampleSpec:
    """The shape of a sample. Comes from the recipe, see `Recipe.sample_spec`."""

    num_clips: int  # C
    num_frames: int  # K
    clip_seconds: float
    window_seconds: float
    sampling: Literal["window", "interval"] = "window"
    """window: of fixed length. interval: the clips tile the whole labelled interval (as published)."""
    body_length: int = 32  # L
    num_joints: int = 17  # J
    skeleton: str | None = None
    """The joint layout that bodies are brought to; None: as they are stored."""
    input_size: int = 112  # S: crops are brought to this side
    use_face: bool = True
    use_body: bool = True
    use_landmarks: bool = False  # 68 points of each frame of the face, for training

    def __post_init__(self) -> None:
        for name in ("num_clips", "num_frames", "body_length", "num_joints", "input_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.window_seconds < float("inf"):
            raise ValueError(f"window_seconds must be positive, not {self.window_seconds}")
        if not 0 < self.clip_seconds <= self.window_seconds / self.num_clips + 1e-9:
            raise ValueError(
                f"clip_seconds must be in (0, window_seconds / num_clips = "
                f"{self.window_seconds / self.num_clips:g}], not {self.clip_seconds:g}"
            )
        if self.hop_ns < 1 or not (self.use_face or self.use_body):
            raise ValueError("a sample needs a face or a body, and a window of more than a nanosecond")
        if self.use_landmarks and not self.use_face:
            raise ValueError("landmarks are of the face's frames: use_landmarks needs use_face")

    @cached_property
    def hop_ns(self) -> int:
        return round(self.window_seconds / self.num_clips * NANOSECONDS)

    @property
    def hop_seconds(self) -> float:
        """Distance of clip starts, and of a timeline's windows: window i starts at i * hop_seconds."""
        return self.hop_ns / NANOSECONDS

    @cached_property
    def clip_offsets_ns(self) -> np.ndarray:
        """(K,) int64: a clip's instants after its start."""
        return _part_centres(self.clip_seconds, self.num_frames)

    @cached_property
    def body_offsets_ns(self) -> np.ndarray:
        """(L,) int64: the body's instants after the start of the window."""
        return _part_centres(self.window_seconds, self.body_length)


@dataclass(frozen=True)
class SamplePlan:
    """Which rows of a track make a sample."""

    t_start: float  # media seconds of the window
    t_end: float
    rows: np.ndarray  # (C, K) int64; -1 throughout a masked clip, never elsewhere
    clip_mask: np.ndarray  # (C,) bool: False where under half of the clip's frames show the face
    body_rows: np.ndarray  # (L,) int64; -1 where no body is seen
    body_valid: np.ndarray  # (L,) bool

    @property
    def has_face(self) -> bool:
        return bool(self.clip_mask.any())

    @property
    def has_body(self) -> bool:
        """At least half of the instants show the body."""
        return bool(2 * np.count_nonzero(self.body_valid) >= len(self.body_valid))


def plan(
    track: Track,
    t0: float,
    spec: SampleSpec,
    *,
    t1: float | None = None,
    still: bool = False,
    rng: np.random.Generator | None = None,
    time_jitter: float = 0.0,
) -> SamplePlan:
    """Plans the sample of the window that starts at media second t0.

    t1 (interval sampling only): end of the labelled interval, over which the clips are spread. still: the
    video is one picture, shown at every instant.

    rng: for training. In window sampling each clip is moved in time by up to half of `time_jitter` of its
    length, but not out of the window; the clips keep their order, and the body's instants stay. In interval
    sampling each instant is drawn within its own K-th part of the clip instead of the part's middle; the
    published code draws K frames anywhere in the part, which may take neighbours only.
    """
    start = _to_ns(t0)
    if spec.sampling == "window":
        assert t1 is None, "t1 is for interval sampling"
        t1 = t0 + spec.window_seconds
        begins = start + spec.hop_ns * np.arange(spec.num_clips)  # (C,)
        if rng is not None and time_jitter > 0:
            begins = _jittered(begins, spec, rng, time_jitter)
        clips = begins[:, None] + spec.clip_offsets_ns
        body = start + spec.body_offsets_ns
    else:
        assert t1 is not None and t1 >= t0, "interval sampling needs the interval's end"
        clips = start + _spread(t1 - t0, spec.num_clips * spec.num_frames, rng)
        clips = clips.reshape(spec.num_clips, spec.num_frames)
        body = start + _spread(t1 - t0, spec.body_length, rng)

    rows = np.full(clips.shape, -1, dtype=np.int64)
    clip_mask = np.zeros(len(clips), dtype=bool)
    if spec.use_face:
        rows, clip_mask = _fill_clips(track, clips, still)
    body_rows = np.full(len(body), -1, dtype=np.int64)
    if spec.use_body:
        body_rows = _shown_rows(track.t_start, track.t_end, body, still)
        body_rows = np.where(_is_seen(track.body_state, body_rows), body_rows, -1)
    return SamplePlan(t0, t1, rows, clip_mask, body_rows, body_rows >= 0)


def plan_clips(
    track: Track, starts_seconds: np.ndarray, spec: SampleSpec, *, still: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Many clips at once, for a timeline: starts (N,) media seconds -> rows (N, K) int64, mask (N,) bool.

    A clip is what `plan` would give for a clip that starts there.
    """
    starts: np.ndarray = np.rint(np.asarray(starts_seconds) * NANOSECONDS).astype(np.int64)
    return _fill_clips(track, starts[:, None] + spec.clip_offsets_ns, still)


def read(
    reader: CropReader, track: LandmarkTrack, sample: SamplePlan, spec: SampleSpec
) -> dict[str, np.ndarray]:
    """Reads a planned sample.

    Returns `frames` (C, K, S, S, 3) uint8 RGB and `clip_mask` (C,) bool where the spec uses the face;
    `keypoints` (L, J, 3) float32 x, y in source pixels, score, and `body_mask` () bool where it uses the
    body; `landmarks` (C, K, 68, 2) float32 and `landmark_mask` (C, K) bool, see `read_landmarks`, where it
    uses them. What is masked is zero.
    """
    arrays: dict[str, np.ndarray] = {}
    if spec.use_face:
        arrays["frames"] = read_clips(reader, track, sample.rows, spec)
        arrays["clip_mask"] = sample.clip_mask.copy()
    if spec.use_landmarks:
        arrays["landmarks"], arrays["landmark_mask"] = read_landmarks(track, sample.rows)
    if spec.use_body:
        arrays["keypoints"] = read_keypoints(track, sample.body_rows, spec)
        arrays["body_mask"] = np.array(sample.has_body)
    return arrays


def nothing(spec: SampleSpec) -> dict[str, np.ndarray]:
    """A sample of which nothing is there: as `read` returns it for a plan that is masked throughout."""
    arrays: dict[str, np.ndarray] = {}
    if spec.use_face:
        clips, size = spec.num_clips, spec.input_size
        arrays["frames"] = np.zeros((clips, spec.num_frames, size, size, 3), dtype=np.uint8)
        arrays["clip_mask"] = np.zeros(clips, dtype=bool)
    if spec.use_landmarks:
        shape = spec.num_clips, spec.num_frames
        arrays["landmarks"] = np.zeros((*shape, IBUG68.num_points, 2), dtype=np.float32)
        arrays["landmark_mask"] = np.zeros(shape, dtype=bool)
    if spec.use_body:
        arrays["keypoints"] = np.zeros((spec.body_length, spec.num_joints, 3), dtype=np.float32)
        arrays["body_mask"] = np.array(False)
    return arrays


def read_clips(reader: CropReader, track: Track, rows: np.ndarray, spec: SampleSpec) -> np.ndarray:
    """rows (N, K) int64, -1 for nothing -> (N, K, S, S, 3) uint8; zero where there is nothing.

    A frame that occurs several times is read once.
    """
    size = spec.input_size
    flat = rows.reshape(-1)
    if flat.size and flat[0] >= 0 and (flat[1:] > flat[:-1]).all():  # nearly always: no further copy
        return resize_crops(reader.read_crops(track, flat), size).reshape(*rows.shape, size, size, 3)
    wanted, place = np.unique(rows, return_inverse=True)
    first = int(np.searchsorted(wanted, 0))
    if first == 0:
        return resize_crops(reader.read_crops(track, wanted), size)[place.reshape(rows.shape)]
    crops = np.zeros((len(wanted), size, size, 3), dtype=np.uint8)
    if first < len(wanted):
        crops[first:] = resize_crops(reader.read_crops(track, wanted[first:]), size)
    return crops[place.reshape(rows.shape)]


def read_keypoints(track: Track, rows: np.ndarray, spec: SampleSpec) -> np.ndarray:
    """rows (L,) int64, -1 for nothing -> (L, J, 3) float32; zero, so with score 0, where there is nothing."""
    out = np.zeros((len(rows), spec.num_joints, 3), dtype=np.float32)
    present = rows >= 0
    if present.any():
        keypoints = track.keypoints[rows[present]]
        if spec.skeleton is not None and track.layout in LAYOUTS:
            keypoints = mapping(LAYOUTS[track.layout], LAYOUTS[spec.skeleton])(keypoints)
        num_joints = keypoints.shape[1]
        if num_joints != spec.num_joints:
            raise ValueError(
                f"video {track.video_key}, person {track.person_id}: skeletons of {num_joints} joints, "
                f"the recipe's body model takes {spec.num_joints}"
            )
        out[present] = np.nan_to_num(keypoints, nan=0.0)
    return out


def read_landmarks(track: LandmarkTrack, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rows (C, K) int64, -1 for nothing -> landmarks (C, K, 68, 2) float32 and which are there (C, K) bool.

    In the frame's crop, (0, 0) its upper left corner and (1, 1) its lower right one; zero where there are
    none. The track's points are brought to the layout `IBUG68`. ValueError where it is not known how.
    """
    points = np.zeros((*rows.shape, IBUG68.num_points, 2), dtype=np.float32)
    mask = np.zeros(rows.shape, dtype=bool)
    present = rows >= 0
    if not track.landmark_layout or not present.any():
        return points, mask
    wanted = rows[present]
    source = to_ibug68(track.dense_landmarks[wanted], track.landmark_layout)  # (m, 68, 2)
    warps = track.warps[wanted] / track.crop_size  # (m, 2, 3): to shares of the crop's side
    moved = source @ warps[:, :, :2].transpose(0, 2, 1) + warps[:, None, :, 2]
    found = np.isfinite(moved).all(axis=(1, 2))
    points[present] = np.where(found[:, None, None], moved, 0)
    mask[present] = found
    return points, mask


def resize_crops(crops: np.ndarray, size: int) -> np.ndarray:
    """(m, S, S, 3) uint8 -> (m, size, size, 3): area average when shrinking, bilinear when growing."""
    if crops.shape[1] == size:
        return crops
    how = cv2.INTER_AREA if size < crops.shape[1] else cv2.INTER_LINEAR
    out = np.empty((len(crops), size, size, 3), dtype=np.uint8)
    for source, target in zip(crops, out, strict=True):
        cv2.resize(source, (size, size), dst=target, interpolation=how)
    return out


def _to_ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)


def _jittered(
    begins_ns: np.ndarray, spec: SampleSpec, rng: np.random.Generator, time_jitter: float
) -> np.ndarray:
    """(C,) int64 clip starts -> the same, each moved; clips do not leave the window."""
    clip_ns = spec.clip_seconds * NANOSECONDS
    moves = rng.uniform(-0.5, 0.5, len(begins_ns)) * (time_jitter * clip_ns)
    last = max(begins_ns[0] + round(spec.window_seconds * NANOSECONDS - clip_ns), begins_ns[-1])
    moved: np.ndarray = np.clip(begins_ns + np.rint(moves).astype(np.int64), begins_ns[0], last)
    return moved


def _part_centres(seconds: float, num_parts: int) -> np.ndarray:
    centres = (np.arange(num_parts) + 0.5) * (seconds / num_parts * NANOSECONDS)
    rounded: np.ndarray = np.rint(centres).astype(np.int64)
    return rounded


def _spread(seconds: float, num_parts: int, rng: np.random.Generator | None) -> np.ndarray:
    """(num_parts,) int64 nanoseconds, ascending: one instant in each equal part of [0, seconds)."""
    inside = np.full(num_parts, 0.5) if rng is None else rng.random(num_parts)
    instants = (np.arange(num_parts) + inside) * (seconds / num_parts * NANOSECONDS)
    whole: np.ndarray = np.floor(instants).astype(np.int64)
    return whole


def _shown_rows(t_start: np.ndarray, t_end: np.ndarray, instants_ns: np.ndarray, still: bool) -> np.ndarray:
    """Row of the frame shown at each instant, -1 where the track has none. Same shape as the instants."""
    if still:
        return np.zeros(instants_ns.shape, dtype=np.int64)
    if instants_ns.size == 0 or len(t_start) == 0:
        return np.full(instants_ns.shape, -1, dtype=np.int64)
    low = instants_ns.min() / NANOSECONDS - _MARGIN_SECONDS
    high = instants_ns.max() / NANOSECONDS + _MARGIN_SECONDS
    # From the frame shown at `low` (it may be long) to the first one after `high`.
    first = max(int(np.searchsorted(t_start, low, side="right")) - 1, 0)
    stop = int(np.searchsorted(t_start, high, side="right"))
    if stop <= first:
        return np.full(instants_ns.shape, -1, dtype=np.int64)
    start_ns = np.rint(t_start[first:stop] * NANOSECONDS)  # exact in float64 up to 104 days
    end_ns = np.rint(t_end[first:stop] * NANOSECONDS)
    rows = np.searchsorted(start_ns, instants_ns, side="right") - 1
    shown = (rows >= 0) & (instants_ns < end_ns[np.maximum(rows, 0)])
    return np.where(shown, rows + first, -1)


def _is_seen(states: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if len(states) == 0:
        return np.zeros(rows.shape, dtype=bool)
    seen: np.ndarray = _SEEN[states[rows]] & (rows >= 0)
    return seen


def _fill_clips(track: Track, instants_ns: np.ndarray, still: bool) -> tuple[np.ndarray, np.ndarray]:
    """instants (N, K) -> rows (N, K), mask (N,). Missing frames repeat the nearest valid one of the clip."""
    rows = _shown_rows(track.t_start, track.t_end, instants_ns, still)
    valid = _is_seen(track.face_state, rows)
    mask: np.ndarray = 2 * np.count_nonzero(valid, axis=1) >= instants_ns.shape[1]
    for clip in np.flatnonzero(mask & ~valid.all(axis=1)):  # rare
        have = np.flatnonzero(valid[clip])
        distance = np.abs(instants_ns[clip][:, None] - instants_ns[clip][have][None, :])  # (K, len(have))
        rows[clip] = rows[clip][have[distance.argmin(axis=1)]]  # the earlier one when two are as near
    rows[~mask] = -1
    return rows, mask
