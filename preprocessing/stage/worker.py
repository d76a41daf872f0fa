"""The worker's side: engines built once, one open shard, one job at a time. Runs in its own process."""

from __future__ import annotations

import errno
import os
import threading
import traceback
from dataclasses import replace
from pathlib import Path

from cache.shard import ShardWriter
from preprocessing.engines import EngineChoices, build_engines
from preprocessing.pipeline import process_segment
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import Job, Reply, Vitals
from preprocessing.types import InputError

THREAD_VARIABLES = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""Environment of a worker: as many workers as cores run side by side, so each uses one thread."""


NO_ROOM = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))


class Worker:
    """Processes jobs into its own shards. `vitals` and `interrupt` may be called from another thread."""

    def __init__(self, store_dir: Path, spec: PreprocessSpec, choices: EngineChoices) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._spec = spec
        self._engines = build_engines(choices)
        self._writer = ShardWriter(
            store_dir, codec=spec.codec, crop_size=spec.crop_size, jpeg_quality=spec.jpeg_quality
        )
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._beats, self._num_frames, self._media_seconds = 0, 0, 0.0

    def _beat(self, num_frames: int, media_seconds: float) -> None:
        with self._lock:
            self._beats += 1
            self._num_frames, self._media_seconds = num_frames, media_seconds
        if self._interrupted.is_set():
            raise InterruptedError

    def process(self, job: Job) -> Reply:
        """Preprocess one video. Faults are a reply: its own, ours, and those of the disk."""
        try:
            self._beat(0, 0.0)
            outcome = process_segment(
                job.source, job.key, self._spec, self._engines, self._writer, self._beat
            )
            reply = Reply(outcome=outcome)
        except InputError as error:
            reply = Reply(failed_stage=error.stage, failed_error="InputError", failed_reason=error.reason)
        except InterruptedError:
            self._interrupted.clear()
            return Reply(interrupted=True)
        except MemoryError:
            return Reply(failed_stage="worker", failed_error="MemoryError", failed_reason="out of memory")
        except Exception as error:  # one input must not stop all others
            return unwritable(error) if is_full(error) else Reply(unfit=one_line(error))
        if self._writer.should_rotate:
            sealed = self.seal()
            reply = replace(reply, sealed=sealed.sealed, hopeless=sealed.hopeless)
        return reply

    def seal(self) -> Reply:
        """Close the open shard and give it its final name."""
        self._interrupted.clear()
        try:
            name = self._writer.seal()
        except Exception as error:  # the disk's fault, not a video's: another worker would fare no better
            return unwritable(error)
        self._beat(0, 0.0)
        return Reply(sealed=[name] if name else [])

    def interrupt(self) -> None:
        """Give up the video under way."""
        self._interrupted.set()

    def vitals(self) -> Vitals:
        with self._lock:
            return Vitals(self._beats, self._num_frames, self._media_seconds, rss_bytes(os.getpid()))


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
