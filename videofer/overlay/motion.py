"""Where faces and joints are at any instant: between the frames of the store, and through short gaps.

Boxes are half-open (x0, y0, x1, y1) in upright pixels of the video, times media seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cache.schema import State, VideoRecord, is_seen
from cache.sealed import load_rows, load_tables, open_segment
from preprocessing.skeletons.layouts import LAYOUTS
from videofer.timeline.timeline import BOX_COLUMNS

if TYPE_CHECKING:
    from cache.reader import StoreReader
    from cache.track import PersonTrack

SHOWN_GAP_SECONDS = 0.5  # a box is drawn through a shorter loss
MIN_JOINT_SCORE = 0.3
SAME_TIME_SECONDS = 1e-6


@dataclass(frozen=True, eq=False)
class Path:
    """Numbers that move through time: (n,) rising times and what holds at each, (n, ...)."""

    t: np.ndarray
    values: np.ndarray

    def at(self, t: float, *, gap_seconds: float, hold_seconds: float = 0.0) -> np.ndarray | None:
        """The values at t, linear between two times at most `gap_seconds` apart; None where nothing is known.

        Within `hold_seconds` of the nearest known time they are as they are there.
        """
        before, after = self._around(t)
        if before >= 0 and t - self.t[before] <= SAME_TIME_SECONDS:
            exact: np.ndarray = self.values[before]
            return exact
        if before >= 0 and after < len(self.t) and self.t[after] - self.t[before] <= gap_seconds:
            share = (t - self.t[before]) / (self.t[after] - self.t[before])
            between: np.ndarray = (1 - share) * self.values[before] + share * self.values[after]
            return between
        near = [i for i in (before, after) if 0 <= i < len(self.t) and abs(self.t[i] - t) <= hold_seconds]
        return self.values[min(near, key=lambda i: abs(self.t[i] - t))] if near else None

    def seconds_to_nearest(self, t: float) -> float:
        """How far t is from the nearest known time."""
        return min(
            (abs(t - float(self.t[i])) for i in self._around(t) if 0 <= i < len(self.t)), default=np.inf
        )

    def _around(self, t: float) -> tuple[int, int]:
        """The last known time at or before t, and the next one; -1 or n where there is none."""
        after = int(np.searchsorted(self.t, t + SAME_TIME_SECONDS, side="right"))
        return after - 1, after


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """One person's face, body and joints through the video."""

    face: Path
    body: Path
    joints: Path  # (n, J, 3): x, y, score
    bones: tuple[tuple[int, int], ...] = ()
    fine: frozenset[int] = frozenset()  # joints of face and fingers, too close together for dots
    frame_seconds: float = 0.0  # a frame of the store lasts about so long: its box holds that long

    def face_at(self, t: float) -> np.ndarray | None:
        return self.face.at(t, gap_seconds=SHOWN_GAP_SECONDS, hold_seconds=self.frame_seconds)

    def body_at(self, t: float) -> np.ndarray | None:
        return self.body.at(t, gap_seconds=SHOWN_GAP_SECONDS, hold_seconds=self.frame_seconds)

    def joints_at(self, t: float) -> np.ndarray | None:
        """(J, 3); a joint that one of the two frames around t does not see has a low score."""
        return self.joints.at(t, gap_seconds=SHOWN_GAP_SECONDS, hold_seconds=self.frame_seconds)


def from_track(track: PersonTrack) -> Whereabouts:
    """From a person of a store."""
    face, body = is_seen(track.face_state), is_seen(track.body_state)
    has_joints = body if track.layout else np.zeros(len(track), bool)
    steps = np.diff(track.t_start)
    layout = LAYOUTS.get(track.layout)
    return Whereabouts(
        face=Path(track.t_start[face], track.face_boxes_xyxy[face].astype(np.float64)),
        body=Path(track.t_start[body], track.body_boxes_xyxy[body].astype(np.float64)),
        joints=Path(track.t_start[has_joints], track.keypoints[has_joints].astype(np.float64)),
        bones=layout.bones if layout else (),
        fine=frozenset(range(layout.num_joints)) - frozenset(layout.core) if layout else frozenset(),
        frame_seconds=float(np.median(steps)) if len(steps) else float(track.t_end[-1] - track.t_start[-1]),
    )


def from_rows(rows: pd.DataFrame) -> Whereabouts:
    """From one person's rows of a timeline, which say where the face is at the middle of each."""
    boxes = rows[list(BOX_COLUMNS)].to_numpy(np.float64)
    middle = ((rows["t_start"] + rows["t_end"]) / 2).to_numpy(np.float64)
    lengths = (rows["t_end"] - rows["t_start"]).to_numpy(np.float64)
    known = np.isfinite(boxes).all(axis=1)
    nothing = Path(np.empty(0), np.empty((0, 4)))
    return Whereabouts(
        face=Path(middle[known], boxes[known]),
        body=nothing,
        joints=Path(np.empty(0), np.empty((0, 0, 3))),
        frame_seconds=float(lengths[known].max()) / 2 if known.any() else 0.0,
    )


def all_faces(reader: StoreReader, key: str, *, but_of: int | None = None) -> list[Path]:
    """Every face track that the store holds of a video: of all persons, of nobody, and of low quality.

    `but_of`: a person whose tracks are left out.
    """
    video = reader.video(key)
    spared = {place for person in video.persons if person.id == but_of for place in person.faces}
    _, t_start, _ = reader.times(key)
    paths, first_frame = [], 0
    for segment in video.segments:
        tracks = {track.local_id: track for track in segment.tracks if track.kind == "face"}
        wanted = [local_id for local_id in tracks if (segment.index, local_id) not in spared]
        if wanted:
            paths += _faces_of_segment(reader, video, segment, wanted, t_start[first_frame:])
        first_frame += segment.num_frames
    return paths


def _faces_of_segment(
    reader: StoreReader, video: VideoRecord, segment: Any, local_ids: list[int], t_start: np.ndarray
) -> list[Path]:
    with open_segment(reader.store.shard_path(segment.shard), segment.group) as group:
        extents = load_tables(group).extents
        rows = load_rows(group, "face")
    paths = []
    for local_id in local_ids:
        mine = extents[(extents["kind"] == 0) & (extents["local_id"] == local_id)]
        parts = [rows[e["first_row"] : e["first_row"] + e["num_frames"]] for e in mine]
        track = np.concatenate(parts) if parts else rows[:0]
        times = t_start[int(mine["first_frame"][0]) :][: len(track)] if len(mine) else t_start[:0]
        boxes = track["box_xyxy"].astype(np.float64)
        known = (track["state"] != State.ABSENT) & np.isfinite(boxes).all(axis=1)
        paths.append(Path(times[known], boxes[known]))
    return [path for path in paths if len(path.t)]
