"""The end of an ensemble's training: the members' answers for the validation intervals are combined.

A mean has nothing to learn but its temperature. A blend and its temperature are fitted on the same
intervals; so that the temperature and the figures are those of intervals that a blend has not seen, they are
divided into folds, each answered by a blend of the others. The members were calibrated on all of them, and
where they keep the best epoch it was chosen on them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cache.atomic import atomic_write
from cache.reader import StoreReader
from videofer.checkpoint import LoadedModel, load_checkpoint, read_json
from videofer.data.dataset import SampleDataset
from videofer.data.examples import Example
from videofer.data.groups import balanced_folds, linked_groups
from videofer.ensembles.combine import Combination, Mean
from videofer.ensembles.model import MEMBERS, combine_outputs, save_ensemble
from videofer.ensembles.recipe import Ensemble
from videofer.evaluation.calibration import IDENTITY, Calibration
from videofer.evaluation.predict import WindowOutputs, measure_heads, run_trained, targets
from videofer.evaluation.reliability import save_reliability
from videofer.training.blend import fit_blend
from videofer.training.calibration import fit_calibration
from videofer.training.ensemble_card import ensemble_card
from videofer.training.split import Prepared

NUM_FOLDS = 5


def finish_ensemble(ensemble: Ensemble, prepared: Prepared, store: Path, out: Path) -> dict[str, Any]:
    """Combines the finished members in `out`, writes the folder, returns the content of metrics.json."""
    began = time.monotonic()
    val, recipe = prepared.split.val, ensemble.recipe
    device = "cuda" if torch.cuda.is_available() else "cpu"
    members, windows, keeps_best = {}, [], False
    for name in ensemble.members:
        model = load_checkpoint(out / MEMBERS / name, device=device)
        dataset = SampleDataset(
            StoreReader(store), val, model.spec, training=False, windows=model.recipe.data.eval_windows
        )
        own = run_trained(model, dataset)
        members[name] = _about(model, own, val)
        keeps_best |= model.recipe.training.keep == "best"
        windows.append(_calibrated(own, model.calibration))
    heads, example = model.heads, windows[0].example
    target = torch.from_numpy(targets(val)[example])

    outputs, combination, fold, how = _combine(ensemble, windows, val, target, heads)
    report = fit_calibration(outputs, target, fusion=None, fold=fold, heads=heads)
    chosen = "the members' epochs were chosen" if keeps_best else "the members were calibrated"
    note = f"{len(val)} validation intervals, on which {chosen} as well; {how}"
    calibration = {
        **report.to_json(),
        "fitted_on": {"source": "validation", "num_intervals": len(val), "note": note},
    }
    after = WindowOutputs(report.after, example).intervals(IDENTITY, len(val))
    figures = measure_heads(after, val, ensemble.first.data.classes, heads)
    metrics: dict[str, Any] = {
        "validation": {head: one.to_json() for head, one in figures.items()},
        "validation_note": f"{chosen} on these intervals; {how}",
        "members": members,
        "num_train": len(prepared.split.train),
        "num_val": len(val),
        "num_parameters": sum(member["num_parameters"] for member in members.values()),
        "seconds": round(sum(member["seconds"] for member in members.values()) + time.monotonic() - began, 1),
        "used": _used(out, ensemble, prepared),
    }
    save_ensemble(
        out,
        members=list(members),
        combination=combination,
        recipe=recipe,
        contract=prepared.contract,
        labels=ensemble.first.data.classes,
        calibration=calibration,
        metrics=metrics,
        card=ensemble_card(ensemble, prepared.contract, metrics, calibration),
    )
    with atomic_write(out / "reliability.png") as file:
        curves = {head: (fit.before, fit.after) for head, fit in report.heads.items()}
        fitted = "cross-fitted" if report.cross_fitted else "on the windows of the fit"
        save_reliability(curves, file, f"{recipe.name}: calibration, {fitted}")
    return metrics


def _combine(
    ensemble: Ensemble,
    windows: Sequence[WindowOutputs],
    val: Sequence[Example],
    target: Tensor,
    heads: Sequence[str],
) -> tuple[dict[str, Tensor], Combination, np.ndarray | None, str]:
    """The ensemble's outputs on the validation windows, how it combines, their folds, and a sentence."""
    parts = [one.outputs for one in windows]
    if ensemble.recipe.combine == "mean":
        how = "the temperature was fitted on them, so the figures after it are optimistic"
        return combine_outputs(parts, heads, Mean()), Mean(), None, how
    (head,) = heads
    there = parts[0][f"has_{head}"]  # what shows nothing cannot teach
    fold = _folds(val, windows[0].example)
    log_probs = torch.stack([part[head] for part in parts])  # (m, M, n)
    fit = fit_blend(log_probs[:, there], target[there], None if fold is None else fold[there.numpy()])
    outputs = combine_outputs(parts, heads, fit.blend)
    if fit.out_of_fold is None:
        how = "the blend and its temperature were fitted on them, so the figures after it are optimistic"
        return outputs, fit.blend, None, how
    for name in (head, "fused"):
        outputs[name][there] = fit.out_of_fold
    how = (
        f"the figures are of blends with a prior of strength {fit.strength:g}, each fitted without the fold "
        "that it is measured on"
    )
    return outputs, fit.blend, fold, how


def _folds(val: Sequence[Example], example: np.ndarray) -> np.ndarray | None:
    """(M,) the fold of each window: what shares a subject or a video is in one. None for a single group."""
    group = linked_groups([one.subject for one in val], [one.key for one in val])
    num_groups = int(group.max()) + 1
    if num_groups < 2:
        return None
    target = np.stack([one.target for one in val])
    fold: np.ndarray = balanced_folds(group, target, min(NUM_FOLDS, num_groups), seed=0)[group][example]
    return fold


def _calibrated(windows: WindowOutputs, calibration: Calibration) -> WindowOutputs:
    outputs = windows.outputs
    has = {name: outputs[name] for name in ("has_face", "has_body")}
    return WindowOutputs(calibration.apply(outputs) | has, windows.example)


def _about(model: LoadedModel, windows: WindowOutputs, val: Sequence[Example]) -> dict[str, Any]:
    """What metrics.json says of a member, measured by the ensemble's own division."""
    intervals = windows.intervals(model.calibration, len(val))
    answer = measure_heads(intervals, val, model.labels, model.heads)[model.heads[-1]].to_json()
    course = _metrics_of(model.path)
    return {
        "recipe": model.recipe.name,
        "seed": model.recipe.training.seed,
        "num_parameters": sum(parameter.numel() for parameter in model.model.parameters()),
        "seconds": course["seconds"],
        "num_epochs": course["num_epochs"],
        "kept_epoch": course["kept_epoch"],
        "weights_sha256": model.weights_sha256,
        **{name: answer[name] for name in ("war", "uar", "macro_f1", "nll", "ece")},
    }


def _metrics_of(run: Path) -> Mapping[str, Any]:
    values: Mapping[str, Any] = read_json(run / "metrics.json")
    return values


def _used(out: Path, ensemble: Ensemble, prepared: Prepared) -> dict[str, dict[str, list[str]]]:
    """What any member has seen, also one that was trained elsewhere."""
    all_used = [
        prepared.split.used(),
        *(_metrics_of(out / MEMBERS / name)["used"] for name in ensemble.members),
    ]
    joint: dict[str, dict[str, list[str]]] = {}
    for kind in ("keys", "subjects"):
        train = {name for used in all_used for name in used[kind]["train"]}
        val = {name for used in all_used for name in used[kind]["val"]} - train
        joint[kind] = {"train": sorted(train), "val": sorted(val)}
    return joint
