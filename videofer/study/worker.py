"""The worker's side of a study: a process that loads the model once and does one video after another."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cache.errors import UserError
from cache.reader import StoreReader
from preprocessing.stage.threads import pin_threads
from preprocessing.stage.worker import is_full, one_line
from videofer.study.digest import digest_of
from videofer.study.products import faces_of, write_products
from videofer.study.spec import Account, StudySpec, VideoTask, load_account, stamp_of

if TYPE_CHECKING:
    from videofer.checkpoint import TrainedModel
    from videofer.timeline.timeline import Timeline

MAKING = 0.6  # of the work is the timeline, where it must be made


@dataclass(frozen=True)
class Answer:
    """What became of one task. Without a failure its account is in the study's folder."""

    key: str
    failed: str = ""  # why, one line
    hopeless: bool = False  # no video would fare better: the disk is full


class StudyWorker:
    """Makes timelines and products. `sign` may be called from another thread."""

    def __init__(self, spec: StudySpec) -> None:
        pin_threads()
        import torch

        from videofer.export import load_model

        torch.set_num_threads(1)
        self._spec = spec
        self._model: TrainedModel = load_model(spec.model, device=spec.device)
        self._reader = StoreReader(spec.store)
        self._lock = threading.Lock()
        self._beats, self._share = 0, 0.0

    def work(self, task: VideoTask) -> Answer:
        """Make what is missing of one video. All errors are answers."""
        self._beat(0.0)
        try:
            self._work(task)
        except UserError as error:
            return Answer(task.key, failed=" ".join(str(error).split()))
        except MemoryError:
            return Answer(task.key, failed="out of memory")
        except Exception as error:  # one video must not stop all others
            return Answer(task.key, failed=one_line(error), hopeless=is_full(error))
        return Answer(task.key)

    def sign(self) -> tuple[int, float]:
        """A number that grows with every sign of progress, and the share of the present video done."""
        with self._lock:
            return self._beats, self._share

    def _beat(self, share: float) -> None:
        with self._lock:
            self._beats, self._share = self._beats + 1, share

    def _work(self, task: VideoTask) -> None:
        began = time.perf_counter()
        spec = self._spec
        account = load_account(spec.folder, task.key)  # what it tells of stays
        timeline = self._timeline(task, account)
        paths = write_products(
            timeline,
            spec.out,
            task.stem,
            task.formats,
            media=task.media,
            reader=self._reader,
            options=spec.options,
            on_progress=lambda share: self._beat(MAKING + (1 - MAKING) * share),
        )
        stamps = {path.relative_to(spec.out).as_posix(): stamp_of(path) for path in paths}
        files = {name: stamp for name, stamp in stamps.items() if stamp is not None}
        Account(
            key=task.key,
            name=task.name,
            stem=task.stem,
            timeline_print=task.timeline_print,
            products_print=task.products_print,
            formats=(*(account.formats if account else ()), *task.formats),
            files={**(account.files if account else {}), **files},
            digest=digest_of(timeline, faces_of(timeline, self._reader, spec.options)),
            wall_seconds=time.perf_counter() - began,
        ).save(spec.folder)

    def _timeline(self, task: VideoTask, account: Account | None) -> Timeline:
        """The one that is kept where there is an account of it."""
        from videofer.timeline.make import make_timeline
        from videofer.timeline.timeline import Timeline

        kept = self._spec.folder / f"{task.key}.parquet"
        if account is not None:
            return Timeline.load(kept)
        timeline = make_timeline(
            self._model,
            self._reader,
            task.key,
            self._spec.settings,
            on_progress=lambda share: self._beat(MAKING * share),
        )
        timeline = replace(timeline, video=replace(timeline.video, name=task.name))
        timeline.save(kept)
        return timeline
