"""Fits temperatures and fusion weights on validation predictions, so that a confidence can be believed.

The networks are trained until they are sure of the training subjects; on new subjects they are wrong more
often than they say. One temperature per head mends that without changing any decision of that head. Where
face and body are joined by weighted log-probabilities, the two weights are fitted anew as well: those learned
in training trust whichever modality memorised the training subjects better.

The figures "after" are measured on the samples of the fit, of which one to three numbers were taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from videofer.evaluation.calibration import HEADS, IDENTITY, Calibration, complete, mix, scale
from videofer.evaluation.metrics import expected_calibration_error


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """A calibration and what it changed, per head, on the samples of the fit."""

    calibration: Calibration
    num_samples: dict[str, int]
    ece_before: dict[str, float]
    ece_after: dict[str, float]
    nll_before: dict[str, float]
    nll_after: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The content of calibration.json."""
        fit = {
            head: {
                "num_samples": self.num_samples[head],
                "ece_before": self.ece_before[head],
                "ece_after": self.ece_after[head],
                "nll_before": self.nll_before[head],
                "nll_after": self.nll_after[head],
            }
            for head in self.num_samples
        }
        return {**self.calibration.to_json(), "fit_on_validation": fit}


def fit_calibration(outputs: Mapping[str, Any], target: Tensor, *, refit_fusion: bool) -> CalibrationReport:
    """Fits on outputs (as for `complete`, N validation samples, on the CPU) and target (N,) int64.

    `refit_fusion`: also fit the weights of the log-probability fusion, where some sample has both modalities.
    A head of which no sample has the modality keeps temperature 1 and is left out of the report.
    """
    outputs = complete(outputs)
    has = {"face": outputs["has_face"], "body": outputs["has_body"]}
    has["fused"] = has["face"] | has["body"]
    temperatures = {}
    for head in HEADS:
        logp, truth = outputs[head][has[head]].double(), target[has[head]]
        (temperatures[head],) = _fit(1, partial(_nll_scaled, logp, truth))
    both = has["face"] & has["body"]
    weights = None
    if refit_fusion and bool(both.any()):
        face, body, truth = outputs["face"][both].double(), outputs["body"][both].double(), target[both]
        w_face, w_body = _fit(2, partial(_nll_mixed, face, body, truth))
        weights = (w_face, w_body)
    calibration = Calibration(temperatures=temperatures, fusion_weights=weights)

    before, after = IDENTITY.apply(outputs), calibration.apply(outputs)
    heads = [head for head in HEADS if bool(has[head].any())]
    return CalibrationReport(
        calibration=calibration,
        num_samples={head: int(has[head].sum()) for head in heads},
        ece_before={head: _ece(before[head][has[head]], target[has[head]]) for head in heads},
        ece_after={head: _ece(after[head][has[head]], target[has[head]]) for head in heads},
        nll_before={head: float(F.nll_loss(before[head][has[head]], target[has[head]])) for head in heads},
        nll_after={head: float(F.nll_loss(after[head][has[head]], target[has[head]])) for head in heads},
    )


def _nll_scaled(logp: Tensor, target: Tensor, x: Tensor) -> Tensor:
    return F.nll_loss(scale(logp, x[0]), target, reduction="sum")


def _nll_mixed(face: Tensor, body: Tensor, target: Tensor, x: Tensor) -> Tensor:
    return F.nll_loss(mix(face, body, x[0], x[1]), target, reduction="sum")


def _fit(num_parameters: int, nll: Callable[[Tensor], Tensor]) -> list[float]:
    """Positive parameters that minimise a summed NLL plus a standard normal prior on their logarithms.

    The prior is worth about one sample: it decides only where a handful of validation samples are all right,
    and the likelihood alone would claim certainty.
    """
    log_x = torch.zeros(num_parameters, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_x], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nll(log_x.exp()) + 0.5 * log_x.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[arg-type, no-untyped-call]
    fitted: list[float] = log_x.detach().exp().tolist()
    return fitted


def _ece(logp: Tensor, target: Tensor) -> float:
    return expected_calibration_error(np.exp(logp.double().numpy()), target.numpy())
