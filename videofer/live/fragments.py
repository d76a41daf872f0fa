"""Faces and bodies as they are followed through a stream, and several of them laid over its frames: a person.

A fragment is one track of the followers: one face or one body without a longer break. Its newest sights are
kept with what the model needs of them; crops pass through the codec of a store, as they would on the way to
training and to an offline timeline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cache.codecs import decode_jpeg, encode_jpeg
from cache.schema import SEEN_STATES, BodyBlock, FaceBlock, is_seen
from preprocessing.tracking.evidence import TrackKind

if TYPE_CHECKING:
    from preprocessing.spec import PreprocessSpec
    from videofer.live.clock import FrameClock

Key = tuple[int, TrackKind, int]
"""A fragment: number of its span, kind, and number within both, as in `preprocessing.tracking.seams`."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One fragment in one frame in which it is seen."""

    index: int  # of the frame
    state: int  # State
    box_xyxy: np.ndarray  # (4,) float32
    crop: np.ndarray | None  # of a face: (n,) uint8 JPEG, or (S, S, 3) uint8 where the store has plain pixels
    keypoints: np.ndarray | None  # of a body: (J, 3) float32


@dataclass(eq=False)
class Fragment:
    """What is remembered of one track."""

    key: Key
    first: int  # frame
    stop: int  # one after its last frame so far
    sights: deque[Sight] = field(default_factory=deque)  # the newest, rising
    layout: str = ""  # of a body's joints, once it was seen

    @property
    def kind(self) -> TrackKind:
        return self.key[1]

    def see(self, block: FaceBlock | BodyBlock, spec: PreprocessSpec) -> None:
        """The next rows."""
        if isinstance(block, BodyBlock):
            self.layout = spec.skeleton
        crops = iter(block.crops if isinstance(block, FaceBlock) else ())
        for n in np.flatnonzero(is_seen(block.states)).tolist():
            crop = next(crops, None)
            if crop is not None and spec.codec == "jpeg":
                crop = encode_jpeg(crop, spec.jpeg_quality)
            keypoints = None if isinstance(block, FaceBlock) else block.keypoints[n]
            sight = Sight(self.stop + n, int(block.states[n]), block.boxes_xyxy[n], crop, keypoints)
            self.sights.append(sight)
        self.stop += len(block.states)

    def is_seen(self, first: int, stop: int) -> bool:
        """Whether it is seen in one of the frames [first, stop) that are remembered."""
        if not self.sights or self.sights[-1].index < first or self.sights[0].index >= stop:
            return False
        return any(first <= sight.index < stop for sight in self.sights)

    def forget(self, before_frame: int) -> None:
        """Drop older sights."""
        while self.sights and self.sights[0].index < before_frame:
            self.sights.popleft()


@dataclass(frozen=True, eq=False)
class LiveTrack:
    """A part of a person's track; fulfils `videofer.data.sampling.Track`. Arrays are over n frames."""

    video_key: str
    person_id: int
    first_frame: int
    t_start: np.ndarray  # (n,) float64 media seconds
    t_end: np.ndarray  # (n,) float64
    face_state: np.ndarray  # (n,) uint8
    body_state: np.ndarray  # (n,) uint8
    face_boxes_xyxy: np.ndarray  # (n, 4) float32, NaN where there is none
    keypoints: np.ndarray  # (n, J, 3) float32
    layout: str  # of the joints, "" when no body is seen
    crops: list[np.ndarray | None]  # n

    def __len__(self) -> int:
        return len(self.t_start)


def lay_out(
    person: int, fragments: Iterable[Fragment], clock: FrameClock, first: int, stop: int
) -> LiveTrack:
    """Fragments over the frames [first, stop), all of which the clock remembers; see `cache.track.join`."""
    num_frames = stop - first
    face_state, body_state = np.zeros((2, num_frames), np.uint8)
    boxes = np.full((num_frames, 4), np.nan, np.float32)
    crops: list[np.ndarray | None] = [None] * num_frames
    keypoints, layout = np.zeros((num_frames, 0, 3), np.float32), ""
    for fragment in sorted(fragments, key=lambda one: one.key):
        states = face_state if fragment.kind == "face" else body_state
        for sight in fragment.sights:
            n = sight.index - first
            if not 0 <= n < num_frames or states[n] in SEEN_STATES:
                continue
            states[n] = sight.state
            if sight.keypoints is None:
                boxes[n], crops[n] = sight.box_xyxy, sight.crop
                continue
            if not keypoints.shape[1]:
                keypoints = np.zeros((num_frames, *sight.keypoints.shape), np.float32)
                layout = fragment.layout
            keypoints[n] = sight.keypoints
    t_start, t_end = clock.times(first, stop)
    states_of = face_state, body_state
    return LiveTrack("", person, first, t_start, t_end, *states_of, boxes, keypoints, layout, crops)


class LiveCrops:
    """Reads the crops of a `LiveTrack`; fulfils `videofer.data.sampling.CropReader`."""

    def __init__(self, crop_size: int) -> None:
        self._size = crop_size

    def read_crops(self, track: LiveTrack, rows: np.ndarray) -> np.ndarray:
        """rows (m,) of the track -> (m, S, S, 3) uint8 RGB."""
        crops = np.empty((len(rows), self._size, self._size, 3), np.uint8)
        for out, row in zip(crops, rows.tolist(), strict=True):
            crop = track.crops[row]
            assert crop is not None, f"frame {track.first_frame + row} has no face"
            if crop.ndim == 1:
                decode_jpeg(crop, out)
            else:
                out[:] = crop
        return crops
