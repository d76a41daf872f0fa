"""A figure beside a published number: where our interval lies, and when nothing may be said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.videofer.miniatures import gemep
from tests.videofer.miniatures.media import Media, text
from videofer.evaluation.metrics import measure
from videofer.reproduce.card import matrix, paragraphs
from videofer.reproduce.compare import (
    Compared,
    Figure,
    Result,
    compare,
    figure_of,
    in_words,
    metrics_of,
    sentence,
    verdict_of,
)
from videofer.reproduce.outcome import Outcome
from videofer.reproduce.plan import make_plan
from videofer.reproduce.systems import system_of
from videofer.synthetic.acted_states import MARKER

FIGURE = Figure(head="face", metric="war", value=0.6, low=0.55, high=0.7, fold_mean=0.61, fold_sd=0.1)
SHARE = st.floats(0, 1)


@given(SHARE, SHARE, SHARE)
def test_the_interval_is_inside_below_or_above(a: float, b: float, number: float) -> None:
    low, high = min(a, b), max(a, b)
    said = verdict_of(replace(FIGURE, value=(low + high) / 2, low=low, high=high), number)
    assert said == ("inside" if low <= number <= high else "above" if low > number else "below")


def test_without_an_interval_or_a_figure_nothing_is_judged() -> None:
    assert verdict_of(replace(FIGURE, low=None, high=None), 0.6) == "no interval"
    assert verdict_of(replace(FIGURE, value=None, low=None, high=None), 0.6) == "no figure"


def figures(num_subjects: int) -> dict[str, Any]:
    """A head's part of metrics.json."""
    rng = np.random.default_rng(0)
    subjects = [f"s{number}" for number in range(num_subjects) for _ in range(8)]
    target = rng.integers(0, 2, len(subjects))
    said = np.where(rng.random(len(target)) < 0.8, target, 1 - target)
    values = measure(np.eye(2)[said] * 0.8 + 0.1, target, ["anger", "fear"], groups=subjects).to_json()
    return {**values, "folds": {"mean": {"war": 0.75}, "sd": {"war": 0.05}}}


def test_figures_are_those_of_the_evaluation() -> None:
    many, few = figures(12), figures(4)
    one = figure_of(many, "face", "f1")
    assert (one.value, one.low, one.high) == (many["macro_f1"], *many["intervals"]["macro_f1"])
    assert figure_of(many, "face", "war").fold_mean == 0.75 and one.fold_mean is None
    assert figure_of(few, "face", "war").low is None
    assert verdict_of(figure_of(few, "face", "war"), 0.8) == "no interval"
    assert figure_of(many, "face", "ers").value is None and metrics_of(many) == ["war", "uar", "f1"]


def test_figures_of_several_targets_and_dimensions() -> None:
    multi = {
        "targets": "multi", "map": 0.3, "mra": 0.6, "macro_f1": 0.2, "intervals": {"map": [0.2, 0.4]},
        "ers": {"value": 0.25, "interval": [0.2, 0.3]},
        "dimensions": {"mean": {"ccc": 0.4, "r2": -0.1}, "mean_intervals": None},
    }  # fmt: skip
    assert metrics_of(multi) == ["ers", "map", "mra", "ccc", "r2", "f1"]
    ers, r2 = figure_of(multi, "fused", "ers"), figure_of(multi, "fused", "r2")
    assert (ers.value, ers.low, ers.high) == (0.25, 0.2, 0.3) and in_words(ers) == "0.250 [0.200, 0.300]"
    assert (r2.value, r2.low) == (-0.1, None) and in_words(r2) == "-0.100"
    assert figure_of(multi, "fused", "map").high == 0.4 and verdict_of(ers, 0.2882) == "inside"
    assert metrics_of({**multi, "ers": None, "dimensions": None}) == ["map", "mra", "f1"]


@pytest.mark.parametrize("is_synthetic", [False, True])
def test_branches_stand_beside_branches_and_synthetic_people_beside_nobody(
    tmp_path: Path, media: Media, is_synthetic: bool
) -> None:
    gemep.build(tmp_path, media, performers=range(1, 5))
    if is_synthetic:
        text(tmp_path / "GEMEP" / MARKER, "nobody\n")
    plan = make_plan(system_of("hybrid-gemep7"), tmp_path)
    heads = {head: {**figures(12), "war": value} for head, value in
             (("face", 0.1), ("body", 0.2), ("fused", 0.3))}  # fmt: skip
    outcome = Outcome(
        metrics={"heads": heads, "answer": "fused"}, report="", leaks="", trained={}, epochs=[],
        preprocessed={}, contract={}, hashes={},
    )  # fmt: skip
    found = compare(plan, outcome)
    nobody = compare(replace(plan, table=plan.table.assign(subject=None)), outcome)
    assert "of 12 subjects" in found.intervals_note and "of 12 videos, whose" in nobody.intervals_note
    assert [one.metric for one in found.main] == ["war", "uar", "f1"] and found.main[0].value == 0.3
    accuracy = {one.branch: one for one in found.compared if one.metric == "war" and one.is_reproduced}
    assert {branch: one.ours.value for branch, one in accuracy.items()} == {
        "face": 0.1, "body": 0.2, "whole": 0.3
    }  # fmt: skip
    assert found.compared[0].branch == "whole" and all(one.published > 0 for one in found.compared)
    verdicts = {one.verdict for one in found.compared}
    assert verdicts == {"other data"} if is_synthetic else "other data" not in verdicts
    assert any("synthetic" in why for why in found.why_a_trial) == is_synthetic


def result(verdict: Any, figure: Figure = FIGURE) -> Result:
    row = Compared(
        system="X", metric="war", published=0.66, source="paper", note="", branch="face", on_test=False,
        is_reproduced=True, ours=figure, verdict=verdict,
    )  # fmt: skip
    return Result(system="x", why_a_trial=(), intervals_note="", figures=(figure,), compared=(row,))


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("inside", "WAR (accuracy) 60.0 % [55.0, 70.0]; the published 66.0 % lies inside the interval"),
        ("below", "the published 66.0 % lies above the interval"),
        ("above", "the published 66.0 % lies below the interval"),
        ("no interval", "published: 66.0 %; there is no interval to judge by"),
        ("another protocol", "published, by another protocol: 66.0 %"),
    ],
)
def test_the_sentence_says_it(verdict: str, words: str) -> None:
    assert sentence(result(verdict)).endswith(words)


def test_without_a_published_number_the_figures_stand_alone() -> None:
    alone = replace(result("inside"), compared=())
    assert sentence(alone) == "WAR (accuracy) 60.0 % [55.0, 70.0]"
    unknown = replace(FIGURE, value=None, low=None, high=None)
    assert sentence(result("no figure", unknown)) == "WAR (accuracy) -" and in_words(unknown) == "-"


def test_a_matrix_has_shares_of_its_rows() -> None:
    cells = matrix([[3, 1], [0, 0]])
    assert [[cell["share"] for cell in row] for row in cells] == [[0.75, 0.25], [0, 0]]
    assert cells[0][0]["of"] == 4 and cells[1][1]["colour"] == "rgb(246, 247, 249)"


def test_the_recipes_head_is_told_in_paragraphs() -> None:
    recipe = "# The model, in\n# two lines.\n# Deviations. The epoch.\nname: x\n# not this\n"
    assert paragraphs(recipe) == ["The model, in two lines.", "The epoch."]
    assert paragraphs("name: x\n") == []
