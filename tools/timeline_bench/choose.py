"""Choose settings by what they are worth on films that are not reported on.

A setting's worth is the mean over all answers (modalities, models) of accuracy + segment F1 - calibration
error: labels, segments and probabilities count alike, and no single model decides.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from preprocessing.stage.cluster import usable_cores
from tools.timeline_bench.answers import Answer, Watched, settled
from tools.timeline_bench.scores import Scores, score
from videofer.timeline.settings import Segmentation, Smoothing, TimelineSettings

DWELLS = (0.15, 0.25, 0.4, 0.6, 1.0, 2.0)  # seconds
EVIDENCES = (0.15, 0.25, 0.4, 0.8)
KERNELS = (0.1, 0.2, 0.3, 0.4, 0.6)

_work: list[tuple[Watched, ...]] = []  # of a worker: the answers, sent once


@dataclass(frozen=True)
class Tried:
    """One setting with its scores, one for each answer."""

    settings: TimelineSettings
    scores: tuple[Scores, ...]

    @property
    def worth(self) -> float:
        """Mean over the answers."""
        return float(np.mean([one.accuracy + one.f1 - one.ece for one in self.scores]))


def smoothings(method: str) -> list[TimelineSettings]:
    """The settings of a method that are tried."""
    match method:
        case "none":
            chosen = [Smoothing(method="none")]
        case "kernel":
            chosen = [Smoothing(method="kernel", kernel_seconds=width) for width in KERNELS]
        case "hmm" | "viterbi":
            chosen = [
                Smoothing(method=method, dwell_seconds=dwell, evidence_seconds=evidence)
                for dwell, evidence in itertools.product(DWELLS, EVIDENCES)
            ]
        case _:
            raise ValueError(f"no method {method!r}")
    return [TimelineSettings(smoothing=one) for one in chosen]


def segmentations(base: TimelineSettings) -> list[TimelineSettings]:
    """The settings of segments that are tried."""
    return [
        base.model_copy(
            update={
                "segmentation": Segmentation(
                    enter=enter, leave=leave, min_seconds=shortest, merge_seconds=merge
                )
            }
        )
        for enter, leave, shortest, merge in itertools.product(
            (0.4, 0.5, 0.6), (0.2, 0.35, 0.4), (0.2, 0.3, 0.4), (0.0, 0.2, 0.4)
        )
    ]


def try_all(answers: Sequence[Answer], settings: Sequence[TimelineSettings]) -> list[Tried]:
    """The scores of every answer with every setting, on all cores."""
    context = multiprocessing.get_context("spawn")
    work = [answer.watched for answer in answers]
    jobs = [(index, one) for one in settings for index in range(len(answers))]
    with ProcessPoolExecutor(
        usable_cores(), mp_context=context, initializer=_receive, initargs=(work,)
    ) as pool:
        scores = list(pool.map(_score, jobs, chunksize=2))
    step = len(answers)
    return [
        Tried(one, tuple(scores[index * step : (index + 1) * step])) for index, one in enumerate(settings)
    ]


def _receive(work: list[tuple[Watched, ...]]) -> None:
    _work[:] = work


def _score(job: tuple[int, TimelineSettings]) -> Scores:
    index, settings = job
    return score([(settled(one.timeline, settings), one.truth) for one in _work[index]], num_draws=2)
