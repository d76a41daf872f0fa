"""The worker's side: engines built once, one open shard, one job at a time. Runs in its own process."""

from __future__ import annotations

import os
import threading
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
        """Preprocess one video. Its own faults are a reply; only a fault of ours is an exception."""
        self._beat(0, 0.0)
        try:
            outcome = process_segment(
                job.source, job.key, self._spec, self._engines, self._writer, self._beat
            )
        except InputError as error:
            return Reply(
                failed_stage=error.stage,
                failed_error="InputError",
                failed_reason=error.reason,
                sealed=self._rotate(),
            )
        except MemoryError:
            return Reply(failed_stage="worker", failed_error="MemoryError", failed_reason="out of memory")
        return Reply(outcome=outcome, sealed=self._rotate())

    def _rotate(self) -> list[str]:
        return self.seal().sealed if self._writer.should_rotate else []

    def seal(self) -> Reply:
        """Close the open shard and give it its final name."""
        name = self._writer.seal()
        self._beat(0, 0.0)
        return Reply(sealed=[name] if name else [])

    def vitals(self) -> Vitals:
        with self._lock:
            return Vitals(self._beats, self._num_frames, self._media_seconds, rss_bytes(os.getpid()))


def rss_bytes(pid: int) -> int:
    """Resident memory of a process, 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
