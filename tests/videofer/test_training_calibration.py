"""Temperatures and fusion weights find what was put in, and a missing modality stays out."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videofer.evaluation.calibration import IDENTITY, Calibration
from videofer.training.calibration import fit_calibration

N, CLASSES = 4000, 4


def overconfident(seed: int, sharpness: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities that are `sharpness` times too sure, and targets drawn from the honest ones."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(N, CLASSES, generator=generator)
    target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return F.log_softmax(sharpness * logits, dim=1), target


def as_outputs(
    face: Tensor, body: Tensor, fused: Tensor, has_face: Tensor | None = None
) -> dict[str, Tensor]:
    everyone = torch.ones(len(face), dtype=torch.bool)
    has = everyone if has_face is None else has_face
    return {"face": face, "body": body, "fused": fused, "has_face": has, "has_body": everyone}


def test_temperature_is_found_and_the_error_falls() -> None:
    logp, target = overconfident(0, sharpness=3.0)
    report = fit_calibration(as_outputs(logp, logp, logp), target, refit_fusion=False)
    assert report.calibration.temperatures["face"] == pytest.approx(3.0, rel=0.08)
    assert report.calibration.fusion_weights is None
    assert report.ece_after["fused"] < 0.02 < 0.1 < report.ece_before["fused"]
    assert report.nll_after["face"] < report.nll_before["face"]


def test_fusion_weights_trust_the_modality_that_tells() -> None:
    face, target = overconfident(1, sharpness=2.0)
    noise = F.log_softmax(torch.randn(N, CLASSES, generator=torch.Generator().manual_seed(2)), dim=1)
    report = fit_calibration(as_outputs(face, noise, face + noise), target, refit_fusion=True)
    assert report.calibration.fusion_weights is not None
    w_face, w_body = report.calibration.fusion_weights
    assert w_face == pytest.approx(0.5, rel=0.1) and w_body < 0.1


def test_missing_modality_is_uniform_and_fused_is_the_other() -> None:
    logp, target = overconfident(3, sharpness=1.0)
    has_face = torch.arange(N) % 2 == 0
    outputs = as_outputs(logp, logp.flip(0), logp, has_face)
    calibration = Calibration(
        temperatures={"face": 2.0, "body": 3.0, "fused": 1.0}, fusion_weights=(1.0, 1.0)
    )
    result = calibration.apply(outputs)
    torch.testing.assert_close(result["face"][~has_face].exp(), torch.full((N // 2, CLASSES), 1 / CLASSES))
    torch.testing.assert_close(result["fused"][~has_face], result["body"][~has_face])
    for head in ("face", "body", "fused"):
        torch.testing.assert_close(result[head].exp().sum(1), torch.ones(N))
    outputs["has_body"] = torch.zeros(N, dtype=torch.bool)
    nobody = calibration.apply(outputs)["fused"][~has_face]
    torch.testing.assert_close(nobody.exp(), torch.full_like(nobody, 1 / CLASSES))
    report = fit_calibration(outputs, target, refit_fusion=True)
    assert report.calibration.fusion_weights is None and "body" not in report.num_samples


def test_temperature_changes_no_decision() -> None:
    logp, _ = overconfident(4, sharpness=1.0)
    outputs = as_outputs(logp, logp, logp)
    hot = Calibration(temperatures=dict.fromkeys(("face", "body", "fused"), 7.0)).apply(outputs)
    assert torch.equal(hot["face"].argmax(1), logp.argmax(1))


def test_a_handful_of_right_samples_does_not_claim_certainty() -> None:
    logp = F.log_softmax(5 * torch.eye(CLASSES), dim=1)
    report = fit_calibration(as_outputs(logp, logp, logp), torch.arange(CLASSES), refit_fusion=True)
    assert 0.3 < report.calibration.temperatures["face"] < 3.0


def test_round_trip_through_json() -> None:
    calibration = Calibration(temperatures={"face": 1.5, "body": 2, "fused": 0.5}, fusion_weights=(0.25, 4.0))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    assert Calibration.from_json(IDENTITY.to_json()) == IDENTITY


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"temperatures": {"face": 1.0}, "fusion_weights": None},
        {"temperatures": {"face": 1.0, "body": -1.0, "fused": 1.0}, "fusion_weights": None},
        {"temperatures": {"face": 1.0, "body": 1.0, "fused": 1.0}, "fusion_weights": [1, 2]},
    ],
)
def test_nonsense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"calibration|temperatures"):
        Calibration.from_json(values)
