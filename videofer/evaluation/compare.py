"""Compares two evaluations on the labelled intervals that both hold: `videofer compare`.

OUT/compare.html    differences with intervals, per class, and where both differ
    compare.json
    differing.csv   the labelled intervals on which their answers differ
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cache.atomic import atomic_write_text
from videofer.evaluation.comparison import Comparison, Evaluation
from videofer.evaluation.page import compare_page
from videofer.evaluation.paired import paired
from videofer.evaluation.table import (
    INTERVAL,
    EvaluationError,
    check_table,
    is_multi,
    one_row_each,
    prob_columns,
    seen_by,
)


def compare(eval_a: Path, eval_b: Path, out: Path | None = None) -> Comparison:
    """Compares the evaluations in two folders; with `out`, writes the files above.

    EvaluationError in one line where a folder holds no evaluation, where the classes or the labels of an
    interval differ, and where no labelled interval is in both.
    """
    a, b = load_evaluation(eval_a), load_evaluation(eval_b)
    if set(a.labels) != set(b.labels):
        raise EvaluationError(
            f"{a.path} and {b.path} have different classes: {', '.join(a.labels)}, and {', '.join(b.labels)}"
        )
    for one in (a, b):
        if is_multi(one.table, one.labels):
            raise EvaluationError(
                f"{one.path} is of data.targets multi: only evaluations of targets single are compared"
            )
    table_a, table_b = _mark(a.table), _mark(b.table)
    common = sorted(set(table_a["interval"]) & set(table_b["interval"]))
    if not common:
        raise EvaluationError(f"{a.path} and {b.path} have no labelled interval in common")
    warnings = [
        f"{num_missing} labelled intervals of {one.path} are not in {other.path} and are left out"
        for one, other, num_missing in (
            (a, b, table_a["interval"].nunique() - len(common)),
            (b, a, table_b["interval"].nunique() - len(common)),
        )
        if num_missing
    ]
    table_a = table_a[table_a["interval"].isin(common)]
    table_b = _as_in(table_a, table_b[table_b["interval"].isin(common)], a, b, warnings)

    chosen = [(a.heads[-1], b.heads[-1]), *((head, head) for head in a.heads if head in b.heads)]
    pairs, differing = {}, None
    for head_a, head_b in dict.fromkeys(chosen):
        name = head_a if head_a == head_b else f"{head_a} / {head_b}"
        both_a, both_b = _seen_in_both(table_a, head_a, table_b, head_b)
        if not len(both_a):
            warnings.append(f"{name}: no common interval shows what both need")
            continue
        pairs[name] = paired(both_a, head_a, both_b, head_b, a.labels)
        if differing is None:
            num_unseen = len(common) - pairs[name].a.num_samples
            if num_unseen:
                warnings.append(f"{name}: {num_unseen} common intervals do not show what both need")
            differing = _differing(both_a, head_a, both_b, head_b, a.labels)
    if differing is None or not pairs:
        raise EvaluationError(f"{a.path} and {b.path}: no common interval shows what both need")
    comparison = Comparison(
        a=a, b=b, num_common=len(common), warnings=tuple(warnings), pairs=pairs, differing=differing
    )
    if out is not None:
        _save(comparison, out)
    return comparison


def load_evaluation(path: Path) -> Evaluation:
    """Reads the folder that `write_report` wrote."""
    path = Path(path)
    for name in ("metrics.json", "predictions.parquet"):
        if not (path / name).is_file():
            raise EvaluationError(f"{path} is not an evaluation: it has no {name}")
    try:
        values = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
        title, labels, heads = str(values["title"]), tuple(values["labels"]), tuple(values["heads"])
        table = pd.read_parquet(path / "predictions.parquet")
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise EvaluationError(f"{path} cannot be read as an evaluation: {reason}") from None
    check_table(table, labels, heads, str(path))
    return Evaluation(path, title, labels, heads, table)


def _mark(table: pd.DataFrame) -> pd.DataFrame:
    """With a column `interval` by which rows of two tables are matched; times count to the millisecond.

    Names do not count: the same content may be called otherwise. Of several rows of one content and time the
    first name's match, and so on.
    """
    times = [(table[name] * 1000).round().astype(int).astype(str) for name in ("t_start", "t_end")]
    marks = table["key"].astype(str) + " " + table["person"].astype(str) + " " + times[0] + " " + times[1]
    seed = table["seed"] if "seed" in table else pd.Series(0, index=table.index)
    place = table["name"].sort_values(kind="stable").groupby([marks, seed]).cumcount()
    return table.assign(interval=marks + " " + place.reindex(table.index).astype(str))


def _as_in(
    table_a: pd.DataFrame, table_b: pd.DataFrame, a: Evaluation, b: Evaluation, warnings: list[str]
) -> pd.DataFrame:
    """B's rows with the names, times and subjects that A has for the same intervals."""
    facts = table_a.drop_duplicates("interval").set_index("interval")
    truth = facts["label"].reindex(table_b["interval"]).to_numpy()
    wrong = table_b[(table_b["label"] != truth).to_numpy()]
    if len(wrong):
        row = wrong.iloc[0]
        expected = facts["label"][row["interval"]]
        raise EvaluationError(
            f"{a.path} and {b.path} have different labels for {wrong['interval'].nunique()} intervals: "
            f"{row['name']} is {expected} and {row['label']}"
        )
    subjects = facts["subject"].reindex(table_b["interval"]).to_numpy()
    if (table_b["subject"] != subjects).any():
        warnings.append(f"the subjects differ; those of {a.path} are taken")
    columns = [*INTERVAL, "subject"]
    return table_b.assign(**{name: facts[name].reindex(table_b["interval"]).to_numpy() for name in columns})


def _seen_in_both(
    table_a: pd.DataFrame, head_a: str, table_b: pd.DataFrame, head_b: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    seen_a, seen_b = seen_by(table_a, head_a), seen_by(table_b, head_b)
    return (
        seen_a[seen_a["interval"].isin(seen_b["interval"])],
        seen_b[seen_b["interval"].isin(seen_a["interval"])],
    )


def _differing(
    table_a: pd.DataFrame, head_a: str, table_b: pd.DataFrame, head_b: str, labels: Sequence[str]
) -> pd.DataFrame:
    each_a = one_row_each(table_a, labels, [head_a])
    order = list(INTERVAL)
    each_b = one_row_each(table_b, labels, [head_b]).set_index(order)
    each_b = each_b.reindex(pd.MultiIndex.from_frame(each_a[order])).reset_index()
    found = each_a[["name", "subject", "person", "t_start", "t_end", "label"]].assign(
        a_label=each_a[f"{head_a}_label"],
        a_p=each_a[prob_columns(head_a, labels)].max(axis=1),
        b_label=each_b[f"{head_b}_label"],
        b_p=each_b[prob_columns(head_b, labels)].max(axis=1),
    )
    found = found[found["a_label"] != found["b_label"]]
    right_a, right_b = found["a_label"] == found["label"], found["b_label"] == found["label"]
    found = found.assign(
        right=["A" if x else "B" if y else "neither" for x, y in zip(right_a, right_b, strict=True)]
    )
    return found.sort_values("right", kind="stable").reset_index(drop=True)


def _save(comparison: Comparison, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    texts = {
        "differing.csv": comparison.differing.to_csv(index=False),
        "compare.json": json.dumps(comparison.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        + "\n",
        "compare.html": compare_page(comparison),
    }
    for name, text in texts.items():
        atomic_write_text(out / name, text)
