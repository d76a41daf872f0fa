"""Folds: everybody is tested as the protocol says, and never anybody on both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videofer.data.groups import balanced_folds, linked_groups
from videofer.datasets.manifest import normalise, read_manifest
from videofer.experiments.folds import (
    PROTOCOLS,
    Fold,
    FoldError,
    Plan,
    describe,
    fold_manifest,
    group_names,
    plan_folds,
)
from videofer.training.split import TrainingError, refuse_leaks

CLASSES = ["neutral", "anger", "happiness"]


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = normalise(pd.DataFrame(rows), source="the test")
    return table.assign(key=table.get("key", table["name"]))


def people(num_subjects: int, takes: int = 2, **columns: Any) -> pd.DataFrame:
    rows = [
        {"name": f"s{subject}/{label}_{take}.mp4", "label": label, "subject": f"s{subject}", **columns}
        for subject in range(num_subjects)
        for label in CLASSES
        for take in range(takes)
    ]
    return table_of(rows)


def plan(table: pd.DataFrame, **arguments: Any) -> Plan:
    target = np.array([[label == name for name in CLASSES] for label in table["label"]], dtype=float)
    return plan_folds(table, target.reshape(len(table), len(CLASSES)), CLASSES, **arguments)


def times_tested(folds: tuple[Fold, ...]) -> np.ndarray:
    return np.sum([fold.is_test for fold in folds], axis=0)


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 5000), st.integers(0, 1), st.integers(0, 6)),
        min_size=1,
        max_size=60,
    ),
    protocol=st.sampled_from(PROTOCOLS),
    num_folds=st.integers(2, 5),
    group_by=st.sampled_from([None, "content", "performer"]),
)
def test_nobody_and_no_content_is_ever_on_both_sides(
    rows: list[tuple[int, int, int, int]], protocol: Any, num_folds: int, group_by: str | None
) -> None:
    table = table_of(
        [
            {"name": f"{i}.mp4", "label": CLASSES[label], "subject": f"s{subject}", "key": f"k{key}",
             "content": f"c{content}", "performer": subject // 2, "fold": subject // 2 % 3}
            for i, (subject, key, label, content) in enumerate(rows)
        ]
    )  # fmt: skip
    try:
        made = plan(table, protocol=protocol, num_folds=num_folds, group_by=group_by)
    except FoldError as error:
        assert "\n" not in str(error)
        return
    assert (times_tested(made.folds) == 1).all()  # each row exactly once
    names = np.array(group_names(table, made.column))
    for fold in made.folds:
        assert fold.is_test.any() and not fold.is_test.all()
        for values in (names, table["key"].to_numpy()):
            assert not set(values[fold.is_test]) & set(values[~fold.is_test])
        assert set(table["label"]) == set(table["label"][~fold.is_test])  # every class can be learned
        assert set(fold.groups) == set(names[fold.is_test])
        manifest = fold_manifest(table, made, fold).assign(key=table["key"])
        refuse_leaks(manifest)
        assert list(manifest["subject"]) == list(names)


def test_the_leak_check_of_training_would_see_a_wrong_fold() -> None:
    table = people(4)
    made = plan(table, protocol="loso")
    wrong = Fold(number=1, groups=("s0",), is_test=np.arange(len(table)) < 3)
    with pytest.raises(TrainingError, match="subject 's0' is in the splits test and train"):
        refuse_leaks(fold_manifest(table, made, wrong).assign(key=table["key"]))


def test_kfold_spreads_the_classes_and_depends_on_the_seed_only() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"name": f"{subject}_{i}.mp4", "label": CLASSES[rng.choice(3, p=p)], "subject": f"s{subject}"}
        for subject in range(40)
        for p in [rng.dirichlet([0.5, 0.5, 0.5])]
        for i in range(rng.integers(2, 12))
    ]
    table = table_of(rows)
    made = plan(table, protocol="kfold", num_folds=5)
    overall = table["label"].value_counts()
    for fold in made.folds:
        share = table["label"][fold.is_test].value_counts() / overall
        assert ((share > 0.15) & (share < 0.25)).all()
    again = plan(table, protocol="kfold", num_folds=5)
    other = plan(table, protocol="kfold", num_folds=5, seed=1)
    assert [fold.groups for fold in made.folds] == [fold.groups for fold in again.folds]
    assert [fold.groups for fold in made.folds] != [fold.groups for fold in other.folds]
    shuffled = table.sample(frac=1, random_state=3).reset_index(drop=True)
    mixed = plan(shuffled, protocol="kfold", num_folds=5)
    assert [fold.groups for fold in made.folds] == [fold.groups for fold in mixed.folds]


def test_loso_tests_each_subject_and_those_who_share_a_video_together() -> None:
    table = people(4)
    made = plan(table, protocol="loso")
    assert [fold.groups for fold in made.folds] == [("s0",), ("s1",), ("s2",), ("s3",)]
    table.loc[table["name"] == "s1/anger_0.mp4", "key"] = "shared"
    table.loc[table["name"] == "s3/anger_0.mp4", "key"] = "shared"
    made = plan(table, protocol="loso")
    assert [fold.groups for fold in made.folds] == [("s0",), ("s1", "s3"), ("s2",)]
    assert "3 groups of them that share no video" in made.note
    assert list(describe(made.folds)["num_test"]) == [6, 12, 6]


def test_lopo_goes_by_performer_where_there_is_one() -> None:
    table = people(4)
    assert plan(table, protocol="lopo").column == "subject"
    table["performer"] = [3.0 if subject in ("s0", "s1") else 4.0 for subject in table["subject"]]
    made = plan(table, protocol="lopo")
    assert [fold.groups for fold in made.folds] == [("3",), ("4",)]
    manifest = fold_manifest(table, made, made.folds[0])
    assert set(manifest["subject"]) == {"3", "4"} and set(manifest["given_subject"]) == set(table["subject"])


def test_official_folds_are_the_manifest_s() -> None:
    table = people(6)
    table["fold"] = pd.Series([int(subject[1:]) % 3 + 1 for subject in table["subject"]], dtype="Int64")
    made = plan(table, protocol="official")
    assert [fold.number for fold in made.folds] == [1, 2, 3]
    assert made.folds[0].groups == ("s0", "s3")
    unknown = table.assign(subject=None)
    assert plan(unknown, protocol="official").folds[0].groups == ()
    assert fold_manifest(unknown, made, made.folds[0])["subject"].isna().all()


def test_without_official_folds_the_official_split_is_one_fold_and_said() -> None:
    table = people(5)
    table["split"] = table["subject"].map({"s3": "val", "s4": "test"})
    made = plan(table, protocol="official")
    assert len(made.folds) == 1 and made.folds[0].groups == ("s4",)
    assert "no column 'fold', so the split 'test' is the one fold" in made.note
    manifest = fold_manifest(table, made, made.folds[0])
    assert dict(zip(table["subject"], manifest["split"], strict=True)) == {
        "s0": "train", "s1": "train", "s2": "train", "s3": "val", "s4": "test"
    }  # fmt: skip
    kfold = plan(table, protocol="kfold")
    assert "own split is not used" in kfold.note
    assert set(fold_manifest(table, kfold, kfold.folds[0])["split"]) == {"train", "test"}


def test_a_fold_s_manifest_keeps_every_column_through_the_file(tmp_path: Path) -> None:
    table = people(3, age=7, content='a, "b"')
    table["start"], table["p_anger"] = 0.1 + 0.2, 1 / 3
    made = plan(table, protocol="loso", group_by="subject")
    manifest = fold_manifest(table, made, made.folds[1])
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    read = read_manifest(tmp_path / "manifest.csv", classes=CLASSES)
    for column in ("name", "label", "subject", "split", "start", "p_anger", "content"):
        assert list(read[column]) == list(manifest[column]), column
    assert set(read["age"]) == {"7"} and set(read.loc[read["split"] == "test", "subject"]) == {"s1"}


@pytest.mark.parametrize(
    ("change", "arguments", "match"),
    [
        ({}, {"num_folds": 5}, r"5 folds are more than the 3 values of 'subject': at most 3"),
        ({}, {"num_folds": 1}, "at least 2 folds, not 1"),
        ({"subject": "s0"}, {}, "every row is of subject 's0'"),
        ({"key": "k"}, {}, "every row shares its video with another subject"),
        ({"subject": None}, {}, "the column 'subject' of the manifest is empty: fill it, or"),
        ({}, {"group_by": "contnt"}, r"no column 'contnt'; did you mean 'content'\?"),
        ({}, {"protocol": "loocv"}, "one of kfold, loso, lopo, official, not 'loocv'"),
        ({}, {"protocol": "official"}, "no official folds: no column 'fold', and every split is 'train'"),
        ({"fold": 1}, {"protocol": "official"}, "every row is of fold 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_divided_is_said_in_one_line(
    change: dict[str, Any], arguments: dict[str, Any], match: str
) -> None:
    table = people(3, content="a").assign(**change)
    with pytest.raises(FoldError, match=match) as caught:
        plan(table, **{"protocol": "kfold", **arguments})
    assert "\n" not in str(caught.value)


def test_rows_without_label_group_or_fold_and_classes_that_cannot_be_learned() -> None:
    table = people(3)
    with pytest.raises(FoldError, match="no row has a label of the recipe's classes: neutral, anger"):
        plan(table.iloc[:0], protocol="kfold")
    one_empty = table.copy()
    one_empty.loc[4, "subject"] = None
    with pytest.raises(
        FoldError, match=r"'s0/happiness_0.mp4' has no value in the column 'subject' \(1 of 18"
    ):
        plan(one_empty, protocol="loso")
    one_empty["fold"] = pd.Series([1] * 9 + [2] * 8 + [None], dtype="Int64")
    with pytest.raises(FoldError, match="1 rows have no value in the column 'fold', 's2/happ"):
        plan(one_empty, protocol="official")
    only_s1 = table[(table["label"] != "anger") | (table["subject"] == "s1")].reset_index(drop=True)
    with pytest.raises(FoldError, match=r"fold 2 tests every sample of 'anger' \(s1\), so nobody is left"):
        plan(only_s1, protocol="loso")
    table["fold"] = pd.Series([1, 2] * 9, dtype="Int64")
    with pytest.raises(FoldError, match=r"subject 's0' \(and 2 more\) stands on both sides of fold 1"):
        plan(table, protocol="official")
    table["subject"], table["key"] = None, "same"
    with pytest.raises(FoldError, match=r"the content of 's0/neutral_0.mp4' stands on both sides"):
        plan(table, protocol="official")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=60), st.integers(1, 10))
def test_no_fold_is_empty(rows: list[tuple[int, int]], num_folds: int) -> None:
    group = linked_groups([f"s{subject}" for subject, _ in rows], [str(i) for i in range(len(rows))])
    num_groups = int(group.max()) + 1
    target = np.eye(3)[[label for _, label in rows]]
    fold = balanced_folds(group, target, min(num_folds, num_groups), seed=0)
    assert set(fold) == set(range(min(num_folds, num_groups))) and len(fold) == num_groups
