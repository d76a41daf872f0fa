"""The end of a training run: calibrates the best weights and writes the run folder. In one process only."""

from __future__ import annotations

import torch

from videofer.checkpoint import save_checkpoint
from videofer.evaluation.predict import measure_heads, targets
from videofer.training.calibration import fit_calibration
from videofer.training.card import model_card
from videofer.training.loop import Fitted, Job


def finish(job: Job, fitted: Fitted) -> None:
    """Calibrates the best weights and writes the run folder. In rank 0 only."""
    recipe, split = job.recipe, job.prepared.split
    truth = torch.from_numpy(targets(split.val)[fitted.val.example])
    refit = recipe.model.fusion is not None and recipe.model.fusion.kind == "log_prob"
    calibration = fit_calibration(fitted.val.outputs, truth, refit_fusion=refit)
    intervals = fitted.val.intervals(calibration.calibration, len(split.val))
    heads = fitted.model.config.heads
    validation = {
        head: metrics.to_json()
        for head, metrics in measure_heads(intervals, split.val, recipe.data.classes, heads).items()
    }
    metrics = {
        "validation": validation,
        "validation_note": "the best epoch and the calibration were chosen on these subjects",
        "num_epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch + 1,
        "num_train": len(split.train),
        "num_val": len(split.val),
        "seconds": round(fitted.seconds, 1),
        "threads": fitted.threads,
        "used": split.used(),
        "history": fitted.history,
    }
    save_checkpoint(
        job.out,
        weights=fitted.model.state_dict(),
        recipe=recipe,
        contract=job.prepared.contract,
        calibration=calibration.to_json(),
        metrics=metrics,
        card=model_card(recipe, job.prepared.contract, metrics, calibration.to_json()),
    )
