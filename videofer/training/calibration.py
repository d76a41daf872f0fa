"""Fits temperatures and the fusion of face and body, so that a confidence can be believed.

The networks are trained until they are sure of the training subjects; on new subjects they are wrong more
often than they say. One temperature per head mends that without changing any decision of that head. The
fusion that was learned in training trusts whichever modality memorised the training subjects better, so it is
fitted anew on predictions for subjects whom the predicting model has not seen:

    log_prob  one positive weight each for the log-probabilities of face and body
    linear    a linear layer on their centred log-probabilities

Every fit minimises the negative log-likelihood plus a prior, by LBFGS. The logarithm of a temperature or a
weight has a standard normal prior, worth about one sample: it decides only where a handful of samples are all
right, and the likelihood alone would claim certainty. The linear layer has many numbers; its prior is normal
around the sum of both modalities, weighted as `log_prob` would, with a strength that is chosen by
cross-validation over the inner folds (without folds: STRENGTH). What stands in for a missing modality keeps
zero, unless some samples show one modality alone.

Of targets "multi" the likelihood is that of all questions, whether a class is there; the fusion of a model of
face and body stays the model's own, with a temperature.

Letters in shapes: M windows, n classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videofer.evaluation.calibration import (
    HEADS,
    IDENTITY,
    Calibration,
    LinearLayer,
    LogProbWeights,
    complete,
    fusion_inputs,
    identity,
    mix,
    scale,
)
from videofer.evaluation.multilabel import as_questions
from videofer.evaluation.reliability import Reliability, reliability
from videofer.models.targets import Targets, losses_of

STRENGTH = 100.0
"""Of the linear layer's prior: what a deviation of 0.1 in one weight costs is STRENGTH / 200 nats."""
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Among these the inner folds choose."""


@dataclass(frozen=True, kw_only=True)
class HeadFit:
    """What calibration does to one head, on the windows that show its modality."""

    before: Reliability
    after: Reliability
    nll_before: float
    nll_after: float

    @property
    def num_windows(self) -> int:
        """How many show the modality; of multi targets times the classes."""
        return int(self.before.count.sum())


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """A calibration and what it changed."""

    calibration: Calibration
    cross_fitted: bool
    """Whether what is said of "after" was measured on windows that its fit had not seen."""
    heads: dict[str, HeadFit]
    """Those of which some window shows the modality."""
    after: dict[str, Tensor]
    """Calibrated outputs, as `complete` gives them; cross-fitted, if the figures are."""

    def to_json(self) -> dict[str, Any]:
        """What calibration.json holds of it."""
        figures = {
            head: {
                "num_windows": fit.num_windows,
                "ece_before": fit.before.ece,
                "ece_after": fit.after.ece,
                "nll_before": fit.nll_before,
                "nll_after": fit.nll_after,
                "bins_before": fit.before.to_json(),
                "bins_after": fit.after.to_json(),
            }
            for head, fit in self.heads.items()
        }
        return {**self.calibration.to_json(), "cross_fitted": self.cross_fitted, "figures": figures}


def fit_calibration(
    outputs: Mapping[str, Any],
    target: Tensor,
    *,
    fusion: Literal["log_prob", "linear"] | None,
    fold: np.ndarray | None = None,
    heads: Sequence[str] = HEADS,
    targets: Targets = "single",
) -> CalibrationReport:
    """Fits on outputs (as for `complete`, M windows, on the CPU) and target (M,) int64, of multi targets
    (M, n) shares of the raters.

    `fusion`: what to fit anew, where some window has both modalities; None: the model's own fusion stays.
    `fold`: (M,) int, the inner fold that each window was held out in. With several folds the figures "after"
    are cross-fitted: each fold is measured under a fit on the others. `heads`: those to report on. One of
    which no window has the modality keeps temperature 1 and is left out of the report.
    """
    outputs = complete(outputs)
    fusion = fusion if targets == "single" else None
    number = torch.zeros(len(target), dtype=torch.int64) if fold is None else torch.as_tensor(fold)
    calibration = _fit(outputs, target, number, fusion, targets)
    before, after = identity(targets).apply(outputs), calibration.apply(outputs)
    folds = sorted(set(number.tolist()))
    if len(folds) > 1:
        for held in folds:
            own = number == held
            rest = _fit(_rows(outputs, ~own), target[~own], number[~own], fusion, targets)
            for head, logp in rest.apply(_rows(outputs, own)).items():
                after[head][own] = logp
    has = {"face": outputs["has_face"], "body": outputs["has_body"]}
    has["fused"] = has["face"] | has["body"]
    return CalibrationReport(
        calibration=calibration,
        cross_fitted=len(folds) > 1,
        heads={
            head: _measure(before[head][has[head]], after[head][has[head]], target[has[head]], targets)
            for head in heads
            if bool(has[head].any())
        },
        after={**outputs, **after},
    )


def _fit(
    outputs: dict[str, Tensor],
    target: Tensor,
    fold: Tensor,
    fusion: Literal["log_prob", "linear"] | None,
    targets: Targets,
) -> Calibration:
    has = {"face": outputs["has_face"], "body": outputs["has_body"]}
    has["fused"] = has["face"] | has["body"]
    temperatures = {}
    for head in HEADS:
        logp, truth = outputs[head][has[head]].double(), target[has[head]]
        (temperatures[head],) = fit_positive(1, partial(_nll_scaled, logp, truth, targets))
    if fusion is None or not bool((has["face"] & has["body"]).any()):
        return Calibration(temperatures=temperatures, targets=targets)
    weights = _fit_weights(outputs, target)
    if fusion == "log_prob":
        return Calibration(temperatures=temperatures, fusion=weights)
    return Calibration(temperatures=temperatures, fusion=_fit_linear(outputs, target, fold))


def _fit_weights(outputs: dict[str, Tensor], target: Tensor) -> LogProbWeights:
    """On the windows with both modalities."""
    both = outputs["has_face"] & outputs["has_body"]
    face, body = outputs["face"][both].double(), outputs["body"][both].double()
    w_face, w_body = fit_positive(2, partial(_nll_mixed, face, body, target[both]))
    return LogProbWeights(face=w_face, body=w_body)


def _fit_linear(outputs: dict[str, Tensor], target: Tensor, fold: Tensor) -> LinearLayer:
    """On all windows with a modality; the prior's strength by the folds, where there are several."""
    any_there = outputs["has_face"] | outputs["has_body"]
    outputs, target, fold = _rows(outputs, any_there), target[any_there], fold[any_there]
    strength, folds = STRENGTH, sorted(set(fold.tolist()))
    if len(folds) > 1:
        nll = dict.fromkeys(STRENGTHS, 0.0)
        for held in folds:
            own = fold == held
            for candidate in STRENGTHS:
                layer = _fit_layer(_rows(outputs, ~own), target[~own], candidate)
                logp = Calibration(temperatures=IDENTITY.temperatures, fusion=layer).apply(
                    _rows(outputs, own)
                )
                nll[candidate] += float(F.nll_loss(logp["fused"], target[own], reduction="sum"))
        strength = min(STRENGTHS, key=lambda candidate: nll[candidate])
    return _fit_layer(outputs, target, strength)


def _fit_layer(outputs: dict[str, Tensor], target: Tensor, strength: float) -> LinearLayer:
    """A prior of this strength around the weighted sum of both modalities."""
    inputs, absent = (part.double() for part in fusion_inputs(outputs))  # (M, 2n), (M, 2)
    n = inputs.shape[1] // 2
    around = _fit_weights(outputs, target)
    eye = torch.eye(n, dtype=torch.float64)
    center = torch.cat([around.face * eye, around.body * eye], dim=1)  # (n, 2n)
    shift = torch.zeros(n, 2 * n + 3, dtype=torch.float64, requires_grad=True)  # of weight, bias, missing

    def nll() -> Tensor:
        ones = inputs.new_ones(len(inputs), 1)
        scores = inputs @ center.T + torch.cat([inputs, ones, absent], dim=1) @ shift.T
        # Without a window that lacks a modality its column of `absent` is zero, and so its shift stays.
        return F.cross_entropy(scores, target, reduction="sum") + 0.5 * strength * shift.square().sum()

    minimise(shift, nll)
    fitted = shift.detach()
    return LinearLayer(
        weight=_tuples(center + fitted[:, : 2 * n]),
        bias=tuple(fitted[:, 2 * n].tolist()),
        missing=_tuples(fitted[:, 2 * n + 1 :].T),
    )


def fit_positive(num_parameters: int, nll: Callable[[Tensor], Tensor]) -> list[float]:
    """Positive parameters that minimise a summed NLL plus a standard normal prior on their logarithms."""
    log_x = torch.zeros(num_parameters, dtype=torch.float64, requires_grad=True)
    minimise(log_x, lambda: nll(log_x.exp()) + 0.5 * log_x.square().sum())
    fitted: list[float] = log_x.detach().exp().tolist()
    return fitted


def minimise(parameters: Tensor, objective: Callable[[], Tensor]) -> None:
    """Changes parameters, which need a gradient, in place. objective: a smooth function of them."""
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[arg-type, no-untyped-call]


def _nll_scaled(logp: Tensor, target: Tensor, targets: Targets, x: Tensor) -> Tensor:
    return losses_of(scale(logp, x[0], targets), target, targets).sum()


def _nll_mixed(face: Tensor, body: Tensor, target: Tensor, x: Tensor) -> Tensor:
    return F.nll_loss(mix(face, body, x[0], x[1]), target, reduction="sum")


def _measure(before: Tensor, after: Tensor, target: Tensor, targets: Targets) -> HeadFit:
    """Log-probabilities (M, n) and target (M,), of multi targets (M, n), of at least one window."""
    curves, losses = [], []
    for logp in (before, after):
        probs, truth = np.exp(logp.double().numpy()), target.numpy()
        if targets == "multi":
            probs, truth = as_questions(probs, truth)
        curves.append(reliability(probs, truth))
        losses.append(float(losses_of(logp, target, targets).mean()))
    return HeadFit(before=curves[0], after=curves[1], nll_before=losses[0], nll_after=losses[1])


def _rows(outputs: dict[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    return {name: values[chosen] for name, values in outputs.items()}


def _tuples(matrix: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())
