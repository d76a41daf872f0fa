"""Agreement of two sides: whom it picks, and figures pinned against scikit-learn and by hand."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import accuracy_score, cohen_kappa_score

from cache.errors import UserError
from tests.videofer.timeline_examples import example_timeline
from videofer.annotations.agreement import NO_ANSWER, agreement
from videofer.annotations.agreement_plot import plot_agreement
from videofer.annotations.intervals import AnnotationError
from videofer.annotations.sides import Choice, Reading, Side, open_sides
from videofer.formats.write import write_exports
from videofer.timeline.compare import merge_labels

ANY = (Choice(), Choice())


def csv(path: Path, *rows: str, header: str = "start,end,label,person") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def side(*rows: tuple[float, float, str], title: str = "x", silent_end: float = 0.0) -> Side:
    labels = merge_labels(pd.DataFrame(rows, columns=["t_start", "t_end", "label"]))
    end = float(labels["t_end"].max()) + silent_end
    return Side(title=title, kind="annotation", labels=labels, segments=labels, duration_seconds=end)


def tiled(labels: list[str], step: float = 0.1) -> Side:
    return side(*((i * step, (i + 1) * step, label) for i, label in enumerate(labels) if label))


WORDS = st.lists(st.sampled_from(["anger", "fear", "neutral", ""]), min_size=6, max_size=40)


@settings(max_examples=80)
@given(st.tuples(WORDS, WORDS))
def test_figures_by_time_are_those_of_scikit_learn(words: tuple[list[str], list[str]]) -> None:
    """On a common grid of 0.1 s, agreement over time is agreement over the cells."""
    size = min(map(len, words))
    a, b = np.array(words[0][:size], dtype=object), np.array(words[1][:size], dtype=object)
    both = (a != "") & (b != "")
    if not both.any():
        return
    found = agreement(tiled(list(a)), tiled(list(b)))
    assert found.seconds_compared == pytest.approx(0.1 * both.sum())
    assert found.seconds_reference == pytest.approx(0.1 * (b != "").sum())
    assert found.share_same == pytest.approx(accuracy_score(b[both], a[both]))
    if len(set(a[both]) | set(b[both])) > 1:
        assert found.kappa == pytest.approx(
            cohen_kappa_score(b[both].astype(str), a[both].astype(str)), abs=1e-9
        )
    else:
        assert math.isnan(found.kappa)
    for label in found.labels:
        assert label.seconds_both == pytest.approx(0.1 * ((a == label.label) & (b == label.label)).sum())
    silent = (b != "") & (a == "")
    assert found.confusion[NO_ANSWER].sum() == pytest.approx(0.1 * silent.sum())


def test_segments_and_onsets_by_hand() -> None:
    reference = side(
        (0, 2, "neutral"), (2, 5, "anger"), (5, 8, "neutral"), (8, 10, "fear"), (10, 12, "anger")
    )
    said = side((0, 2.3, "neutral"), (2.3, 5.5, "anger"), (5.5, 9.4, "neutral"), (9.4, 10, "fear"),
                (10, 12, "sadness"))  # fmt: skip
    found = agreement(said, reference)
    # anger matches (2.7 of 3.5 s), fear does not (0.6 of 2 s), nor anger at 10 s, which was called sadness
    assert (found.segments.num_matched, found.segments.num_truth, found.segments.num_said) == (1, 3, 3)
    assert found.segments.f1 == pytest.approx(1 / 3)
    assert found.onsets["error_seconds"].tolist() == pytest.approx([0.3, 1.4])
    assert found.onset_lag_seconds == pytest.approx(0.85)
    assert found.share_same == pytest.approx((2 + 2.7 + 2.5 + 0.6) / 12)


def test_tolerance_leaves_out_what_is_near_a_change_of_the_reference() -> None:
    reference = side((0, 2, "neutral"), (2, 5, "anger"))
    said = side((0, 2.2, "neutral"), (2.2, 5, "anger"))
    assert agreement(said, reference).share_same == pytest.approx(4.8 / 5)
    found = agreement(said, reference, tolerance_seconds=0.25)
    assert found.share_same == pytest.approx(1.0) and found.seconds_compared == pytest.approx(4.0)
    with pytest.raises(UserError, match="no time in common that counts"):
        agreement(said, reference, tolerance_seconds=3)


def test_without_common_time_there_is_no_agreement() -> None:
    with pytest.raises(UserError, match="a and b have no time in common"):
        agreement(side((0, 1, "anger"), title="a"), side((1, 2, "anger"), title="b"))


def test_what_is_said_outside_the_reference_is_no_false_alarm() -> None:
    reference = side((5, 8, "anger"), (8, 20, "neutral"))
    said = side((0, 3, "fear"), (5, 8, "anger"), (21, 22, "fear"))
    assert agreement(said, reference).segments.num_said == 1


def test_a_timeline_and_what_it_exports_agree_wholly(tmp_path: Path) -> None:
    timeline = example_timeline(names=("Anna", "Ben"))
    write_exports(timeline, tmp_path, "x", ["parquet", "csv", "eaf"])
    for name in ("x.parquet", "x.csv"):
        said, reference = open_sides(
            (tmp_path / name, tmp_path / "x.eaf"), (Choice("Ben"), Choice()), Reading()
        )
        assert (said.kind, reference.kind) == ("timeline", "annotation")
        assert said.title == f"{name}, Ben" and reference.title == "x.eaf, Ben"
        found = agreement(said, reference)
        assert found.segments.f1 == 1.0 and abs(found.onset_lag_seconds) < 1e-3
        assert found.share_same > 0.9 and found.kappa > 0.85  # segments are not the rows
    assert said.notes[0].endswith("a CSV does not keep the timeline's own")


def test_csv_and_parquet_of_a_timeline_give_the_same(tmp_path: Path) -> None:
    timeline = example_timeline()
    write_exports(timeline, tmp_path, "x", ["parquet", "csv"])
    truth = csv(tmp_path / "t.csv", "1,3,anger,", "3,6,neutral,", "6,9,sad,")
    found = [
        agreement(*open_sides((tmp_path / name, truth), ANY, Reading())) for name in ("x.csv", "x.parquet")
    ]
    pd.testing.assert_frame_equal(found[0].confusion, found[1].confusion)
    pd.testing.assert_frame_equal(found[0].onsets, found[1].onsets)
    assert found[0].segments == found[1].segments and found[0].kappa == pytest.approx(found[1].kappa)


def test_who_is_meant(tmp_path: Path) -> None:
    timeline = example_timeline(names=("Anna", "Ben"))
    timeline.save(tmp_path / "t.parquet")
    paths = (tmp_path / "t.parquet", csv(tmp_path / "a.csv", "2,5,anger,BEN"))
    said, _ = open_sides(paths, ANY, Reading())
    assert said.title == "t.parquet, Ben"  # because the annotation is about Ben
    paths = (tmp_path / "t.parquet", csv(tmp_path / "a.csv", "2,5,anger,"))
    assert open_sides(paths, ANY, Reading())[0].title == "t.parquet, Anna"  # seen longest
    assert open_sides(paths, (Choice("1"), Choice("1")), Reading())[0].title == "t.parquet, Ben"
    with pytest.raises(UserError, match=r"no person 'Zoe' \(there: 0 'Anna', 1 'Ben'\)"):
        open_sides(paths, (Choice("Zoe"), Choice("Zoe")), Reading())
    both = (tmp_path / "t.parquet", csv(tmp_path / "b.csv", "2,5,anger,Ben", "2,5,fear,Anna", "7,8,fear,Zoe"))
    assert open_sides(both, ANY, Reading())[1].labels["label"].tolist() == ["fear"]
    with pytest.raises(AnnotationError, match="it is about 'Ben', 'Zoe'; choose with --person or --tier"):
        two = csv(tmp_path / "c.csv", "2,5,anger,Ben", "7,8,fear,Zoe")
        open_sides((tmp_path / "t.parquet", two), ANY, Reading())


def test_tiers_raters_and_videos(tmp_path: Path) -> None:
    header = "start,end,label,tier,rater,video"
    rows = ("0,2,anger,face,KL,a.mp4", "1,3,fear,face,MN,a.mp4", "4,5,calm,voice,KL,b.mp4")
    path = csv(tmp_path / "a.csv", *rows, header=header)
    choices = (Choice(rater="KL", video="a.mp4"), Choice(rater="MN", video="a.mp4"))
    first, second = open_sides((path, path), choices, Reading())
    assert first.labels["label"].tolist() == ["anger"] and second.labels["label"].tolist() == ["fear"]
    assert agreement(first, second).share_same == 0.0
    voice = open_sides((path, path), (Choice(tier="voice"), Choice(tier="voice")), Reading())[0]
    assert voice.labels["label"].tolist() == ["calm"] and voice.title == "a.csv, voice"
    for choice, words in (
        (Choice(rater="XY"), "no rater 'XY' (there: 'KL', 'MN')"),
        (Choice(), "about 2 videos; say which one: --video a.mp4"),
        (Choice(video="c.mp4"), "the video 'c.mp4' is not among the 2 videos"),
        (Choice(video="a.mp4"), "'anger' and 'fear' are said of the same time at 1 s"),
    ):
        with pytest.raises(AnnotationError) as caught:
            open_sides((path, path), (choice, choice), Reading())
        assert words in str(caught.value)


def test_overlaps_of_rounding_are_none_and_same_labels_join(tmp_path: Path) -> None:
    path = csv(tmp_path / "a.csv", "0,1.001,anger,", "1,2,fear,", "1.5,3,fear,", "3,4,fear,", "4,4,calm,")
    labels = open_sides((path, path), ANY, Reading())[0].labels
    assert labels.to_numpy().tolist() == [[0.0, 1.001, "anger"], [1.001, 4.0, "fear"]]


def test_gaps_may_be_neutral(tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=1)
    timeline.save(tmp_path / "t.parquet")
    path = csv(tmp_path / "a.csv", "2,5,anger,", "8,9,sad,")
    _, reference = open_sides((tmp_path / "t.parquet", path), ANY, Reading())
    assert reference.notes == (
        "a.csv: 8.0 of 12.0 s have no label and do not count (--gaps neutral takes them as neutral)",
    )
    _, reference = open_sides((tmp_path / "t.parquet", path), ANY, Reading(), "neutral")
    assert reference.labels["label"].tolist() == ["neutral", "anger", "neutral", "sadness", "neutral"]
    assert (reference.labels["t_start"].iloc[0], reference.labels["t_end"].iloc[-1]) == (0.0, 12.0)


def test_abstention_and_absence_are_no_answers(tmp_path: Path) -> None:
    timeline = example_timeline(num_persons=1)
    rows = timeline.rows.copy()
    rows.loc[rows["t_start"] < 2, "label"] = "uncertain"
    replace(timeline, rows=rows).save(tmp_path / "t.parquet")
    path = csv(tmp_path / "a.csv", "0,12,neutral,")
    found = agreement(*open_sides((tmp_path / "t.parquet", path), ANY, Reading()))
    # 2 s uncertain, 0.4 s without a prediction, the last second without anybody
    assert found.confusion[NO_ANSWER].sum() == pytest.approx(3.4, abs=0.21)
    assert found.seconds_reference == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "person,t_start,t_end,state,label,confidence,p_anger\n0,0,x,ok,anger,1,1\n",
            "not the rows of a timeline",
        ),
        ("person,t_start,t_end,state,label,confidence,p_anger\n", "a timeline has rows"),
        (
            "person,t_start,t_end,state,label,confidence,p_anger\n,0,1,no_person,no_person,,\n",
            "nobody is seen",
        ),
    ],
)
def test_broken_tables_of_a_timeline(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        open_sides((tmp_path / "t.csv", csv(tmp_path / "a.csv", "0,1,anger,")), ANY, Reading())


def picture(said: Side, reference: Side) -> np.ndarray:
    file = io.BytesIO()
    plot_agreement(agreement(said, reference), said, reference, file)
    return np.asarray(Image.open(file).convert("RGB"))


def test_the_picture_shows_both_sides_and_where_they_differ() -> None:
    said = side((0, 5, "anger"), (5, 10, "fear"), title="said $x^$ <b> 鐘")
    reference = side((0, 5, "anger"), (5, 10, "happiness"), title="truth" * 40)
    pixels = picture(said, reference)
    assert pixels.shape[1] == 2100
    for shade in ((0xD5, 0x5E, 0x00), (0x7A, 0x3E, 0x9D), (0xE8, 0xB4, 0x00), (0x3A, 0x3F, 0x46)):
        place = np.argwhere((pixels == shade).all(axis=2))
        assert len(place) > 500, shade
    dark = np.argwhere((pixels[:700] == (0x3A, 0x3F, 0x46)).all(axis=2))[:, 1]
    assert dark.min() > pixels.shape[1] * 0.5  # they differ in the second half only


def test_the_picture_of_little_and_of_much() -> None:
    """No segment at all; hours with thousands of labels; every emotion there is."""
    quiet = side((0, 1, "neutral"))
    assert picture(quiet, quiet).ndim == 3
    names = ["anger", "fear", "calm", "pride", "shame", "boredom", "my own word"]
    rng = np.random.default_rng(0)
    edges = np.arange(0, 7200, 3.0)
    many = [side(*((t, t + 3, names[rng.integers(7)]) for t in edges)) for _ in range(2)]
    assert picture(*many).ndim == 3


def test_a_timeline_agrees_with_itself(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    example_timeline().save(path)
    found = agreement(*open_sides((path, path), (Choice("1"), Choice("person 1")), Reading()))
    assert found.share_same == 1.0 and found.kappa == pytest.approx(1.0) and found.segments.f1 == 1.0
    assert set(found.onsets["error_seconds"]) == {0.0}
    json.dumps(found.to_json(), allow_nan=False)
