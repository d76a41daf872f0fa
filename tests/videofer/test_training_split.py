"""Validation is carved by subject, and nobody is ever on two sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_store import make_training_store, small_recipe

from videofer.data.examples import Example
from videofer.training.split import Split, TrainingError, carve_validation, prepare, refuse_leaks


def example(row: int, subject: str, label: int, key: str | None = None) -> Example:
    return Example(
        key=key or f"{row:032x}", person_id=0, t_start=0.0, t_end=1.0, subject=subject, row=row, label=label,
        target=np.eye(3, dtype=np.float32)[label],
    )  # fmt: skip


def people(num: int) -> list[Example]:
    return [example(row, f"s{row // 6}", row % 3) for row in range(6 * num)]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=40
    ),
    fraction=st.floats(0.05, 0.9),
    seed=st.integers(0, 100),
)
def test_no_subject_and_no_video_is_on_both_sides(
    rows: list[tuple[int, int, int]], fraction: float, seed: int
) -> None:
    examples = [example(i, f"s{s}", label, key=f"v{v}") for i, (s, v, label) in enumerate(rows)]
    recipe = small_recipe(val_subjects=None, val_fraction=fraction, seed=seed).training
    try:
        train, val = carve_validation(examples, recipe)
    except TrainingError as error:
        assert "another subject is needed" in str(error)
        return
    assert train and val
    assert sorted(e.row for e in train + val) == list(range(len(examples)))
    assert not {e.subject for e in train} & {e.subject for e in val}
    assert not {e.key for e in train} & {e.key for e in val}


def test_share_is_met_and_the_draw_depends_on_the_seed_only() -> None:
    recipe = small_recipe(val_subjects=None, val_fraction=0.2).training
    _, val = carve_validation(people(10), recipe)
    assert len(val) == 12 and len({e.label for e in val}) == 3
    again = carve_validation(people(10)[::-1], recipe)
    assert {e.row for e in again[1]} == {e.row for e in val}
    draws = {
        carve_validation(people(10), recipe.model_copy(update={"seed": seed}))[1][0].subject
        for seed in range(9)
    }
    assert len(draws) > 1


def test_named_subjects_validate() -> None:
    train, val = carve_validation(people(3), small_recipe(val_subjects=["s1"]).training)
    assert {e.subject for e in val} == {"s1"} and {e.subject for e in train} == {"s0", "s2"}


@pytest.mark.parametrize(
    ("wanted", "match"),
    [(["s11"], "no training subject 's11'; did you mean 's1'"), (["s0", "s1"], "nobody"), ([], "nobody")],
)
def test_named_subjects_fail(wanted: list[str], match: str) -> None:
    with pytest.raises(TrainingError, match=match):
        carve_validation(people(2), small_recipe(val_subjects=wanted).training)


def test_one_subject_alone_cannot_be_validated() -> None:
    with pytest.raises(TrainingError, match="another subject is needed"):
        carve_validation(people(1), small_recipe(val_subjects=None).training)


@pytest.mark.parametrize(
    ("column", "match"),
    [("subject", "subject 'a' is in the splits test and train"), ("key", "the content of")],
)
def test_leaks_are_refused(column: str, match: str) -> None:
    table = pd.DataFrame(
        {
            "name": ["x.mp4", "y.mp4"],
            "subject": ["a", "b"],
            "key": ["k", "l"],
            "split": [None, "test"],
        }
    )
    refuse_leaks(table)
    table.loc[1, column] = table.loc[0, column]
    with pytest.raises(TrainingError, match=match):
        refuse_leaks(table)


def test_prepare_keeps_the_test_split_out(tmp_path: Path) -> None:
    make_training_store(tmp_path / "s", num_subjects=4)
    prepared = prepare(small_recipe(val_subjects=["s2"]), tmp_path / "s", None)
    used = prepared.split.used()["subjects"]
    assert used == {"train": ["s0", "s1"], "val": ["s2"]}
    assert prepared.contract["crop_size"] == 48 and prepared.unused == []


def test_prepare_says_what_it_could_not_use(tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "s", num_subjects=4)
    table = store.manifest()
    assert table is not None
    table.loc[0, "label"] = "boredom"
    manifest = tmp_path / "labels.csv"
    extra = pd.DataFrame([{"name": "gone.mp4", "label": "anger", "subject": "s0", "split": "train"}])
    pd.concat([table, extra]).to_csv(manifest, index=False)
    unused = prepare(small_recipe(val_subjects=["s2"]), tmp_path / "s", manifest).unused
    assert len(unused) == 2 and "gone.mp4" in unused[0] and "boredom" in unused[1]


def test_prepare_fails_without_anything_to_train_on(tmp_path: Path) -> None:
    store = make_training_store(tmp_path / "s", num_subjects=2)
    store.write_manifest(pd.DataFrame({"name": ["s0/anger_0.mp4"], "label": ["anger"], "split": ["test"]}))
    with pytest.raises(TrainingError, match="no labelled interval to train on"):
        prepare(small_recipe(), tmp_path / "s", None)


def test_fingerprint_sees_every_change() -> None:
    split = Split(train=people(2), val=people(1))
    assert split.fingerprint() == Split(train=people(2), val=people(1)).fingerprint()
    other = Split(train=[replace(split.train[0], t_end=0.5), *split.train[1:]], val=split.val)
    assert other.fingerprint() != split.fingerprint()
