"""Crops kept in memory at the model's input size, so that each is decoded once and not once an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cache.schema import SEEN_STATES
from videofer.data.examples import Example, TrackReader
from videofer.data.sampling import Track, resize_crops

_SEEN = [int(state) for state in SEEN_STATES]
_BLOCK_ROWS = 256  # decoded at once


class CropCache:
    """Serves `read_crops` for the labelled intervals it was filled with, and asks the store for the rest.

    Rows are the same pixels as `resize_crops` of the store's, so samples do not depend on the cache. What
    does not fit into `max_bytes` stays in the store. Fill it before loader processes fork: they share it.
    """

    def __init__(
        self, reader: TrackReader, size: int, *, max_bytes: int, window_seconds: float = 0.0
    ) -> None:
        """window_seconds: of shorter intervals as much is held around them as such a window shows."""
        self.size = size
        self.window_seconds = window_seconds
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._reader = reader
        self._places: dict[tuple[str, int], np.ndarray] = {}  # (n,) row of the track -> row of the pixels, -1
        self._pixels: dict[tuple[str, int], np.ndarray] = {}  # (m, S, S, 3) uint8

    def fill(self, examples: Sequence[Example], progress: Callable[[int, int], None] | None = None) -> int:
        """Reads the crops of these intervals. Returns how many examples are held whole.

        progress: called with examples done and their number.
        """
        by_track: dict[tuple[str, int], list[Example]] = {}
        for example in examples:
            by_track.setdefault((example.key, example.person_id), []).append(example)
        held = done = 0
        for track in self._reader.tracks(by_track):
            group = by_track[track.video_key, track.person_id]
            held += len(group) if self._hold(track, group) else 0
            done += len(group)
            if progress is not None:
                progress(done, len(examples))
        return held

    def _hold(self, track: Track, examples: Sequence[Example]) -> bool:
        name = (track.video_key, track.person_id)
        wanted = np.zeros(len(track.t_start), dtype=bool)
        for example in examples:
            margin = max(0.0, self.window_seconds - (example.t_end - example.t_start)) / 2
            start, end = example.t_start - margin, example.t_end + margin
            wanted |= (track.t_end > start) & (track.t_start <= end)
            wanted |= example.still
        wanted &= np.isin(track.face_state, _SEEN)
        places = self._places.get(name)
        if places is not None:
            wanted &= places < 0
        rows = np.flatnonzero(wanted)
        if len(rows) == 0:
            return True
        num_bytes = len(rows) * self.size * self.size * 3
        if self.num_bytes + num_bytes > self.max_bytes:
            return False
        pixels = np.empty((len(rows), self.size, self.size, 3), dtype=np.uint8)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS]
            crops = self._reader.read_crops(track, block)
            pixels[start : start + len(block)] = resize_crops(crops, self.size)
        if places is None:
            places = np.full(len(track.t_start), -1, dtype=np.int64)
            self._places[name], self._pixels[name] = places, pixels
            places[rows] = np.arange(len(rows))
        else:
            places[rows] = len(self._pixels[name]) + np.arange(len(rows))
            self._pixels[name] = np.concatenate([self._pixels[name], pixels])
        self.num_bytes += num_bytes
        return True

    def read_crops(self, track: Track, rows: np.ndarray) -> np.ndarray:
        """rows (m,) -> (m, size, size, 3) uint8."""
        name = (track.video_key, track.person_id)
        places = self._places.get(name)
        if places is None:
            return resize_crops(self._reader.read_crops(track, rows), self.size)
        at = places[rows]
        held = at >= 0
        if held.all():
            found: np.ndarray = self._pixels[name][at]
            return found
        out = np.empty((len(rows), self.size, self.size, 3), dtype=np.uint8)
        out[held] = self._pixels[name][at[held]]
        out[~held] = resize_crops(self._reader.read_crops(track, rows[~held]), self.size)
        return out
