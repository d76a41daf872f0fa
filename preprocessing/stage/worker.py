"""The worker's side: engines built once, one open shard, one job at a time. Runs in its own process."""

from __future__ import annotations

import errno
import faulthandler
import os
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from cache.shard import ShardWriter
from preprocessing.engines import EngineChoices, build_engines, require_decoder
from preprocessing.network import HERE, Place
from preprocessing.pipeline import process_segment, spans_of
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import READ, Job, Reply, Vitals
from preprocessing.stage.remote import PlaceLostError
from preprocessing.stage.threads import pin_threads
from preprocessing.types import InputError

CRASHES = "crashes"  # folder of the store: what the C handler of a crashed process wrote

NO_ROOM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NO_ROOM = tuple(os.strerror(number) for number in NO_ROOM_ERRORS)


class Worker:
    """Processes jobs into its own shards. `vitals` and `interrupt` may be called from another thread."""

    def __init__(
        self,
        store_dir: Path,
        spec: PreprocessSpec,
        choices: EngineChoices,
        crash_file: Path | None = None,
        place: Place = HERE,
    ) -> None:
        pin_threads()
        self._spec = spec
        require_decoder(choices)
        self._engines = build_engines(choices, place)
        self._writer = ShardWriter(
            store_dir, codec=spec.codec, crop_size=spec.crop_size, jpeg_quality=spec.jpeg_quality
        )
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._beats, self._num_frames, self._media_seconds = 0, 0, 0.0
        self._idle_since: float | None = None
        if crash_file is not None:
            crash_file.parent.mkdir(exist_ok=True)
            self._crashes = crash_file.open("w")  # open as long as the process lives
            faulthandler.enable(self._crashes, all_threads=False)

    def _beat(self, num_frames: int, media_seconds: float) -> None:
        with self._lock:
            self._beats += 1
            self._num_frames, self._media_seconds = num_frames, media_seconds
        if self._interrupted.is_set():
            raise InterruptedError

    def process(self, job: Job) -> Reply:
        """Preprocess one video or span. Faults are a reply: its own, ours, and those of the disk."""
        seconds = {} if self._idle_since is None else {"wait": time.perf_counter() - self._idle_since}
        reply = self._process(job)
        tells_of_it = not (reply.interrupted or reply.unfit or reply.hopeless or reply.no_place)
        if tells_of_it and (changed := what_changed(job)) is not None:  # it is not the content of this key
            if reply.outcome is not None:
                self._writer.withdraw(reply.outcome.record)
            reply = Reply(failed_stage=READ, failed_error="InputError", failed_reason=changed)
        if self._writer.should_rotate and not (reply.unfit or reply.hopeless or reply.no_place):
            sealed = self.seal()
            seconds |= sealed.seconds
            reply = replace(reply, sealed=sealed.sealed, hopeless=sealed.hopeless)
        self._idle_since = time.perf_counter()
        return replace(reply, seconds=seconds)

    def _process(self, job: Job) -> Reply:
        try:
            self._beat(0, 0.0)
            span, facts = job.span, None
            if span is None:
                facts, spans = spans_of(job.source, self._spec)
                if len(spans) > 1:
                    return Reply(spans=spans)
                span = spans[0]
            outcome = process_segment(
                job.source,
                job.key,
                self._spec,
                self._engines,
                self._writer,
                self._beat,
                span=span,
                facts=facts,
            )
        except InputError as error:
            return Reply(failed_stage=error.stage, failed_error="InputError", failed_reason=error.reason)
        except InterruptedError:
            return Reply(interrupted=True)
        except MemoryError:
            return Reply(failed_stage="worker", failed_error="MemoryError", failed_reason="out of memory")
        except PlaceLostError as error:
            return Reply(no_place=str(error))
        except Exception as error:  # one input must not stop all others
            return unwritable(error) if is_full(error) else Reply(unfit=one_line(error))
        return Reply(outcome=outcome)

    def seal(self) -> Reply:
        """Close the open shard and give it its final name."""
        self._interrupted.clear()
        began = time.perf_counter()
        try:
            name = self._writer.seal()
        except Exception as error:  # the disk's fault, not a video's: another worker would fare no better
            return unwritable(error)
        self._beat(0, 0.0)
        return Reply(sealed=[name] if name else [], seconds={"write": time.perf_counter() - began})

    def interrupt(self) -> None:
        """Give up the job under way and those that wait, up to the next request to seal."""
        self._interrupted.set()

    def vitals(self) -> Vitals:
        with self._lock:
            return Vitals(self._beats, self._num_frames, self._media_seconds, rss_bytes(os.getpid()))


def what_changed(job: Job) -> str | None:
    """Why a file is not the one that was hashed, None where it is or where that cannot be told."""
    if job.stamp is None:
        return None
    try:
        stat = job.source.path.stat()
    except OSError as error:
        return f"cannot be read any more: {error.strerror}"
    return None if (stat.st_size, stat.st_mtime_ns) == job.stamp else "the file changed during the run"


def new_crash_file(store_dir: Path) -> Path:
    """Where one worker tells of its crash."""
    return store_dir / CRASHES / f"{uuid4().hex}.txt"


def take_crash(crash_file: Path) -> str:
    """What a dead worker's C handler wrote, in one line; "" where nothing did. The file is removed."""
    try:
        text = crash_file.read_text(errors="replace")
        crash_file.unlink()
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    what = lines[0].removeprefix("Fatal Python error: ")
    here = next((n for n, line in enumerate(lines) if line.startswith("Current thread")), 0)  # not the others
    places = [line for line in lines[here:] if line.startswith("File ")]
    if not places:
        return what
    file, line = places[0].split(", ")[:2]
    return f"{what} in {Path(file.removeprefix('File ').strip(chr(34))).name}, {line.split(' in ')[0]}"


def is_full(error: Exception) -> bool:
    """Whether the disk takes nothing more. HDF5 may tell that in its text only."""
    return any(text in str(error) for text in NO_ROOM)


def unwritable(error: Exception) -> Reply:
    """The reply that ends the run."""
    reason = next((text for text in NO_ROOM if text in str(error)), one_line(error))
    return Reply(hopeless=f"the store cannot be written: {reason}")


def one_line(error: Exception) -> str:
    """Class, message and place of an error that nobody foresaw."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{where}"


def rss_bytes(pid: int) -> int:
    """Resident memory of a process, 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
