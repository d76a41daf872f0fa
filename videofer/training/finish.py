"""The end of a training run: calibrates the best weights and writes the run folder.

All processes come here, because the inner folds train in all of them; the first one writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cache.atomic import atomic_write
from videofer.checkpoint import save_checkpoint
from videofer.data.examples import Example
from videofer.evaluation.calibration import identity
from videofer.evaluation.predict import (
    Intervals,
    WindowOutputs,
    measure_head_dimensions,
    measure_heads,
    targets,
)
from videofer.evaluation.reliability import save_reliability
from videofer.training.calibration import CalibrationReport, fit_calibration
from videofer.training.card import model_card
from videofer.training.initial import used_with_trunk
from videofer.training.inner import OutOfFold, out_of_fold
from videofer.training.job import Fitted, Job
from videofer.training.place import Place
from videofer.training.progress import Progress
from videofer.training.split import TrainingError
from videofer.training.thresholds import fit_thresholds


def finish(job: Job, place: Place, fitted: Fitted, progress: Progress) -> None:
    """Trains the inner folds, if the recipe has any, calibrates, and writes the run folder.

    A collective call. Temperatures and fusion are fitted on the inner folds' predictions; without inner folds
    on those for the validation subjects, and then every file says so.
    """
    inner = None
    if job.recipe.training.inner_folds:  # with as many threads, for equal sums on a resume
        inner = out_of_fold(replace(job, threads=fitted.threads), place, progress)
    if not place.is_first:
        return
    recipe, split = job.recipe, job.split
    fusion = None if recipe.model.fusion is None else recipe.model.fusion.score_kind
    windows, examples = (fitted.val, split.val) if inner is None else (inner.windows, inner.examples)
    multi = recipe.data.targets == "multi"
    truth = np.stack([example.target for example in examples]) if multi else targets(examples)
    report = fit_calibration(
        windows.outputs,
        torch.from_numpy(truth[windows.example]),
        fusion=fusion,
        fold=None if inner is None else inner.fold,
        heads=fitted.model.config.heads,
        targets=recipe.data.targets,
    )
    if not report.heads:
        raise TrainingError(
            f"none of the {len(examples)} validation intervals shows what the model sees in half of a clip: "
            f"lower data.clip_seconds, which is {recipe.data.clip_seconds:g}"
        )
    if multi:
        report = _with_thresholds(report, WindowOutputs(report.after, windows.example), truth)
    calibration = {**report.to_json(), "fitted_on": _fitted_on(examples, inner, recipe.training.inner_folds)}
    metrics = {**_figures(job, fitted, report, inner), **_course(job, fitted)}
    save_checkpoint(
        job.out,
        weights=fitted.model.state_dict(),
        recipe=recipe,
        contract=job.prepared.contract,
        calibration=calibration,
        metrics=metrics,
        card=model_card(recipe, job.prepared.contract, metrics, calibration),
    )
    with atomic_write(job.out / "reliability.png") as file:
        curves = {head: (fit.before, fit.after) for head, fit in report.heads.items()}
        how = "cross-fitted" if report.cross_fitted else "on the windows of the fit"
        save_reliability(curves, file, f"{recipe.name}: calibration, {how}")


def _with_thresholds(
    report: CalibrationReport, windows: WindowOutputs, truth: np.ndarray
) -> CalibrationReport:
    """windows: calibrated, cross-fitted where that can be; truth (N, n): shares of the raters."""
    intervals = windows.intervals(identity("multi"), len(truth))
    seen = intervals.seen["fused"]
    thresholds = fit_thresholds(intervals.probs["fused"][seen], truth[seen])
    return replace(report, calibration=replace(report.calibration, thresholds=thresholds))


def _fitted_on(examples: Sequence[Example], inner: OutOfFold | None, num_folds: int) -> dict[str, Any]:
    num_subjects = len({example.subject for example in examples})
    people = f"{num_subjects} subject{'s' if num_subjects > 1 else ''}"
    if inner is None:
        note = (
            f"{len(examples)} validation intervals of {people}, who may have chosen the epoch as well; "
            "the figures after calibration are of the same intervals, so they are optimistic"
        )
    else:
        note = (
            f"out-of-fold predictions for {len(examples)} training and validation intervals of "
            f"{people}, each by one of {num_folds} further models that had not seen the "
            "subject; the figures after calibration are cross-fitted: each fold under a fit on the others"
        )
    return {
        "source": "validation" if inner is None else "out_of_fold",
        "inner_folds": num_folds,
        "num_intervals": len(examples),
        "num_subjects": num_subjects,
        "note": note,
    }


def _figures(job: Job, fitted: Fitted, report: CalibrationReport, inner: OutOfFold | None) -> dict[str, Any]:
    """Figures of the model on the validation subjects; of the further models on everybody."""
    chosen = ["the best epoch"] * (job.recipe.training.keep == "best") + ["the calibration"] * (inner is None)
    verb = "were" if len(chosen) > 1 else "was"
    val = fitted.val.intervals(report.calibration, len(job.split.val))
    figures: dict[str, Any] = {
        "validation": _measure(job, fitted, val, job.split.val, report),
        "validation_note": f"{' and '.join(chosen) or 'nothing'} {verb} chosen on these subjects",
    }
    if inner is not None:
        windows = WindowOutputs(report.after, inner.windows.example)
        intervals = windows.intervals(identity(job.recipe.data.targets), len(inner.examples))
        num_folds = job.recipe.training.inner_folds
        figures["out_of_fold"] = _measure(job, fitted, intervals, inner.examples, report)
        figures["out_of_fold_note"] = (
            f"of {num_folds} further models, each trained without the subjects that it is measured on; "
            "calibrated by the other folds"
        )
    return figures


def _measure(
    job: Job, fitted: Fitted, intervals: Intervals, examples: Sequence[Example], report: CalibrationReport
) -> Mapping[str, Any]:
    """Per head the figures of the classes and, under "dimensions", those of the dimensions."""
    heads, data = fitted.model.config.heads, job.recipe.data
    measured = measure_heads(intervals, examples, data.classes, heads, report.calibration.thresholds)
    dimensions = measure_head_dimensions(intervals, examples, data.dimensions, heads)
    return {
        head: {
            **metrics.to_json(),
            **({"dimensions": dimensions[head].to_json()} if head in dimensions else {}),
        }
        for head, metrics in measured.items()
    }


def _course(job: Job, fitted: Fitted) -> dict[str, Any]:
    """How training went, and with whom."""
    return {
        "num_epochs": len(fitted.history),
        "kept_epoch": fitted.kept_epoch + 1,
        "num_train": len(job.split.train),
        "num_val": len(job.split.val),
        "seconds": round(fitted.seconds, 1),
        "threads": fitted.threads,
        "used": used_with_trunk(job.recipe, job.split),
        "history": fitted.history,
    }
