"""Workers of a study that fail, in a module that processes of Ray can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from videofer.study.spec import StudySpec, VideoTask
from videofer.study.worker import Answer


class Unlucky:
    """A worker that dies, hangs or fails as the name of the video says."""

    def __init__(self, spec: StudySpec) -> None:
        self._folder = spec.out
        if (spec.out / "no start").exists():
            raise RuntimeError("the model is gone")

    def work(self, task: VideoTask) -> Answer:
        tries = self._folder / f"{task.name} {os.getpid()}"
        tries.touch()
        if task.name == "dies" or (task.name == "dies once" and len(self._tries(task)) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if task.name == "hangs":
            time.sleep(600)
        return Answer(task.key, failed="it is bad" if task.name == "fails" else "")

    def sign(self) -> tuple[int, float]:
        return 1, 0.5

    def _tries(self, task: VideoTask) -> list[Path]:
        return list(self._folder.glob(f"{task.name} *"))


class Seeing:
    """A worker that says which GPUs it has."""

    def __init__(self, spec: StudySpec) -> None:
        self._device = spec.device

    def work(self, task: VideoTask) -> Answer:
        return Answer(task.key, failed=f"{self._device} {os.environ.get('CUDA_VISIBLE_DEVICES')}")

    def sign(self) -> tuple[int, float]:
        return 1, 0.5
