"""Figures of several classes at once and of dimensions, against scikit-learn and definitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from sklearn.metrics import average_precision_score, f1_score, r2_score, roc_auc_score

from videofer.evaluation.dimensions import measure_dimensions
from videofer.evaluation.multi_results import make_multi_results
from videofer.evaluation.multilabel import as_questions, emotion_recognition_score, measure_multilabel
from videofer.evaluation.ranking import rank_figures
from videofer.evaluation.report import write_multi_report
from videofer.evaluation.table import EvaluationError
from videofer.training.thresholds import fit_thresholds

LABELS = ("anger", "fear", "happiness")
NAMES = ("valence", "arousal", "dominance")


def rows(num: int = 120, num_subjects: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    """Probabilities that know something of the truth, rounded so that some are equal, and ratings."""
    rng = np.random.default_rng(seed)
    truth, ratings = rng.random((num, 3)), rng.uniform(-1, 1, (num, 3))
    ratings[:7, 1] = np.nan
    return {
        "truth": truth,
        "probs": (0.5 * truth + 0.5 * rng.random((num, 3))).round(2),
        "ratings": ratings,
        "found": 0.6 * np.nan_to_num(ratings) + rng.normal(0, 0.2, (num, 3)),
        "subjects": np.array([f"s{place % num_subjects}" for place in range(num)]),
    }


@given(st.data())
def test_ranking_is_that_of_scikit_learn(data: st.DataObject) -> None:
    num = data.draw(st.integers(2, 12))
    score = np.array(data.draw(st.lists(st.integers(0, 4), min_size=num, max_size=num))) / 4
    holds = np.array(data.draw(st.lists(st.booleans(), min_size=num, max_size=num)))
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=num, max_size=num)))
    precision, area = rank_figures(score, holds, np.stack([weight, weight + 1], axis=1))
    for place, weights in enumerate((weight, weight + 1)):
        if not (weights[holds].sum() and weights[~holds].sum()):
            assert np.isnan(precision[place]) and np.isnan(area[place])
            continue
        expected = average_precision_score(holds, score, sample_weight=weights)
        assert precision[place] == pytest.approx(expected)
        assert area[place] == pytest.approx(roc_auc_score(holds, score, sample_weight=weights))


def test_figures_of_questions() -> None:
    given_rows = rows()
    truth, probs = given_rows["truth"] >= 0.5, given_rows["probs"]
    says = probs >= np.array([0.3, 0.5, 0.6])
    found = measure_multilabel(probs, given_rows["truth"], LABELS, says=says, groups=given_rows["subjects"])
    assert found.figures["map"] == pytest.approx(average_precision_score(truth, probs, average="macro"))
    assert found.figures["mra"] == pytest.approx(roc_auc_score(truth, probs, average="macro"))
    assert found.macro_f1 == pytest.approx(f1_score(truth, says, average="macro"))
    assert found.war == pytest.approx((truth == says).mean())
    recalls = [(says[t, c].mean() + (~says[~t, c]).mean()) / 2 for c, t in enumerate(truth.T)]
    assert found.uar == pytest.approx(np.mean(recalls))
    assert found.figures["brier"] == pytest.approx(((probs - truth) ** 2).mean())
    assert found.support == tuple(truth.sum(axis=0)) and found.num_present == 3 and found.num_groups == 12
    assert found.intervals is not None
    for name, (low, high) in found.intervals.items():
        assert low <= found.figures[name] <= high, name
    json.dumps(found.to_json(), allow_nan=False)


def test_classes_that_nobody_or_everybody_shows_count_in_no_mean() -> None:
    given_rows = rows()
    truth = given_rows["truth"].copy()
    truth[:, 1], truth[:, 2] = 0.0, 1.0
    found = measure_multilabel(given_rows["probs"], truth, LABELS)
    assert found.num_present == 1 and np.isnan(found.per_class["roc_area"][1:]).all()
    assert found.figures["mra"] == found.per_class["roc_area"][0]
    assert found.figures["map"] == found.per_class["average_precision"][0]
    assert found.intervals is None and "not known" in found.intervals_note


def test_seeds_are_averaged() -> None:
    one, other = rows(seed=0), rows(seed=1)
    truth, subjects = one["truth"], one["subjects"]
    both = measure_multilabel(
        np.concatenate([one["probs"], other["probs"]]), np.concatenate([truth, truth]), LABELS,
        groups=np.concatenate([subjects, subjects]), seeds=np.repeat([0, 1], len(truth)),
    )  # fmt: skip
    each = [measure_multilabel(part["probs"], truth, LABELS) for part in (one, other)]
    assert both.num_seeds == 2 and both.num_samples == len(truth)
    assert both.figures["map"] == pytest.approx(np.mean([part.figures["map"] for part in each]))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="must be"):
        measure_multilabel(np.zeros((3, 2)), np.zeros((3, 3)), LABELS)
    with pytest.raises(ValueError, match="must be"):
        measure_dimensions(np.zeros((3, 2)), np.zeros((3, 2)), NAMES)


def test_dimensions_by_their_definitions() -> None:
    given_rows = rows()
    found = measure_dimensions(
        given_rows["found"], given_rows["ratings"], NAMES, groups=given_rows["subjects"].tolist()
    )
    assert found.num_samples == (120, 113, 120)
    for place in range(3):
        known = np.isfinite(given_rows["ratings"][:, place])
        x, y = given_rows["found"][known, place], given_rows["ratings"][known, place]
        cov = np.cov(x, y, bias=True)[0, 1]
        ccc = 2 * cov / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert found.figures["ccc"][place] == pytest.approx(ccc)
        assert found.figures["r2"][place] == pytest.approx(r2_score(y, x))
        assert found.figures["rmse"][place] == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
    assert found.intervals is not None and found.mean_intervals is not None
    low, high = found.mean_intervals["ccc"]
    assert low < found.mean("ccc") < high
    json.dumps(found.to_json(), allow_nan=False)


def test_ratings_that_do_not_differ_have_no_agreement() -> None:
    found = measure_dimensions(np.random.default_rng(0).random((9, 1)), np.full((9, 1), 0.3), ("valence",))
    assert np.isnan(found.figures["ccc"][0]) and np.isnan(found.figures["r2"][0])
    assert found.to_json()["mean"]["ccc"] is None


def test_the_score_of_bold() -> None:
    score = emotion_recognition_score(np.array(0.1), np.array(0.2), np.array(0.6))
    assert score == pytest.approx(0.5 * (0.1 + 0.5 * (0.2 + 0.6)))


def table_of(given_rows: dict[str, np.ndarray], heads: tuple[str, ...] = ("fused",)) -> pd.DataFrame:
    num = len(given_rows["truth"])
    table = pd.DataFrame(
        {
            "key": [f"{place:032x}" for place in range(num)], "name": "a.mp4", "person": 0,
            "subject": given_rows["subjects"], "t_start": 0.0, "t_end": 1.0, "label": "anger",
        }
    )  # fmt: skip
    for place, name in enumerate(LABELS):
        table[f"label_p_{name}"] = given_rows["truth"][:, place]
    for place, name in enumerate(NAMES):
        table[f"label_{name}"] = given_rows["ratings"][:, place]
    for head in heads:
        table[f"{head}_seen"] = True
        for place, name in enumerate(LABELS):
            table[f"{head}_p_{name}"] = given_rows["probs"][:, place]
            table[f"{head}_raw_p_{name}"] = given_rows["probs"][:, place]
            table[f"{head}_is_{name}"] = given_rows["probs"][:, place] >= 0.4
        for place, name in enumerate(NAMES):
            table[f"{head}_{name}"] = given_rows["found"][:, place]
    return table


def test_a_report_has_everything(tmp_path: Path) -> None:
    given_rows, facts = rows(), {"title": "t", "source": {"model": "m"}}
    table = table_of(given_rows, ("face", "fused"))
    results = write_multi_report(table, LABELS, ("face", "fused"), tmp_path, **facts)  # type: ignore[arg-type]
    one = results.heads["fused"]
    assert one.dimensions is not None and one.score is not None and one.score.interval is not None
    truth = given_rows["truth"] >= 0.5
    known = np.isfinite(given_rows["ratings"])
    r2 = [r2_score(given_rows["ratings"][k, c], given_rows["found"][k, c]) for c, k in enumerate(known.T)]
    parts = [
        average_precision_score(truth, given_rows["probs"], average="macro"),
        roc_auc_score(truth, given_rows["probs"], average="macro"),
    ]
    assert one.score.value == pytest.approx(0.5 * (np.mean(r2) + np.mean(parts)))
    assert one.score.interval[0] < one.score.value < one.score.interval[1]
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["heads"]["fused"]["ers"]["value"] == pytest.approx(one.score.value)
    assert found["heads"]["fused"]["dimensions"]["ccc"].keys() == set(NAMES)
    page = (tmp_path / "report.html").read_text()
    assert "ERS, score of BoLD" in page and "Dimensions" in page and "dominance" in page
    unnamed = table.assign(subject=table["key"])
    said = make_multi_results(unnamed, LABELS, ("fused",), title="t", source={}).unknowns()
    assert any("names no subject" in line for line in said)
    assert not any("names no subject" in line for line in results.unknowns())
    per_class = pd.read_csv(tmp_path / "per_class.csv")
    assert set(per_class["class"]) == set(LABELS) and len(per_class) == 6
    assert (tmp_path / "reliability.png").stat().st_size > 1000
    assert not (tmp_path / "confusion_fused.png").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fused_p_fear": 1.2}, "the probabilities of 'fused' are not all from 0 to 1"),
        ({"fused_is_fear": None}, "lacks the column 'fused_is_fear'"),
    ],
)
def test_a_wrong_table_is_named(change: dict[str, Any], message: str) -> None:
    table = table_of(rows())
    for name, value in change.items():
        table = table.drop(columns=name) if value is None else table.assign(**{name: value})
    with pytest.raises(EvaluationError, match=message):
        make_multi_results(table, LABELS, ("fused",), title="t", source={})


def test_questions_are_rows_of_two() -> None:
    probs, truth = as_questions(np.array([[0.2, 0.9]]), np.array([[0.5, 0.4]]))
    np.testing.assert_allclose(probs, [[0.8, 0.2], [0.1, 0.9]])
    assert truth.tolist() == [1, 0]


@given(st.data())
def test_no_other_threshold_has_a_larger_f1(data: st.DataObject) -> None:
    num = data.draw(st.integers(1, 10))
    probs = np.array(data.draw(st.lists(st.integers(1, 9), min_size=num, max_size=num)))[:, None] / 10
    holds = np.array(data.draw(st.lists(st.booleans(), min_size=num, max_size=num)))[:, None]
    (threshold,) = fit_thresholds(probs, holds.astype(float))
    if not holds.any():
        assert threshold == 0.5
        return
    best = max(f1_score(holds, probs >= limit, zero_division=0) for limit in np.arange(0.05, 1, 0.1))
    assert f1_score(holds, probs >= threshold, zero_division=0) == pytest.approx(best)
