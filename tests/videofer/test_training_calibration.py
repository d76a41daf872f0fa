"""Temperatures and fusions find what was put in, and a missing modality stays out."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from videofer.evaluation.calibration import (
    IDENTITY,
    Calibration,
    LinearLayer,
    LogProbWeights,
    complete,
    fusion_inputs,
)
from videofer.evaluation.metrics import expected_calibration_error
from videofer.evaluation.reliability import save_reliability
from videofer.training.calibration import STRENGTH, fit_calibration

N, CLASSES = 4000, 4
TEMPERATURES = {"face": 2.0, "body": 3.0, "fused": 1.0}


def overconfident(seed: int, sharpness: float, num: int = N) -> tuple[Tensor, Tensor]:
    """Log-probabilities that are `sharpness` times too sure, and targets drawn from the honest ones."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(num, CLASSES, generator=generator)
    target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return F.log_softmax(sharpness * logits, dim=1), target


def noise(seed: int, num: int = N) -> Tensor:
    return F.log_softmax(torch.randn(num, CLASSES, generator=torch.Generator().manual_seed(seed)), dim=1)


def as_outputs(
    face: Tensor, body: Tensor, fused: Tensor, has_face: Tensor | None = None
) -> dict[str, Tensor]:
    everyone = torch.ones(len(face), dtype=torch.bool)
    has = everyone if has_face is None else has_face
    return {"face": face, "body": body, "fused": fused, "has_face": has, "has_body": everyone}


def test_temperature_is_found_and_the_error_falls() -> None:
    logp, target = overconfident(0, sharpness=3.0)
    report = fit_calibration(as_outputs(logp, logp, logp), target, fusion=None)
    assert report.calibration.temperatures["face"] == pytest.approx(3.0, rel=0.08)
    assert report.calibration.fusion is None and not report.cross_fitted
    fused = report.heads["fused"]
    assert fused.after.ece < 0.02 < 0.1 < fused.before.ece
    assert fused.nll_after < fused.nll_before
    probs = logp.exp().numpy()
    assert fused.before.ece == pytest.approx(expected_calibration_error(probs, target.numpy()), abs=1e-6)
    assert fused.before.count.sum() == fused.num_windows == N


def test_fusion_weights_trust_the_modality_that_tells() -> None:
    face, target = overconfident(1, sharpness=2.0)
    report = fit_calibration(as_outputs(face, noise(2), face), target, fusion="log_prob")
    assert isinstance(report.calibration.fusion, LogProbWeights)
    assert report.calibration.fusion.face == pytest.approx(0.5, rel=0.1)
    assert report.calibration.fusion.body < 0.1


def test_linear_layer_is_that_of_logistic_regression_where_the_prior_is_nothing() -> None:
    """The prior is around the weighted sum; with data that tell another story, both find the same layer."""
    generator = torch.Generator().manual_seed(5)
    face, body = noise(6), noise(7)
    truth = torch.randn(CLASSES, 2 * CLASSES, generator=generator)
    inputs, _ = fusion_inputs(as_outputs(face, body, face))
    target = torch.multinomial((inputs @ truth.T).softmax(1), 1, generator=generator)[:, 0]
    # Folds that are alike choose the weakest prior, which 4000 windows outweigh.
    report = fit_calibration(as_outputs(face, body, face), target, fusion="linear", fold=np.arange(N) % 4)
    reference = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(inputs.numpy(), target.numpy())
    expected = torch.from_numpy(reference.predict_log_proba(inputs.numpy())).float()
    found = report.calibration.apply(as_outputs(face, body, face))["fused"]
    assert float((found.exp() - expected.exp()).abs().max()) < 0.02
    assert isinstance(report.calibration.fusion, LinearLayer)
    np.testing.assert_array_equal(report.calibration.fusion.missing, np.zeros((2, CLASSES)))
    assert report.heads["fused"].nll_after < report.heads["face"].nll_after - 0.1


def test_linear_layer_of_few_windows_stays_at_the_weighted_sum() -> None:
    face, target = overconfident(8, sharpness=2.0, num=12)
    outputs = as_outputs(face, noise(9, 12), face)
    linear = fit_calibration(outputs, target, fusion="linear").calibration.fusion
    weights = fit_calibration(outputs, target, fusion="log_prob").calibration.fusion
    assert isinstance(linear, LinearLayer) and isinstance(weights, LogProbWeights)
    around = np.hstack([weights.face * np.eye(CLASSES), weights.body * np.eye(CLASSES)])
    assert STRENGTH == 100 and np.abs(np.array(linear.weight) - around).max() < 0.1
    assert np.abs(linear.bias).max() < 0.1


def test_linear_layer_learns_what_a_missing_face_means() -> None:
    """Where the face is missing the class is always 2: the vector in its place must say so."""
    face, target = overconfident(10, sharpness=1.0)
    has_face = torch.arange(N) % 4 != 0
    target = torch.where(has_face, target, 2)
    outputs = as_outputs(face, noise(11), face, has_face)
    report = fit_calibration(outputs, target, fusion="linear")
    assert isinstance(report.calibration.fusion, LinearLayer)
    missing = np.array(report.calibration.fusion.missing)
    assert missing[0].argmax() == 2 and missing[0, 2] > 1 and not missing[1].any()
    assert (report.calibration.apply(outputs)["fused"][~has_face].argmax(1) == 2).all()
    # Whatever stands in the place of the missing face cannot be read.
    changed = {**outputs, "face": torch.where(has_face[:, None], face, 99.0)}
    torch.testing.assert_close(report.calibration.apply(changed), report.calibration.apply(outputs))


def test_cross_fitted_figures_are_those_of_fits_on_the_other_folds() -> None:
    logp, target = overconfident(12, sharpness=2.0, num=600)
    outputs = as_outputs(logp, noise(13, 600), logp)
    fold = np.arange(600) % 3
    report = fit_calibration(outputs, target, fusion="log_prob", fold=fold)
    assert report.cross_fitted
    for held in range(3):
        rest, own = torch.from_numpy(fold != held), torch.from_numpy(fold == held)
        there = {name: values[rest] for name, values in outputs.items()}
        alone = fit_calibration(there, target[rest], fusion="log_prob").calibration
        expected = alone.apply({name: values[own] for name, values in outputs.items()})
        for head in ("face", "body", "fused"):
            torch.testing.assert_close(report.after[head][own], expected[head])
    assert report.heads["fused"].nll_after == pytest.approx(float(F.nll_loss(report.after["fused"], target)))


def test_cross_fitting_is_not_fooled_by_a_fit_that_learns_by_heart() -> None:
    """Labels without any relation: on its own windows a linear fit looks better than it is."""
    target = torch.randint(CLASSES, (60,), generator=torch.Generator().manual_seed(14))
    outputs = as_outputs(noise(15, 60), noise(16, 60), noise(17, 60))
    own = fit_calibration(outputs, target, fusion="linear").heads["fused"].nll_after
    honest = fit_calibration(outputs, target, fusion="linear", fold=np.arange(60) % 3).heads["fused"]
    assert honest.nll_after > own
    assert honest.nll_after < 1.1 * np.log(CLASSES)  # and it falls back on what is nearly a guess


def test_missing_modality_is_uniform_and_fused_is_the_other() -> None:
    logp, target = overconfident(3, sharpness=1.0)
    has_face = torch.arange(N) % 2 == 0
    outputs = as_outputs(logp, logp.flip(0), logp, has_face)
    calibration = Calibration(temperatures=TEMPERATURES, fusion=LogProbWeights(face=1.0, body=1.0))
    result = calibration.apply(outputs)
    torch.testing.assert_close(result["face"][~has_face].exp(), torch.full((N // 2, CLASSES), 1 / CLASSES))
    torch.testing.assert_close(result["fused"][~has_face], result["body"][~has_face])
    for head in ("face", "body", "fused"):
        torch.testing.assert_close(result[head].exp().sum(1), torch.ones(N))
    outputs["has_body"] = torch.zeros(N, dtype=torch.bool)
    nobody = calibration.apply(outputs)["fused"][~has_face]
    torch.testing.assert_close(nobody.exp(), torch.full_like(nobody, 1 / CLASSES))
    for fusion in ("log_prob", "linear"):
        report = fit_calibration(outputs, target, fusion=fusion)  # type: ignore[arg-type]
        assert report.calibration.fusion is None and "body" not in report.heads


def test_temperature_changes_no_decision() -> None:
    logp, _ = overconfident(4, sharpness=1.0)
    outputs = as_outputs(logp, logp, logp)
    hot = Calibration(temperatures=dict.fromkeys(("face", "body", "fused"), 7.0)).apply(outputs)
    assert torch.equal(hot["face"].argmax(1), logp.argmax(1))


def test_a_handful_of_right_samples_does_not_claim_certainty() -> None:
    logp = F.log_softmax(5 * torch.eye(CLASSES), dim=1)
    report = fit_calibration(as_outputs(logp, logp, logp), torch.arange(CLASSES), fusion="log_prob")
    assert 0.3 < report.calibration.temperatures["face"] < 3.0


def test_the_published_mixture_is_there_where_the_face_has_its_parts() -> None:
    outputs: dict[str, Any] = {"face": noise(18, 5), "has_face": torch.ones(5, dtype=torch.bool)}
    assert "face_published" not in complete(outputs)
    found = complete({**outputs, "face_terms": {"published_score": noise(19, 5)}})
    assert torch.equal(found["face_published"], noise(19, 5))
    assert torch.equal(complete(found)["face_published"], found["face_published"])
    assert set(IDENTITY.apply(found)) == {"face", "body", "fused"}


def test_round_trip_through_json() -> None:
    layer = LinearLayer(weight=((1.0, 0.5, 0.25, 0.1), (0.0, 1.0, 0.3, -0.5)), bias=(0.1, -0.1),
                        missing=((0.0, 0.0), (1.0, 2.0)))  # fmt: skip
    for fusion in (None, LogProbWeights(face=0.25, body=4.0), layer):
        calibration = Calibration(temperatures={"face": 1.5, "body": 2, "fused": 0.5}, fusion=fusion)
        assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    assert Calibration.from_json(IDENTITY.to_json()) == IDENTITY


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"temperatures": None}, "not a calibration"),
        ({"temperatures": {"face": 1.0}}, "temperatures must be given for face, body, fused"),
        ({"temperatures": {"face": 1.0, "body": -1.0, "fused": 1.0}}, "temperatures must be positive"),
        ({"fusion": [1, 2]}, "not a calibration"),
        ({"fusion": {"kind": "mean"}}, "kind is 'mean', not log_prob or linear"),
        ({"fusion": {"kind": "log_prob", "face": 0.0, "body": 1.0}}, "fusion weights must be positive"),
        (
            {"fusion": {"kind": "linear", "weight": [[1.0] * 4] * 2, "bias": [0.0] * 3, "missing": []}},
            "weight must be 3 x 6",
        ),
        (
            {
                "fusion": {
                    "kind": "linear",
                    "weight": [[1.0] * 2],
                    "bias": [float("nan")],
                    "missing": [[0], [0]],
                }
            },
            "no numbers",
        ),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Calibration.from_json({**IDENTITY.to_json(), **change})
    with pytest.raises(ValueError, match="not a calibration"):
        Calibration.from_json({})


def test_the_report_can_be_saved_and_drawn() -> None:
    logp, target = overconfident(20, sharpness=3.0, num=200)
    outputs = as_outputs(logp, noise(21, 200), logp)
    report = fit_calibration(outputs, target, fusion="log_prob", heads=("face", "fused"))
    saved = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert Calibration.from_json(saved) == report.calibration
    assert set(saved["figures"]) == {"face", "fused"} and saved["cross_fitted"] is False
    assert sum(saved["figures"]["face"]["bins_after"]["count"]) == 200
    picture = io.BytesIO()
    curves = {head: (fit.before, fit.after) for head, fit in report.heads.items()}
    save_reliability(curves, picture, "small")  # type: ignore[arg-type]
    with Image.open(picture) as image:
        assert min(image.size) > 300 and np.ptp(np.asarray(image)) > 100
