"""The design of the data: what the ideal observer can know, and what must stay at chance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from videofer.synthetic.acting import body_poses, face_actions, loop_position
from videofer.synthetic.face import ACTION
from videofer.synthetic.script import (
    INTENSITY_FLOOR,
    LABELS,
    ORDER_PAIR,
    Episode,
    Script,
    draw_episode,
    hidden_shares,
)
from videofer.synthetic.subjects import draw_subject
from videofer.synthetic.takes import Take, plan_long, plan_takes
from videofer.synthetic.truth import Truth, ceilings, ideal_credit, order_pair_ceilings, shuffle_labels


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    return plan_takes(seed=0)


def _episode(label: str, seed: int) -> Episode:
    return draw_episode(label, 0.2, 2.4, np.random.default_rng(seed))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(0.8, 1.3))
def test_active_interval_is_where_the_intensity_reaches_the_floor(seed: int, tempo: float) -> None:
    episode = draw_episode("anger", 0.2, 2.4, np.random.default_rng(seed), tempo=tempo)
    start, end = episode.active_interval()
    edges = np.array([start - 1e-3, start + 1e-3, end - 1e-3, end + 1e-3])
    assert list(episode.intensity(edges) >= INTENSITY_FLOOR) == [False, True, True, False]
    assert episode.intensity(np.array([0.0, 0.2, 1.3, 2.4, 3.0])).tolist() == [0, 0, 1, 0, 0]


def test_plan_is_balanced_and_splits_by_subject(takes: list[Take]) -> None:
    assert len(takes) == 280
    assert set(Counter(t.label for t in takes).values()) == {40}
    subjects = {split: {t.subject.name for t in takes if t.split == split} for split in ("train", "test")}
    assert len(subjects["test"]) == 3 and not subjects["test"] & subjects["train"]
    assert len({t.path for t in takes}) == len(takes)
    assert plan_takes(seed=0) == takes
    assert plan_takes(seed=1) != takes


def test_never_are_face_and_body_both_hidden(takes: list[Take]) -> None:
    for take in takes:
        for episode in take.script.episodes:
            assert episode.face_shown or episode.body_shown
            assert episode.face_shown or take.label not in ORDER_PAIR
    emotional = [t for t in takes if t.label not in (*ORDER_PAIR, "neutral")]
    masked = np.mean([not t.script.episodes[0].face_shown for t in emotional])
    assert masked == pytest.approx(hidden_shares("anger")[0], abs=0.02)


def test_ceilings_make_fusion_earn_its_gain(takes: list[Take]) -> None:
    for split in ("train", "test"):
        some = [t for t in takes if t.split == split]
        best = ceilings(some)
        assert 0.70 <= best["face"] <= 0.80
        assert 0.60 <= best["body"] <= 0.72
        assert best["fused"] >= 0.94
        pair = order_pair_ceilings(some)
        assert pair["face"] == pair["fused"] == 1.0
        assert pair["single_frame_face"] == 0.5
        assert pair["body"] <= 0.5
    with pytest.raises(ValueError, match="no take has a label"):
        ceilings([], ("anger",))


@pytest.mark.parametrize(
    ("label", "face", "body", "modality", "credit"),
    [
        ("anger", True, True, "face", 0.5),  # looks like disgust
        ("anger", True, True, "body", 0.5),  # looks like happiness
        ("anger", True, True, "fused", 1.0),
        ("anger", False, True, "face", 0.0),  # taken for neutral
        ("happiness", False, True, "fused", 0.5),
        ("disgust", True, False, "fused", 0.5),
        ("neutral", True, True, "fused", 1.0),
        ("fear", True, True, "single_frame_face", 0.5),
    ],
)
def test_ideal_observer(label: str, face: bool, body: bool, modality: str, credit: float) -> None:
    assert ideal_credit(label, face, body, modality) == credit  # type: ignore[arg-type]


def _order_features(t_pairs: float, num: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Facial actions at one instant (t_pairs 0), or at two instants so many seconds apart."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for index in range(num):
        label = ORDER_PAIR[index % 2]
        script = Script(duration=2.6, episodes=(_episode(label, seed + index),), seed=index)
        first = rng.uniform(*((0.0, 2.5) if t_pairs == 0 else (0.5, 1.9)))  # one frame: also at the ends
        instants = np.array([first] if t_pairs == 0 else [first, first + t_pairs])
        rows.append(np.append(face_actions(script, instants).ravel(), first))
        labels.append(index % 2)
    return np.array(rows), np.array(labels)


def _held_out_accuracy(t_pairs: float) -> float:
    features, labels = _order_features(t_pairs, 3000, seed=int(t_pairs * 1000))
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0, n_jobs=1)
    forest.fit(features[:2000], labels[:2000])
    return float(forest.score(features[2000:], labels[2000:]))


def test_order_pair_is_at_chance_for_one_frame_and_its_time() -> None:
    assert abs(_held_out_accuracy(0.0) - 0.5) < 0.05


@pytest.mark.parametrize("gap_seconds", [0.08, 0.12, 0.16])
def test_order_pair_is_told_by_two_frames(gap_seconds: float) -> None:
    assert _held_out_accuracy(gap_seconds) > 0.93


def test_fear_is_surprise_backwards() -> None:
    """The same faces, mirrored in time about the instant at which both begin."""
    t = np.linspace(0.5, 2.0, 40)
    surprise, fear = _episode("surprise", 5), _episode("fear", 5)
    assert surprise.start == fear.start and surprise.loop_hz == fear.loop_hz
    forth, back = loop_position(surprise, t), loop_position(fear, 2 * fear.start - t)
    assert np.allclose(forth, back)
    rising = np.diff(loop_position(surprise, np.linspace(0.5, 5.5, 2000))[1])
    assert rising.max() > 3 * -rising.min(), "surprise opens fast and fades slowly"


def _equal(pair: list[NDArray[np.float64]]) -> bool:
    first, second = pair
    return bool(np.allclose(first, second, rtol=0, atol=1e-12))


@pytest.mark.parametrize(("first", "second"), [("anger", "disgust")])
def test_shared_faces_are_equal(first: str, second: str) -> None:
    t = np.linspace(0, 2.6, 50)
    scripts = [Script(duration=2.6, episodes=(_episode(label, 7),), seed=1) for label in (first, second)]
    assert _equal([face_actions(script, t) for script in scripts])
    subject = draw_subject(0, 0)
    assert not _equal([body_poses(script, subject, t) for script in scripts])


@pytest.mark.parametrize(("first", "second"), [("anger", "happiness"), ("fear", "surprise")])
def test_shared_bodies_are_equal(first: str, second: str) -> None:
    t = np.linspace(0, 2.6, 50)
    subject = draw_subject(0, 0)
    scripts = [Script(duration=2.6, episodes=(_episode(label, 7),), seed=1) for label in (first, second)]
    assert _equal([body_poses(script, subject, t) for script in scripts])
    assert not _equal([face_actions(script, t) for script in scripts])


def test_masked_face_is_neutral_while_the_body_acts() -> None:
    t = np.linspace(0, 2.6, 50)
    rng = np.random.default_rng(3)
    episode = draw_episode("happiness", 0.2, 2.4, rng, face_shown=False)
    script = Script(duration=2.6, episodes=(episode,), seed=2)
    neutral = Script(duration=2.6, episodes=(), seed=2)
    assert np.array_equal(face_actions(script, t), face_actions(neutral, t))
    subject = draw_subject(0, 0)
    assert np.abs(body_poses(script, subject, t) - body_poses(neutral, subject, t)).max() > 30
    assert face_actions(neutral, t)[:, ACTION["mouth_open"]].max() == 0


def test_long_video_holds_what_it_promises() -> None:
    take = plan_long(fps=25, size_wh=(320, 384), seed=0, num_subjects=10)
    labels = [episode.label for episode in take.script.episodes]
    assert take.duration == 30.0 and take.split == "test"
    assert len(labels) >= 5 and set(ORDER_PAIR) < set(labels)
    assert all(3.0 <= e.end - e.start <= 4.0 and e.face_shown and e.body_shown for e in take.script.episodes)
    truth = Truth.of_script(take.script)
    table = truth.table
    assert table["t_start"].iloc[0] == 0 and table["t_end"].iloc[-1] == 30.0
    assert np.array_equal(table["t_start"].to_numpy()[1:], table["t_end"].to_numpy()[:-1])
    assert set(table["label"][::2]) == {"neutral"}
    middle = np.array([(e.start + e.end) / 2 for e in take.script.episodes])
    assert truth.label_at(middle).tolist() == labels
    assert len(truth.changes()) == 2 * len(labels)


def test_truth_outside_the_video_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    truth = Truth.of_script(Script(duration=2.0, episodes=(), seed=0))
    with pytest.raises(ValueError, match="not all in"):
        truth.label_at(np.array([2.0]))
    path = tmp_path_factory.mktemp("truth") / "t.csv"
    truth.save(path)
    assert Truth.load(path).table["label"].tolist() == ["neutral"]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="t_start"):
        Truth.load(path)


def test_shuffled_labels_keep_counts_and_break_the_link() -> None:
    manifest = pd.DataFrame(
        {"path": range(140), "label": list(LABELS) * 20, "split": ["train"] * 70 + ["test"] * 70}
    )
    shuffled = shuffle_labels(manifest, 0)
    for split in ("train", "test"):
        rows = manifest["split"] == split
        assert Counter(shuffled.loc[rows, "label"]) == Counter(manifest.loc[rows, "label"])
    assert (shuffled["label"] == manifest["label"]).mean() < 0.3
    assert manifest["label"].tolist() == list(LABELS) * 20  # the original is untouched
    assert shuffle_labels(manifest, 0).equals(shuffled)
    assert not shuffle_labels(manifest, 1).equals(shuffled)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_subjects": 1}, "num_subjects is 1"),
        ({"takes_per_class": 0}, "takes_per_class is 0"),
        ({"take_seconds": 0.5}, "take_seconds is 0.5"),
        ({"fps": 5}, "fps is 5"),
        ({"size_wh": (321, 384)}, "size_wh is"),
        ({"size_wh": (64, 64)}, "size_wh is"),
    ],
)
def test_impossible_sizes_fail(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_takes(**arguments)  # type: ignore[arg-type]
