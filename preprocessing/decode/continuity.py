"""What has come out of a stream so far: which pictures may be taken, and which stretches of time are lost."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

LOST_SECONDS = 0.5  # a shorter loss is a hiccup: counted in the warnings, the frame before it lasts longer
LEAP_SECONDS = 10.0  # a frame so far ahead must be followed by others there, else its time is wrong
MAX_PTS = 1 << 62  # beyond it sums with durations leave the 64 bits of the store
MAX_LOST_IN_A_ROW = 3000  # packets without a good picture: two minutes at 25 a second, then it is the end


@dataclass
class Continuity:
    """Follows packets in and pictures out. `not_decoded` grows as the gaps close behind it."""

    time_base: Fraction
    size_wh: tuple[int, int]  # as stored, before any turning
    max_seconds: float  # from the first frame to the last one
    average_fps: float | None = None
    from_pts: int | None = None  # what lies before it is of no interest
    num_frames: int = 0
    num_hidden: int = 0  # packets that the container says are not to be shown
    first_pts: int = 0
    last_pts: int = 0
    last_duration_pts: int = 0
    errors: Counter[str] = field(default_factory=Counter)  # packets that could not be read or decoded
    skipped: Counter[str] = field(default_factory=Counter)  # pictures that could not be taken
    not_decoded: list[tuple[int, int]] = field(default_factory=list)  # pts, half-open
    broken_off: str | None = None  # why reading stopped before the end
    whole_since_from: bool = False  # the first good picture from `from_pts` on is the first one there is
    _reached_from: bool = False
    _first_sent_pts: int | None = None
    _open_pts: list[int] = field(default_factory=list)  # heap: packets whose picture has not come yet
    _lost_now: list[str] = field(default_factory=list)  # why, since the last good picture
    _num_waiting: int = 0  # packets since the last good picture

    def __post_init__(self) -> None:
        # Whole numbers of ticks: comparing fractions for every frame would cost a tenth of decoding it.
        self._max_pts = math.floor(Fraction(self.max_seconds) / self.time_base)
        self._leap_pts = math.floor(Fraction(LEAP_SECONDS) / self.time_base)

    def anew(self) -> Continuity:
        """An empty record for another pass through the same stream."""
        return Continuity(self.time_base, self.size_wh, self.max_seconds, self.average_fps, self.from_pts)

    @property
    def end_pts(self) -> int:
        """Where the last good frame ends as far as its own duration tells."""
        return self.last_pts + self.last_duration_pts

    @property
    def hopeless(self) -> bool:
        """Whether nothing good has come for so long that nothing will."""
        return self._num_waiting > MAX_LOST_IN_A_ROW

    @property
    def complaint(self) -> str | None:
        """Why nothing came since the last good picture; None where all is well."""
        if self.broken_off is not None or self._lost_now:
            return self.broken_off or self._lost_now[0]
        return "the last packets gave no picture" if self._tail() else None

    def sent(self, packet: Any) -> None:
        """A packet goes into the decoder."""
        if self._first_sent_pts is None and packet.pts is not None:
            self._first_sent_pts = packet.pts
        if packet.is_discard:
            self.num_hidden += 1
            return
        self._num_waiting += 1
        if packet.pts is not None:
            heapq.heappush(self._open_pts, packet.pts)

    def failed(self, why: str, pts: int | None = None) -> None:
        """A packet could not be read or decoded."""
        if self._asked_for(pts):
            self.errors[why] += 1
        self._num_waiting += 1
        self._lose(why)

    def accepts(self, picture: Any) -> bool:
        """Whether a picture is whole and has its place after the last one; counts why not."""
        why = self._why_not(picture)
        if why is not None:
            self._skip(picture, why)
        return why is None

    def leaps(self, picture: Any) -> bool:
        """Whether an accepted picture is to be held until the next one shows if its time can be right."""
        if self.num_frames == 0:
            return True
        return bool(picture.pts - self.end_pts > self._leap_pts)

    def confirms(self, held: Any, picture: Any) -> bool:
        """Whether the picture after a held one leaves its time credible; counts the held one where not."""
        if (held.pts - picture.pts) * self.time_base <= LEAP_SECONDS / 2:
            return True
        self._skip(held, "time far ahead of the frame behind")
        if held.pts in self._open_pts:
            self._open_pts.remove(held.pts)
            heapq.heapify(self._open_pts)
        return False

    def add(self, picture: Any) -> None:
        """An accepted picture: closes the gap before it."""
        pts: int = picture.pts
        lost = self._without_picture(pts)
        if self.from_pts is not None and pts >= self.from_pts and not self._reached_from:
            self._reached_from = True
            began_before = self._first_sent_pts is not None and self._first_sent_pts <= self.from_pts
            self.whole_since_from = began_before and not any(lost_pts >= self.from_pts for lost_pts in lost)
        if self._lost_now or lost:
            self._close_gap(lost[0] if lost else None, pts)
        if self.num_frames == 0:
            self.first_pts = pts
        self.num_frames += 1
        self.last_pts = pts
        self.last_duration_pts = self.duration_pts(picture)
        self._lost_now.clear()
        self._num_waiting = 0

    def duration_pts(self, picture: Any) -> int:
        """As the container says, 0 where it says nothing that can be true."""
        duration_pts: int = picture.duration or 0
        return duration_pts if 0 < duration_pts <= self._max_pts else 0

    def lost_at_end_seconds(self, declared_end_pts: int | None) -> float:
        """How much is missing behind the last good frame, as far as lost packets show or the header says."""
        tail = self._tail()
        if not self._lost_now and not tail:
            return 0.0
        end_pts = max([self.end_pts, *tail])
        if declared_end_pts is not None:
            end_pts = max(end_pts, declared_end_pts)
        return float((end_pts - self.end_pts) * self.time_base)

    def remarks(self) -> list[str]:
        """One line for each kind of loss."""
        lines = [f"{count} packets lost: {why}" for why, count in self.errors.items()]
        return lines + [f"{count} frames skipped: {why}" for why, count in self.skipped.items()]

    def _without_picture(self, pts: int) -> list[int]:
        """pts of the packets between the last good picture and this one that gave none, in order."""
        lost = []
        while self._open_pts and self._open_pts[0] <= pts:
            open_pts = heapq.heappop(self._open_pts)
            if open_pts < pts and (self.num_frames == 0 or open_pts > self.last_pts):
                lost.append(open_pts)
        return lost

    def _asked_for(self, pts: int | None) -> bool:
        return pts is None or self.from_pts is None or pts >= self.from_pts

    def _tail(self) -> list[int]:
        """pts of the packets behind the last good picture, as far as they can be right."""
        furthest = self.last_pts + self.max_seconds / self.time_base
        return [pts for pts in self._open_pts if self.last_pts < pts <= furthest]

    def _skip(self, picture: Any, why: str) -> None:
        if self._asked_for(picture.pts):
            self.skipped[why] += 1
        self._lose(why)

    def _lose(self, why: str) -> None:
        if len(self._lost_now) < 2:
            self._lost_now.append(why)

    def _why_not(self, picture: Any) -> str | None:
        if picture.pts is None or abs(picture.pts) > MAX_PTS:
            return "no time"
        if picture.is_corrupt:
            return "corrupt"
        if self.num_frames and picture.pts <= self.last_pts:
            return "time not after the frame before"
        if self.num_frames and picture.pts - self.first_pts > self._max_pts:
            return f"time more than the limit of {self.max_seconds:.0f} s after the first frame"
        if (picture.width, picture.height) != self.size_wh:
            return (
                f"{picture.width}x{picture.height} pixels, "
                f"the stream began with {self.size_wh[0]}x{self.size_wh[1]}"
            )
        return None

    def _close_gap(self, lost_pts: int | None, stop_pts: int) -> None:
        """What lies between the last good frame and this one is lost, if it is long enough to matter."""
        if self.num_frames:
            start_pts = self.end_pts
            if self.last_duration_pts == 0 and self.average_fps:
                start_pts += round(1 / (Fraction(self.average_fps) * self.time_base))
            if lost_pts is not None:
                start_pts = min(start_pts, lost_pts)
        elif lost_pts is not None:
            start_pts = lost_pts
        else:
            return
        if self.from_pts is not None:
            start_pts = max(start_pts, self.from_pts)
        if (stop_pts - start_pts) * self.time_base >= LOST_SECONDS:
            self.not_decoded.append((start_pts, stop_pts))
