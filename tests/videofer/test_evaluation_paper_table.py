"""Tables for papers: the figures of the files, the best bold, escaped; what cannot be compared is said."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from evaluation_tables import make_table
from hypothesis import given
from hypothesis import strategies as st

from videofer.cli.errors import DONE
from videofer.cli.table import published_rows
from videofer.cli.table import table as command
from videofer.evaluation.paper_table import (
    Cell,
    PaperRow,
    choose_metrics,
    read_rows,
    remarks,
    with_distinct_names,
)
from videofer.evaluation.paper_table_text import latex_escape, write_table
from videofer.evaluation.report import write_report
from videofer.evaluation.table import CROSS_CORPUS, EvaluationError

LABELS = ("neutral", "anger")


def row(system: str, war: float, **more: Any) -> PaperRow:
    cells: Mapping[str, Cell] = {"war": Cell(war, war - 0.05, war + 0.05)}
    return PaperRow(**{"system": system, "num_samples": 1200, "labels": LABELS, "cells": cells, **more})


def multi_file(folder: Path) -> Path:
    """As `write_multi_report` leaves one."""
    head = {
        "num_samples": 40, "map": 0.2, "mra": 0.6, "macro_f1": 0.3, "war": 0.5, "uar": 0.5, "ece": 0.1,
        "intervals": {"map": [0.1, 0.3]}, "recall": {"neutral": 0.5, "anger": None},
        "ers": {"value": 0.25, "interval": [0.2, 0.3]},
        "dimensions": {"mean": {"ccc": -0.125, "r2": 0.1, "rmse": 0.2}, "mean_intervals": None},
    }  # fmt: skip
    values = {
        "title": "t", "source": {"recipe": "bold"}, "labels": LABELS, "answer": "face", "num_subjects": 4,
        "num_folds": 1, "num_seeds": 1, "heads": {"face": head},
    }  # fmt: skip
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(values))
    return folder


def test_the_best_is_bold_also_where_two_look_the_same() -> None:
    rows = [row("a", 0.5999), row("b", 0.60004), row("c", 0.55)]
    lines = write_table(rows, ["war"], "markdown").splitlines()
    assert lines[2] == "| a | 1,200 | **60.0** [55.0, 65.0] |"
    assert lines[3].startswith("| b | 1,200 | **60.0**") and "**" not in lines[4]
    alone = write_table(rows[:1], ["war"], "markdown")
    assert "**" not in alone
    errors = [row(name, 0.5, cells={"ece": Cell(value)}) for name, value in (("a", 0.2), ("b", 0.1))]
    assert "| b | 1,200 | **10.0** |" in write_table(errors, ["ece"], "markdown")


def test_latex_is_complete_and_escaped() -> None:
    rows = [
        row("a_b & 50 % {x}", 0.6),
        row("r", 0.7, labels=(), num_samples=None, cells={"war": Cell(0.7)}, source="arXiv 1_2"),
    ]
    text = write_table(rows, ["war"], "latex", caption="On #1")
    assert r"a\_b \& 50 \% \{x\} & 1{,}200 & 60.0 {\scriptsize [55.0, 65.0]} \\" in text
    assert r"r & -- & \textbf{70.0} \\" in text and r"arXiv 1\_2" in text and r"\caption{On \#1. WAR" in text
    assert text.index("\\midrule\nr &") > text.index("\\toprule")
    depth = 0
    for letter in re.sub(r"\\[\\{}&%$#_]", "", text):
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert text.count("\\begin{") == text.count("\\end{") == 2
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith("\\\\")} == {2}


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40))
def test_no_letter_that_means_something_to_latex_is_left(text: str) -> None:
    escaped = latex_escape(text)
    for known in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"$\pm$", r"$^2$"):
        escaped = escaped.replace(known, "")
    for known in (r"\textless{}", r"\textgreater{}"):
        escaped = escaped.replace(known, "")
    assert not re.search(r"(?<!\\)[&%$#_{}]|[~^<>]", escaped)


def test_a_run_is_read_as_it_was_measured(tmp_path: Path) -> None:
    labels = ("neutral", "anger", "happiness")
    predictions = make_table(labels=labels, heads=("face", "body", "fused"), num_subjects=12)
    metrics = write_report(
        predictions, labels, ["face", "body", "fused"], tmp_path / "x", title="t", source={"recipe": "ours"}
    )
    (answer,) = read_rows(tmp_path / "x")
    fused = metrics["fused"]
    assert fused.intervals is not None and answer.system == "ours"
    assert answer.cells["uar"] == Cell(fused.uar, *fused.intervals["uar"])
    assert answer.cells["f1"].value == fused.macro_f1 and answer.num_samples == fused.num_samples
    assert {name: cell.value for name, cell in answer.recalls.items()} == pytest.approx(
        dict(zip(labels, fused.recall, strict=True))
    )
    branches = read_rows(tmp_path / "x", "me", heads=True)
    assert [one.system for one in branches] == ["me, face", "me, body", "me, fused"]
    with pytest.raises(EvaluationError, match="has no figures of several folds: give --spread interval"):
        read_rows(tmp_path / "x", spread="folds")
    assert read_rows(tmp_path / "x", spread="none")[0].cells["war"] == Cell(fused.war)


def test_the_parts_of_a_run_across_corpora_are_called_so(tmp_path: Path) -> None:
    labels = ("neutral", "anger")
    for folder, source in (
        ("c", {"recipe": "across", "protocol": CROSS_CORPUS}),
        ("f", {"recipe": "inside"}),
    ):
        table = make_table(labels=labels, heads=("face",), num_subjects=12, num_folds=2)
        write_report(table, labels, ["face"], tmp_path / folder, title="t", source=source)
    across, inside = (read_rows(tmp_path / one, spread="folds") for one in "cf")
    said = remarks(across, ["war"], "folds")
    assert said[1:] == ["Means over the corpora and their standard deviation."]
    assert "\\caption{" in write_table(across, ["war"], "latex", spread="folds")
    assert "folds" not in write_table(across, ["war"], "latex", spread="folds")
    assert remarks([*across, *inside], ["war"], "folds")[1:] == [
        "across: means over the corpora and their standard deviation.",
        "inside: means over the folds and their standard deviation.",
    ]
    pooled = remarks([row("a", 0.6), row("b", 0.6, folds_are="corpora")], ["war"], "interval")[1]
    assert pooled.endswith("pooled over folds, corpora and seeds.")
    one = make_table(labels=labels, heads=("face",), num_subjects=12)
    write_report(one, labels, ["face"], tmp_path / "o", title="t", source={"protocol": CROSS_CORPUS})
    with pytest.raises(EvaluationError, match="has no figures of several corpora: give --spread interval"):
        read_rows(tmp_path / "o", spread="folds")


def test_multi_targets_and_dimensions(tmp_path: Path) -> None:
    rows = read_rows(multi_file(tmp_path / "m"))
    assert choose_metrics(rows) == ["map", "mra", "f1", "ers", "ccc"]
    text = write_table(rows, choose_metrics(rows), "markdown")
    assert "| bold | 40 | 20.0 [10.0, 30.0] | 60.0 | 30.0 | 0.250 [0.200, 0.300] | -0.125 |" in text
    assert "$-$0.125" in write_table(rows, ["ccc"], "latex")
    assert rows[0].recalls == {"neutral": Cell(0.5)}


def test_csv_holds_everything(tmp_path: Path) -> None:
    rows = [row("a", 0.6, recalls={"anger": Cell(0.5)}, num_folds=5), row("b", 0.7, note="x, y")]
    read = list(csv.DictReader(io.StringIO(write_table(rows, ["war"], "csv", classes=True))))
    assert [float(one["war"]) for one in read] == [0.6, 0.7] and read[0]["num_folds"] == "5"
    assert read[0]["recall_anger"] == "0.5" and read[1]["recall_anger"] == "" and read[1]["note"] == "x, y"


def test_what_a_reader_must_know() -> None:
    said = remarks([row("a", 0.6), row("b", 0.6, num_samples=7)], ["war"], "interval")
    assert "different intervals or classes" in said[-1] and "95 % intervals" in said[1]
    folds = remarks([row("a", 0.6, cells={"war": Cell(0.6, sd=0.1)})], ["war"], "folds")
    assert folds[1:] == ["Means over the folds and their standard deviation."]
    few = remarks([row("a", 0.6, cells={"war": Cell(0.6)})], ["war"], "interval")
    assert few[1:] == ["No interval where there are fewer than ten subjects."]


def test_names_are_distinct_and_metrics_known() -> None:
    named = with_distinct_names([(Path("x/1"), row("a", 0.1)), (Path("x/2"), row("a", 0.2))])
    assert [one.system for one in named] == ["a (1)", "a (2)"]
    with pytest.raises(EvaluationError, match=r"no metric is called 'wer' \(there are war, "):
        choose_metrics(named, ["wer"])
    with pytest.raises(EvaluationError, match=r"no run has the metric 'ccc' \(they have war\)"):
        choose_metrics(named, ["ccc"])


def test_what_is_no_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"is not an evaluation: it has no metrics.json"):
        read_rows(tmp_path)
    for text in ("{", "[]", '{"heads": {}}', '{"heads": {"face": 1}, "labels": [], "answer": "face"}'):
        (tmp_path / "metrics.json").write_text(text)
        with pytest.raises(EvaluationError, match=r"metrics.json is not that of an evaluation"):
            read_rows(tmp_path)


def test_reported_numbers_stand_beside() -> None:
    rows = published_rows("gemep:gemep7", ["war", "uar"])
    whole = next(one for one in rows if one.system == "NTUST hybrid (whole)")
    assert whole.cells["war"] == Cell(0.6734) and "chosen on the test fold" in whole.note
    said = remarks(rows, ["war"], "interval")
    systems = "NTUST hybrid (face), NTUST hybrid (body), NTUST hybrid (whole): as reported, "
    assert [line.startswith(systems) for line in said] == [False, True]
    with pytest.raises(EvaluationError, match="no data set is called 'gemp'"):
        published_rows("gemp", ["war"])
    with pytest.raises(EvaluationError, match="no number is known of emilya by war"):
        published_rows("emilya", ["war"])


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = multi_file(tmp_path / "m")
    assert command([str(folder)], metric=["ers"]) == DONE
    assert "| bold | 40 | 0.250" in capsys.readouterr().out
    file = tmp_path / "made" / "table.tex"
    assert command([f"ours={folder}", f"theirs={folder}"], format="latex", out=file) == DONE
    assert "theirs" in file.read_text() and "2 rows" in capsys.readouterr().out
