"""Where the frames of a stream come from: a file, a pipe, a network stream or a camera.

A file is decoded as for a store: the same frames. All else is read by a thread of its own and once only.
Where the sender waits for us (pipes, tcp, http) nothing is lost. Where it does not (rtsp, udp, cameras) at
most MAX_WAITING frames wait for the engine; of more the oldest are dropped and counted. What is lost so for
half a second or longer is a hole in the timeline, as if it could not be decoded.

A network stream that breaks off is opened again, after 1, 2, 4 ... seconds, up to RECONNECTS times in a row;
its media time goes on by the clock on the wall, and the time between is a hole.
"""

from __future__ import annotations

import stat
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from cache.errors import UserError
from preprocessing.decode import decoder_for
from preprocessing.decode.keyframes import plan_spans
from preprocessing.decode.live_engine import PROTOCOLS, LiveStream
from preprocessing.discover import discover
from preprocessing.pipeline import WHOLE, limits_of
from preprocessing.probe import probe
from preprocessing.sampling import sample
from preprocessing.spec import PreprocessSpec
from preprocessing.types import InputError, Probe, Source, Span
from videofer.live.frame_queue import Fed, FrameQueue, Holes, Splice

MAX_WAITING = 48  # frames: under 2 s of video
RECONNECTS = 5
_BROKEN_OFF_MEANS_AGAIN = ("rtsp", "rtsps", "rtmp", "rtmps", "srt")
_SENDER_WAITS = ("tcp", "http", "https")


class Feed(ABC):
    """Frames of one source, once."""

    source: Source
    facts: Probe
    spans: Sequence[Span] = (WHOLE,)
    """The parts into which a store would cut the file."""
    is_live = True
    num_dropped = 0
    num_reconnects = 0

    @abstractmethod
    def frames(self) -> Iterator[Fed]:
        """In order, as they come. Raises InputError where the source breaks off."""

    @abstractmethod
    def close(self) -> None:
        """Give up what is open; `frames` may end early."""


def open_feed(text: str, spec: PreprocessSpec) -> Feed:
    """The feed of a path, `-` (standard input), a device or an address. Raises UserError or InputError."""
    if text == "-":
        return LiveFeed("standard input", lambda: LiveStream(_unbuffered(0)), spec, may_drop=False)
    scheme, is_address, _ = text.partition("://")
    scheme = scheme.lower()
    if is_address:
        if scheme not in PROTOCOLS:
            raise UserError(f"{text}: no stream is read by {scheme}://; there are {', '.join(PROTOCOLS)}")
        return LiveFeed(
            text,
            lambda: LiveStream(text),
            spec,
            may_drop=scheme not in _SENDER_WAITS,
            reconnects=RECONNECTS if scheme in _BROKEN_OFF_MEANS_AGAIN else 0,
        )
    path = Path(text)
    mode = path.stat().st_mode if path.exists() else 0
    if stat.S_ISCHR(mode):
        return LiveFeed(text, lambda: LiveStream(text), spec, may_drop=True)
    if stat.S_ISFIFO(mode):
        return LiveFeed(text, lambda: LiveStream(_unbuffered(path)), spec, may_drop=False)
    return FileFeed(path, spec)


class FileFeed(Feed):
    """The frames that a store would be made of."""

    is_live = False

    def __init__(self, path: Path, spec: PreprocessSpec) -> None:
        """Raises UserError where there is no single video, InputError where it cannot be read."""
        sources, lost = discover([path], sidecars=spec.pose == "sidecar", frames_fps=spec.frames_fps)
        if len(sources) != 1:
            why = lost[0].reason if lost else f"{len(sources)} inputs there, --follow takes one"
            raise UserError(f"{path}: {why}")
        self.source = sources[0]
        if self.source.kind == "image":
            raise UserError(f"{path}: a picture has no time that could be followed")
        self._limits, self._max_fps = limits_of(spec), spec.max_fps
        self.facts = probe(self.source, self._limits)
        self.spans = plan_spans(self.source, self.facts, spec.segment_seconds)

    def frames(self) -> Iterator[Fed]:
        decoder = decoder_for(self.source.kind, "pyav", self._limits)
        num_holes = 0
        cuts = [span.start_pts for span in self.spans if span.start_pts is not None]
        for index, frame in sample(decoder.frames(self.source, self.facts), self.facts, self._max_fps, cuts):
            holes: Holes = getattr(decoder, "not_decoded", [])  # grows as frames come
            yield Fed(index, frame, holes[num_holes:])
            num_holes = len(holes)

    def close(self) -> None:
        """Nothing is open between frames."""


class LiveFeed(Feed):
    """Frames that a thread reads ahead of the engine."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], LiveStream],
        spec: PreprocessSpec,
        *,
        may_drop: bool,
        reconnects: int = 0,
        max_waiting: int = MAX_WAITING,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        """Opens the first connection. Raises InputError where that fails."""
        self.source = Source(Path(name), name, "video")
        self._connect, self._max_fps, self._wait = connect, spec.max_fps, wait
        self._reconnects = reconnects
        self._stream = connect()
        self.facts = self._stream.facts
        self._queue = FrameQueue(max_waiting, may_drop=may_drop, facts=self.facts)
        self._is_closed = False

    @property
    def num_dropped(self) -> int:  # type: ignore[override]
        """Frames that waited too long."""
        return self._queue.num_dropped

    def frames(self) -> Iterator[Fed]:
        thread = threading.Thread(target=self._read, name="videofer-feed", daemon=True)
        thread.start()
        try:
            yield from self._queue
        finally:
            self.close()
            thread.join(timeout=0.5)  # it may wait for bytes that never come

    def close(self) -> None:
        self._is_closed = True
        self._queue.stop()

    def _read(self) -> None:
        """In the thread: one connection after the other."""
        try:
            for fed in self._connections():
                if self._is_closed or not self._queue.put(fed):
                    return
        except BaseException as error:
            self._queue.fail(error)
        else:
            self._queue.end()
        finally:
            self._stream.close()

    def _connections(self) -> Iterator[Fed]:
        splice = Splice(self.facts)
        while True:
            why: InputError | None = None
            num_holes = 0
            try:
                for index, frame in sample(self._stream.frames(), self._stream.facts, self._max_fps):
                    holes = self._stream.not_decoded
                    yield splice.placed(index, frame, holes[num_holes:])
                    num_holes = len(holes)
            except InputError as error:
                why = error
            if not self._reconnected(why):
                return
            splice.begin(self._stream.facts)

    def _reconnected(self, why: InputError | None) -> bool:
        """Whether there is a new connection. Raises the last reason where there should be one."""
        self._stream.close()
        for number in range(self._reconnects):
            self._wait(2.0**number)
            if self._is_closed:
                return False
            try:
                self._stream = self._connect()
            except InputError as error:
                why = error
                continue
            facts = self._stream.facts
            if (facts.width, facts.height) != (self.facts.width, self.facts.height):
                was = f"{self.facts.width}x{self.facts.height}"
                raise InputError("decode", f"came back with {facts.width}x{facts.height} pixels, had {was}")
            self.num_reconnects += 1
            return True
        if why is not None:
            raise why
        return False


def _unbuffered(file: int | Path) -> BinaryIO:
    return open(file, "rb", buffering=0, closefd=not isinstance(file, int))  # type: ignore[return-value]
