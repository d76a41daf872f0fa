"""A person's track as it is read: local tracks of faces and bodies laid over the frames of the video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from cache.errors import StoreError
from cache.layout import FACE_ROW, body_row
from cache.schema import SEEN_STATES, SegmentRecord, State, VideoRecord


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """One person through one video: n frames from first to last evidence.

    Where no local track covers a frame, the state is ABSENT, coordinates and quality are NaN, keypoints and
    scores 0. The arrays are shared by all who ask for this track: read only.
    """

    video_key: str
    person_id: int
    first_frame: int  # index into the sampled frames of the video
    pts: np.ndarray  # (n,) int64
    t_start: np.ndarray  # (n,) float64, seconds of media time
    t_end: np.ndarray  # (n,) float64, where the next sampled frame starts
    face_state: np.ndarray  # (n,) uint8, State
    body_state: np.ndarray  # (n,) uint8, State
    face_boxes_xyxy: np.ndarray  # (n, 4) float32
    landmarks_xy: np.ndarray  # (n, 5, 2) float32
    warps: np.ndarray  # (n, 2, 3) float32
    face_scores: np.ndarray  # (n,) float32
    quality: np.ndarray  # (n, 3) float32, QUALITY_NAMES
    body_boxes_xyxy: np.ndarray  # (n, 4) float32
    keypoints: np.ndarray  # (n, J, 3) float32, score 0 where unseen; J = 0 when the person has no body
    body_scores: np.ndarray  # (n,) float32
    layout: str  # of the joints, "" when the person has no body
    # beside the five: (n, P, 2) float32, NaN where unseen; P = 0 when the store has none of this person
    dense_landmarks: np.ndarray
    landmark_layout: str  # of these P points, "" when there are none
    crop_size: int  # side of the crops in pixels, 0 when the person has no face
    has_crop: np.ndarray  # (n,) bool: rows that `StoreReader.read_crops` takes
    _segments: tuple[SegmentRecord, ...] = field(repr=False)  # of the video
    # (n, 5) int64: position in _segments (-1: no crop), chunk, offset in the file, length in bytes, CRC32C
    _crops: np.ndarray = field(repr=False)
    _checked: np.ndarray = field(repr=False)  # (n,) bool: has a crop, and its checksum was found right

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of one local track at its place in the video."""

    kind: str
    segment: int  # position in the record
    first_frame: int  # of the video
    rows: np.ndarray  # (n,) FACE_ROW or body_row(J)
    landmarks: np.ndarray  # (n, P, 2) float32, dense; (0, 0, 2) where there are none, as of bodies
    layout: str  # of the segment's bodies
    landmark_layout: str  # of the segment's faces
    chunk_offsets: np.ndarray  # of the segment's crops, bytes from the start of the file
    crop_size: int  # of these crops, pixels


def ends_of(pts: np.ndarray, end_pts: int, not_decoded: Iterable[tuple[int, int]] = ()) -> np.ndarray:
    """Where each of the frames pts (T,) ends: at the next one, or where an undecoded span begins before it.

    The last one ends at end_pts. not_decoded: half-open, rising. (T,) int64.
    """
    ends = np.append(pts[1:], end_pts)[: len(pts)]
    for start_pts, _ in not_decoded:
        last_before = int(np.searchsorted(pts, start_pts)) - 1
        if last_before >= 0:
            ends[last_before] = min(int(ends[last_before]), start_pts)
    return ends


def frame_times(video: VideoRecord, pts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """pts, t_start and t_end (T,) of all sampled frames of a video.

    t_end[i] is t_start[i + 1] to the last bit, but where the video is not decoded between the two.
    """
    if not len(pts):
        return pts, np.empty(0), np.empty(0)
    ends = ends_of(pts, video.segments[-1].end_pts, video.not_decoded)
    return pts, media_seconds(video, pts), media_seconds(video, ends)


def media_seconds(video: VideoRecord, pts: np.ndarray) -> np.ndarray:
    """Times of a video (T,) in seconds from the start of its presentation, float64."""
    start = Fraction(*video.presentation_start)
    numerator, denominator = video.time_base
    # In whole ticks of a common clock, so that each time is rounded once, as float(Fraction) would.
    ticks_per_second = denominator * start.denominator
    ticks_per_pts, start_ticks = numerator * start.denominator, start.numerator * denominator
    return np.array([(value * ticks_per_pts - start_ticks) / ticks_per_second for value in pts.tolist()])


def join(
    video: VideoRecord,
    person_id: int,
    pieces: list[Piece],
    pts: np.ndarray,
    t_start: np.ndarray,
    t_end: np.ndarray,
) -> PersonTrack:
    """Local tracks laid over the person's frames; pts, t_start, t_end (T,) are those of the whole video.

    Where two of a kind cover a frame, the first that sees it wins.
    """
    first = min((piece.first_frame for piece in pieces), default=0)
    last = max((piece.first_frame + len(piece.rows) for piece in pieces), default=0)
    body_type, layout = _body_type(video.key, person_id, pieces)
    num_points, landmark_layout = _landmark_type(video.key, person_id, pieces)
    faces, bodies = _absent(FACE_ROW, last - first), _absent(body_type, last - first)
    landmarks = np.full((last - first, num_points, 2), np.nan, np.float32)
    crops = np.full((last - first, 5), -1, np.int64)
    for piece in pieces:
        span = slice(piece.first_frame - first, piece.first_frame - first + len(piece.rows))
        target = (faces if piece.kind == "face" else bodies)[span]
        better = ~np.isin(target["state"], SEEN_STATES) & (piece.rows["state"] != State.ABSENT)
        target[better] = piece.rows[better]
        if piece.kind == "face":
            seen = better & (piece.rows["crop_chunk"] >= 0)
            crops[span][better] = -1
            if piece.landmarks.shape[1]:
                landmarks[span][better] = piece.landmarks[better]
            crops[span][seen, 0] = piece.segment
            rows = piece.rows[seen]
            offsets = piece.chunk_offsets[rows["crop_chunk"]] + rows["crop_start"]
            columns = rows["crop_chunk"], offsets, rows["crop_bytes"], rows["crop_crc32c"]
            crops[span][seen, 1:] = np.stack(columns, axis=1)
    return PersonTrack(
        video_key=video.key,
        person_id=person_id,
        first_frame=first,
        pts=pts[first:last].copy(),  # else a short track would keep the times of a long video in memory
        t_start=t_start[first:last].copy(),
        t_end=t_end[first:last].copy(),
        face_state=faces["state"].copy(),
        body_state=bodies["state"].copy(),
        face_boxes_xyxy=faces["box_xyxy"].copy(),
        landmarks_xy=faces["landmarks_xy"].copy(),
        warps=faces["warp"].copy(),
        face_scores=faces["score"].copy(),
        quality=faces["quality"].copy(),
        body_boxes_xyxy=bodies["box_xyxy"].copy(),
        keypoints=bodies["keypoints"].copy(),
        body_scores=bodies["score"].copy(),
        layout=layout,
        dense_landmarks=landmarks,
        landmark_layout=landmark_layout,
        crop_size=max((piece.crop_size for piece in pieces if piece.kind == "face"), default=0),
        has_crop=crops[:, 0] >= 0,
        _segments=tuple(video.segments),
        _crops=crops,
        _checked=np.zeros(len(crops), bool),
    )


def _absent(row_type: np.dtype[Any], num_frames: int) -> np.ndarray:
    rows = np.zeros(num_frames, row_type)
    for name in {"box_xyxy", "landmarks_xy", "warp", "quality"} & set(row_type.fields or ()):
        rows[name] = np.nan
    return rows


def _body_type(key: str, person_id: int, pieces: list[Piece]) -> tuple[np.dtype[Any], str]:
    """Row type and joint layout of a person's bodies, which must be one."""
    found = {(piece.rows.dtype, piece.layout) for piece in pieces if piece.kind == "body"}
    if len(found) > 1:
        layouts = sorted(layout for _, layout in found)
        raise StoreError(f"person {person_id} of video {key} has bodies of several layouts: {layouts}")
    return found.pop() if found else (body_row(0), "")


def _landmark_type(key: str, person_id: int, pieces: list[Piece]) -> tuple[int, str]:
    """Number and layout of the dense landmarks of a person's faces, which must be one; (0, "") for none."""
    found = {
        (piece.landmarks.shape[1], piece.landmark_layout) for piece in pieces if piece.landmarks.shape[1]
    }
    if len(found) > 1:
        layouts = sorted(layout for _, layout in found)
        raise StoreError(f"person {person_id} of video {key} has landmarks of several layouts: {layouts}")
    return found.pop() if found else (0, "")
