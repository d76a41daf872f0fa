"""Times of AVI packets behind a damaged place.

AVI has no times: FFmpeg counts frames, and misses those that are lost. The index of the file knows better: it
tells for every place in the file which frame it is.
"""

from __future__ import annotations

from typing import Any

_CHUNK_HEADER_BYTES = 8  # the index points at the chunk, a packet begins behind its header


class AviTimes:
    """Sets packets right whose count is not that of the index. For one stream, from its beginning."""

    def __init__(self, stream: Any) -> None:
        self._entries = stream.index_entries
        self._number_at: dict[int, int] | None = None  # made only where it is needed
        self.num_shifted = 0

    def correct(self, packet: Any) -> None:
        """Shift dts and pts of a packet to the number that the index has for its place, where it has one."""
        number, place = packet.dts, packet.pos
        if number is None or place is None or not len(self._entries):
            return
        place -= _CHUNK_HEADER_BYTES
        if 0 <= number < len(self._entries):
            entry = self._entries[number]
            if entry.timestamp == number and entry.pos == place:
                return
        if self._number_at is None:
            self._number_at = {entry.pos: entry.timestamp for entry in self._entries}
        shift = self._number_at.get(place, number) - number
        if shift > 0:  # frames were missed; there are never more than there are
            self.num_shifted += 1
            packet.dts += shift
            if packet.pts is not None:
                packet.pts += shift
