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


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Worker:
    """Processes jobs into its own shards. `vitals` may be called from another thread."""

    def __init__(self, store_dir: Path, spec: PreprocessSpec, choices: EngineChoices) -> None:
        import cv2

        cv2.setNumThreads(1)
        self._spec = spec
        self._engines = build_engines(choices)
        self._writer = ShardWriter(
            store_dir, codec=spec.codec, crop_size=spec.crop_size, jpeg_quality=spec.jpeg_quality
        )
        self._lock = threading.Lock()
        self._beats, self._num_frames, self._media_seconds = 0, 0, 0.0

    def _beat(self, num_frames: int, media_seconds: float) -> None:
        with self._lock:
            self._beats += 1
            self._num_frames, self._media_seconds = num_frames, media_seconds

    def process(self, job: Job) -> Reply:
        """Preprocess one video. Faults are a reply: its own, ours, and those of the disk."""
        self._beat(0, 0.0)
        try:
            outcome = process_segment(
                job.source, job.key, self._spec, self._engines, self._writer, self._beat
            )
        except InputError as error:
            return Reply(failed_stage=error.stage, failed_error="InputError", failed_reason=error.reason)
        except MemoryError:
            return Reply(failed_stage="worker", failed_error="MemoryError", failed_reason="out of memory")
        except Exception as error:  # one input must not stop all others
            if is_full(error):
                return Reply(hopeless=f"the store cannot be written: {one_line(error)}")
            return Reply(unfit=one_line(error))
        if not self._writer.should_rotate:
            return Reply(outcome=outcome)
        return replace(self.seal(), outcome=outcome)

    def seal(self) -> Reply:
        """Close the open shard and give it its final name."""
        try:
            name = self._writer.seal()
        except Exception as error:  # the disk's fault, not a video's: another worker would fare no better
            return Reply(hopeless=f"the store cannot be written: {one_line(error)}")
        self._beat(0, 0.0)
        return Reply(sealed=[name] if name else [])

    def vitals(self) -> Vitals:
        with self._lock:
            return Vitals(self._beats, self._num_frames, self._media_seconds, rss_bytes(os.getpid()))


def is_full(error: Exception) -> bool:
    """Whether the disk takes nothing more. HDF5 tells the errno in its text only."""
    return (isinstance(error, OSError) and error.errno in NO_ROOM) or any(
        os.strerror(number) in str(error) for number in NO_ROOM
    )


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
