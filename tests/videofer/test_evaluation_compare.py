"""Comparing two evaluations: what is matched, what is found, what is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluation_tables import HEADS, make_table
from rich.console import Console

from videofer.cli.compare import compare as compare_command
from videofer.cli.errors import DONE
from videofer.emotions import BASIC
from videofer.evaluation.charts import print_comparison
from videofer.evaluation.compare import compare
from videofer.evaluation.table import EvaluationError


def save(
    path: Path, table: pd.DataFrame, heads: Sequence[str] = HEADS, labels: Sequence[str] = BASIC
) -> Path:
    """What `compare` reads of an evaluation, without its pictures and page."""
    path.mkdir()
    table.to_parquet(path / "predictions.parquet")
    values = {"title": path.name, "labels": list(labels), "heads": dict.fromkeys(heads)}
    (path / "metrics.json").write_text(json.dumps(values))
    return path


def test_a_face_model_against_a_fused_one(tmp_path: Path) -> None:
    table = make_table(num_subjects=16)
    a = save(tmp_path / "a", make_table(num_subjects=16, heads=("face",)), ("face",))
    b = save(tmp_path / "b", table)
    result = compare(a, b, tmp_path / "out")
    assert list(result.pairs) == ["face / fused", "face"] and result.warnings == ()
    right = {head: (table[f"{head}_label"] == table["label"]).to_numpy() for head in HEADS}
    # face predictions are the same in both: the gain is that of fusion
    assert result.pairs["face"].difference["war"] == pytest.approx(0)
    assert result.answer.difference["war"] == pytest.approx(right["fused"].mean() - right["face"].mean())
    assert len(result.differing) == (table["face_label"] != table["fused_label"]).sum()
    counts = result.differing["right"].value_counts()
    assert counts["A"] == result.answer.outcomes["only_a"] == (right["face"] & ~right["fused"]).sum()
    assert counts["B"] == result.answer.outcomes["only_b"]
    values = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert values["pairs"]["face / fused"]["difference"]["uar"] == result.answer.difference["uar"]
    assert len(pd.read_csv(tmp_path / "out" / "differing.csv")) == len(result.differing)
    console = Console(record=True, width=80, file=io.StringIO())
    print_comparison(result, console)
    text = console.export_text()
    assert "face / fused" in text and f"{result.answer.difference['war']:+.3f}" in text and "McNemar" in text


def test_the_command_prints_and_warns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table(num_subjects=12)
    a, b = save(tmp_path / "a", table), save(tmp_path / "b", table.iloc[7:])
    assert compare_command(a, b) == DONE
    printed = capsys.readouterr()
    assert printed.err == f"warning: 7 labelled intervals of {a} are not in {b} and are left out\n"
    assert "B - A" in printed.out and "recall per class, fused" in printed.out
    assert not (tmp_path / "out").exists()
    assert compare_command(a, b, out=tmp_path / "out") == DONE
    assert str(tmp_path / "out" / "compare.html") in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"compare.html", "compare.json", "differing.csv"}


def test_b_minus_a_changes_its_sign_with_the_sides(tmp_path: Path) -> None:
    a = save(tmp_path / "a", make_table(num_subjects=12))
    b = save(tmp_path / "b", make_table(num_subjects=12, seed=1))
    there, back = compare(a, b).answer, compare(b, a).answer
    assert there.difference["uar"] == pytest.approx(-back.difference["uar"])
    assert there.p_value == back.p_value
    np.testing.assert_allclose(there.recall_difference, -np.array(back.recall_difference), atol=1e-12)


def test_what_is_missing_in_one_is_left_out_and_said_so(tmp_path: Path) -> None:
    whole = make_table(num_subjects=12, missing_body=0.2)
    part = whole.sample(frac=0.7, random_state=0)  # in another order
    part["t_start"] += 0.0002  # less than a millisecond
    a, b = save(tmp_path / "a", whole), save(tmp_path / "b", part)
    result = compare(a, b)
    assert result.num_common == len(part)
    assert f"{len(whole) - len(part)} labelled intervals of {a} are not in {b}" in result.warnings[0]
    assert all(one.difference["war"] == 0 for one in result.pairs.values()) and not len(result.differing)
    assert result.pairs["body"].a.num_samples == part["body_seen"].sum()


def test_each_side_may_have_several_seeds(tmp_path: Path) -> None:
    several, one = make_table(num_subjects=12, num_seeds=2), make_table(num_subjects=12, seed=3)
    result = compare(save(tmp_path / "a", several), save(tmp_path / "b", one))
    right = (several["fused_label"] == several["label"]).groupby(several["seed"]).mean().mean()
    expected = (one["fused_label"] == one["label"]).mean() - right
    assert result.answer.difference["war"] == pytest.approx(expected)
    assert result.num_common == len(one) == sum(result.answer.outcomes.values())


def test_the_order_of_the_classes_does_not_matter(tmp_path: Path) -> None:
    table = make_table(num_subjects=4)
    a = save(tmp_path / "a", table)
    b = save(tmp_path / "b", table, labels=BASIC[::-1])
    assert compare(a, b).answer.difference["war"] == 0


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path: Path) -> None:
    table = make_table(num_subjects=4)
    a = save(tmp_path / "a", table)
    fewer = save(tmp_path / "fewer", make_table(BASIC[:3], num_subjects=4), labels=BASIC[:3])
    other = save(tmp_path / "other", table.assign(key="another " + table["key"]))
    table.loc[0, "label"] = "surprise"
    relabelled = save(tmp_path / "relabelled", table)
    unseen = save(tmp_path / "unseen", make_table(num_subjects=4, missing_body=1.0), ("body",))
    (tmp_path / "empty").mkdir()
    broken = save(tmp_path / "broken", table)
    (broken / "metrics.json").write_text('{"title": "t"}')
    for b, words in (
        (fewer, "have different classes"),
        (other, "have no labelled interval in common"),
        (relabelled, "have different labels for 1 intervals: .* is neutral and surprise"),
        (unseen, "no common interval shows what both need"),
        (tmp_path / "empty", "is not an evaluation: it has no metrics.json"),
        (tmp_path / "nowhere", "is not an evaluation"),
        (broken, "cannot be read as an evaluation: 'labels'"),
    ):
        with pytest.raises(EvaluationError, match=words) as caught:
            compare(a, b)
        assert "\n" not in str(caught.value)


def test_other_subjects_are_warned_of(tmp_path: Path) -> None:
    table = make_table(num_subjects=12)
    a = save(tmp_path / "a", table)
    b = save(tmp_path / "b", table.assign(subject=table["key"]))
    result = compare(a, b)
    assert "the subjects differ" in result.warnings[0] and result.answer.b.num_groups == 12
