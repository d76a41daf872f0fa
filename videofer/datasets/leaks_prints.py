"""Fingerprints of the faces that a store holds: by them copies are looked for that no content hash finds.

A track has a 64-bit perceptual hash every fifth of a second, the signs of the lowest frequencies of its
aligned crop's luma. Size, format, margins, speed and brightness of a video hardly change it, nor does
another person's much: it says which pairs are worth a closer look (`leaks_match`).

Letters in shapes: M instants, S side of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cache.reader import StoreReader
from cache.track import PersonTrack

STEP_SECONDS = 0.2
"""Between two hashes of a track."""

NUM_PROBES = 4
"""Of each track so many instants are looked for among all instants of the others."""

MAX_DISTANCE = 12
"""Bits of 63 by which a probe and an instant of its copy may differ; measured, see `tools.leak_rates`."""

MAX_PAIRS = 50_000
"""That are kept in memory."""

_THUMBNAIL = 32
_FREQUENCIES = 8  # a side: 63 without the mean
_BLOCK = 1 << 22  # distances at once


@dataclass(frozen=True, eq=False)
class Print:
    """The fingerprint of one person's face through one video."""

    key: str  # of the video
    person_id: int
    times: np.ndarray  # (M,) float64, media seconds
    hashes: np.ndarray  # (M,) uint64

    def probes(self) -> np.ndarray:
        """(at most NUM_PROBES,) of its hashes, evenly spaced."""
        count = min(NUM_PROBES, len(self.hashes))
        return np.asarray(self.hashes[((np.arange(count) + 0.5) * len(self.hashes) / count).astype(int)])


def prints_of(
    reader: StoreReader,
    keys: Iterable[str],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[list[Print], set[str]]:
    """A print for each face of these videos, by key and person; and the keys of videos without any."""
    wanted = set(keys)
    persons = [
        (video.key, person.id)
        for video in reader.videos()
        if video.key in wanted
        for person in video.persons
        if person.faces
    ]
    found = []
    for done, track in enumerate(reader.tracks(persons), start=1):
        rows = every(track.t_start, np.flatnonzero(track.has_crop), STEP_SECONDS)
        if len(rows):
            hashes = hash_pictures(lumas(reader, track, rows, _THUMBNAIL))
            found.append(Print(track.video_key, track.person_id, track.t_start[rows], hashes))
        progress(done, len(persons))
    found.sort(key=lambda one: (one.key, one.person_id))
    return found, wanted - {one.key for one in found}


def every(times: np.ndarray, rows: np.ndarray, seconds: float) -> np.ndarray:
    """Of rising rows (n,) the first of each step of so many seconds."""
    if not len(rows):
        return rows
    step = np.floor((times[rows] - times[rows[0]]) / seconds + 1e-6)
    return np.asarray(rows[np.concatenate([[True], np.diff(step) > 0])])


def lumas(reader: StoreReader, track: PersonTrack, rows: np.ndarray, side: int) -> np.ndarray:
    """The luma of the crops of these rows, brought to this side: (M, side, side) uint8."""
    import cv2

    found = np.empty((len(rows), side, side), np.uint8)
    for place, crop in enumerate(reader.read_crops(track, rows)):
        found[place] = cv2.resize(
            cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA
        )
    return found


def hash_pictures(pictures: np.ndarray) -> np.ndarray:
    """(M, S, S) -> (M,) uint64: the lowest frequencies against their median, without the mean."""
    from scipy.fft import dctn

    low = dctn(pictures.astype(np.float32), axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, :_FREQUENCIES]
    flat = low.reshape(len(pictures), -1)
    bits = flat > np.median(flat[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False
    return np.asarray(np.packbits(bits, axis=1).view(">u8").reshape(-1).astype(np.uint64))


def near_pairs(prints: Sequence[Print], side: np.ndarray) -> list[tuple[int, int, int]]:
    """Pairs of prints on different sides with an instant alike: (first, second, differing bits).

    The nearest first; of very many the nearest only. side: (number of prints,) int64. Each print's probes are
    compared with all instants of the others.
    """
    if len(prints) < 2:
        return []
    probes = [one.probes() for one in prints]
    probe, probe_of = np.concatenate(probes), np.repeat(np.arange(len(prints)), [len(one) for one in probes])
    instant = np.concatenate([one.hashes for one in prints])
    begins = np.concatenate([[0], np.cumsum([len(one.hashes) for one in prints])[:-1]])
    nearest: dict[tuple[int, int], int] = {}
    rows, limit = max(1, _BLOCK // len(instant)), MAX_DISTANCE
    for start in range(0, len(probe), rows):
        own = probe_of[start : start + rows]
        bits = np.bitwise_count(probe[start : start + rows, None] ^ instant[None])
        best = np.minimum.reduceat(bits, begins, axis=1)  # to each print
        best[side[own][:, None] == side[None]] = 255
        row, other = np.nonzero(best <= limit)
        for a, b, differing in zip(own[row].tolist(), other.tolist(), best[row, other].tolist(), strict=True):
            pair = (min(a, b), max(a, b))
            nearest[pair] = min(nearest.get(pair, 255), differing)
        if len(nearest) > 2 * MAX_PAIRS:
            kept = sorted(nearest.items(), key=lambda each: each[1])[:MAX_PAIRS]
            nearest, limit = dict(kept), kept[-1][1]
    return sorted(((a, b, bits) for (a, b), bits in nearest.items()), key=lambda each: (each[2], each))
