"""Writing one segment of a video: frames and tracks in any interleaving, streamed into its HDF5 group."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import numpy as np

from cache.crops import CropLog
from cache.layout import (
    EXTENT_ROW,
    FACE_ROW,
    KIND_CODES,
    LANDMARKS,
    LogWriter,
    body_row,
    fixed_text,
    landmark_row,
)
from cache.schema import BodyBlock, Codec, FaceBlock, LocalTrack, SegmentRecord, is_seen

ROWS_PER_WRITE = 64  # frames of a track that are gathered before they become an extent


@dataclass
class _OpenTrack:
    """Rows of one track on their way to the log."""

    kind: Literal["face", "body"]
    local_id: int
    first_frame: int
    num_frames: int = 0
    num_written: int = 0
    pending: list[np.ndarray] = field(default_factory=list)
    pending_landmarks: list[np.ndarray] = field(default_factory=list)  # beside `pending`, where there are any


class SegmentWriter:
    """Takes the frames and tracks of one segment in any interleaving. Made by `ShardWriter.begin_segment`."""

    def __init__(
        self,
        group: Any,
        index: int,
        *,
        shard: str,
        codec: Codec,
        crop_size: int,
        jpeg_quality: int,
        on_close: Callable[[str, int | None], None],
        encoding: AbstractContextManager[None] | None = None,
    ) -> None:
        """on_close gets the group and the number of frames, or None when the segment was aborted.

        encoding: entered around each batch of JPEG encodings, so that a caller may time them.
        """
        self.closed = False
        self.group_name: str = group.name
        self._group = group
        self._index = index
        self._shard = shard
        self._crop_shape = (crop_size, crop_size, 3)
        self._on_close = on_close
        self._pts = LogWriter(group, "pts")
        self._start_pts: int | None = None
        self._last_pts: int | None = None
        self._rows = {"face": LogWriter(group, "faces"), "body": LogWriter(group, "bodies")}
        self._crops = CropLog(group, codec, crop_size, jpeg_quality, encoding)
        self._extents: list[tuple[int, int, int, int, int]] = []  # EXTENT_ROW
        self._tracks: dict[tuple[str, int], _OpenTrack] = {}
        self._next_ids = {"face": count(), "body": count()}
        self._landmarks = LogWriter(group, LANDMARKS)  # grows with the log of faces, or stays empty
        self._layout: str | None = None
        self._num_joints: int | None = None
        self._landmark_layout: str | None = None
        self._num_landmarks: int | None = None

    def append_frames(self, pts: np.ndarray) -> None:
        """pts (T,) int64, strictly increasing: the next sampled frames, also those in which nobody is."""
        self._require_open()
        pts = np.array(pts, dtype=np.int64)
        if not len(pts):
            return
        if np.any(np.diff(pts) <= 0) or (self._last_pts is not None and pts[0] <= self._last_pts):
            raise ValueError(f"pts must increase strictly, got {pts} after {self._last_pts}")
        if self._start_pts is None:
            self._start_pts = int(pts[0])
        self._last_pts = int(pts[-1])
        self._pts.append(pts)

    def open_track(self, kind: Literal["face", "body"], first_frame: int, layout: str = "") -> int:
        """Begin a track at a frame of this segment; its local id.

        layout: names a body's joints, or a face's dense landmarks; "" for a face without them.
        A track to which no frame is appended does not exist.
        """
        self._require_open()
        if kind == "body":
            if self._layout not in (None, layout):
                raise ValueError(f"one joint layout a segment: {self._layout!r}, then {layout!r}")
            self._layout = layout
        else:
            if self._landmark_layout not in (None, layout):
                raise ValueError(f"one landmark layout a segment: {self._landmark_layout!r}, then {layout!r}")
            self._landmark_layout = layout
        local_id = next(self._next_ids[kind])
        self._tracks[kind, local_id] = _OpenTrack(kind, local_id, first_frame)
        return local_id

    def append_faces(self, local_id: int, block: FaceBlock) -> None:
        """The next frames of a face track. The caller may reuse the arrays afterwards."""
        self._require_open()
        track, num_frames = self._tracks["face", local_id], len(block.states)
        seen = is_seen(block.states)
        crops = _shaped("crops", block.crops, (int(seen.sum()), *self._crop_shape))
        if crops.dtype != np.uint8:
            raise ValueError(f"crops must be uint8, got {crops.dtype}")
        landmarks = self._landmark_rows(block)
        rows = np.zeros(num_frames, FACE_ROW)
        rows["box_xyxy"] = _shaped("boxes_xyxy", block.boxes_xyxy, (num_frames, 4))
        rows["landmarks_xy"] = _shaped("landmarks_xy", block.landmarks_xy, (num_frames, 5, 2))
        rows["warp"] = _shaped("warps", block.warps, (num_frames, 2, 3))
        rows["score"] = _shaped("scores", block.scores, (num_frames,))
        rows["quality"] = _shaped("quality", block.quality, (num_frames, 3))
        rows["state"] = block.states
        rows["crop_chunk"] = -1
        places = self._crops.append(local_id, crops)
        rows["crop_chunk"][seen], rows["crop_start"][seen], rows["crop_bytes"][seen] = places[:3]
        rows["crop_crc32c"][seen] = places[3]
        self._append_rows(track, rows, landmarks)

    def append_bodies(self, local_id: int, block: BodyBlock) -> None:
        """The next frames of a body track. All bodies of a segment have the same joints."""
        self._require_open()
        track, num_frames = self._tracks["body", local_id], len(block.states)
        if self._num_joints is None:
            self._num_joints = block.keypoints.shape[1]
        rows = np.zeros(num_frames, body_row(self._num_joints))
        rows["box_xyxy"] = _shaped("boxes_xyxy", block.boxes_xyxy, (num_frames, 4))
        rows["keypoints"] = _shaped("keypoints", block.keypoints, (num_frames, self._num_joints, 3))
        rows["score"] = _shaped("scores", block.scores, (num_frames,))
        rows["state"] = block.states
        self._append_rows(track, rows)

    def finish(self, end_pts: int) -> SegmentRecord:
        """Write what is pending. The record names the shard as it will be called once sealed."""
        self._require_open()
        num_frames = self._pts.num_items
        if self._last_pts is not None and end_pts <= self._last_pts:
            raise ValueError(f"the segment ends at {end_pts}, not after its last frame at {self._last_pts}")
        for track in self._tracks.values():
            end_frame = track.first_frame + track.num_frames
            if track.first_frame < 0 or end_frame > num_frames:
                raise ValueError(
                    f"{track.kind} track {track.local_id} covers frames [{track.first_frame}, {end_frame}) "
                    f"of a segment of {num_frames}"
                )
            self._flush_track(track)
        extents, chunks = LogWriter(self._group, "extents"), LogWriter(self._group, "chunks")
        extents.append(np.array(self._extents, EXTENT_ROW))
        chunks.append(self._crops.finish())
        logs = (self._pts, self._rows["face"], self._rows["body"], extents, chunks, self._crops.log)
        for log in logs:
            log.flush()
        self._group.attrs["log_lengths"] = [log.num_items for log in logs]  # in the order of LOGS
        self._group.attrs["num_frames"] = num_frames
        self._group.attrs["end_pts"] = end_pts
        if self._layout:
            self._group.attrs["layout"] = fixed_text(self._layout)
        if self._landmark_layout:
            self._landmarks.flush()
            self._group.attrs["landmark_layout"] = fixed_text(self._landmark_layout)
        self._close(num_frames)
        return SegmentRecord(
            index=self._index,
            shard=self._shard,
            group=self.group_name,
            num_frames=num_frames,
            start_pts=end_pts if self._start_pts is None else self._start_pts,
            end_pts=end_pts,
            tracks=[
                LocalTrack(track.kind, track.local_id, track.first_frame, track.num_frames)
                for track in self._tracks.values()
                if track.num_frames
            ],
        )

    def abort(self) -> None:
        """Remove everything of this segment from the shard. Does nothing after finish or abort."""
        if not self.closed:
            self._close(None)

    def _landmark_rows(self, block: FaceBlock) -> np.ndarray | None:
        """landmark_row(P) of a block, None where the segment has no dense landmarks."""
        points, has_layout = block.dense_landmarks, bool(self._landmark_layout)
        if (points is not None) != has_layout:
            raise ValueError(f"dense landmarks and a layout go together, got {self._landmark_layout!r}")
        if points is None:
            return None
        if self._num_landmarks is None:
            self._num_landmarks = points.shape[1]
        rows = np.zeros(len(block.states), landmark_row(self._num_landmarks))
        rows["points_xy"] = _shaped("dense_landmarks", points, (len(rows), self._num_landmarks, 2))
        return rows

    def _append_rows(self, track: _OpenTrack, rows: np.ndarray, landmarks: np.ndarray | None = None) -> None:
        track.pending.append(rows)
        if landmarks is not None:
            track.pending_landmarks.append(landmarks)
        track.num_frames += len(rows)
        if track.num_frames - track.num_written >= ROWS_PER_WRITE:
            self._flush_track(track)

    def _flush_track(self, track: _OpenTrack) -> None:
        num_rows = track.num_frames - track.num_written
        if not num_rows:
            return
        log, code = self._rows[track.kind], KIND_CODES[track.kind]
        first_frame, first_row = track.first_frame + track.num_written, log.num_items
        last = self._extents[-1] if self._extents else None
        if last is not None and last[:2] == (code, track.local_id) and last[4] + last[3] == first_row:
            self._extents[-1] = (*last[:3], last[3] + num_rows, last[4])  # goes on where it stopped
        else:
            self._extents.append((code, track.local_id, first_frame, num_rows, first_row))
        for rows in track.pending:
            log.append(rows)
        for rows in track.pending_landmarks:
            self._landmarks.append(rows)
        track.pending, track.pending_landmarks = [], []
        track.num_written = track.num_frames

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError(f"segment {self.group_name} is finished or aborted")

    def _close(self, num_frames: int | None) -> None:
        self.closed = True
        self._on_close(self.group_name, num_frames)


def _shaped(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array, or ValueError when it has another shape: NumPy would broadcast it in silence."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array
