from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from videofer.emotions import EMOTIONS
from videofer.timeline.circumplex import POSITIONS, valence_arousal, without_position


def test_every_canonical_emotion_has_a_position() -> None:
    assert set(POSITIONS) == set(EMOTIONS)
    assert without_position(EMOTIONS) == ()


def test_positions_lie_where_the_circumplex_has_them() -> None:
    quadrants = {name: tuple(np.sign(at)) for name, at in POSITIONS.items() if name != "neutral"}
    assert quadrants["happiness"] == quadrants["surprise"] == quadrants["interest"] == (1, 1)
    assert quadrants["anger"] == quadrants["fear"] == quadrants["disgust"] == (-1, 1)
    assert quadrants["sadness"] == quadrants["boredom"] == (-1, -1)
    assert quadrants["calm"] == (1, -1)
    # Published figures: Russell and Mehrabian 1977, angry, disgusted, fearful, happy, sad, surprised.
    published = [(-0.51, 0.59), (-0.60, 0.35), (-0.64, 0.60), (0.81, 0.51), (-0.63, -0.27), (0.40, 0.67)]
    basic = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    assert [POSITIONS[name] for name in basic] == published
    assert POSITIONS["neutral"] == (0, 0)


def test_a_row_lies_at_the_mean_of_its_classes() -> None:
    p = np.array([[1.0, 0.0], [0.25, 0.75], [np.nan, np.nan]])
    points = valence_arousal(p, ("Happy", "neutral"))  # as other data sets call them
    np.testing.assert_allclose(points[:2], [[0.81, 0.51], [0.2025, 0.1275]])
    assert np.isnan(points[2]).all()


def test_a_class_without_a_position_leaves_the_point_unknown() -> None:
    points = valence_arousal(np.array([[0.5, 0.5]]), ("anger", "ennui"))
    assert np.isnan(points).all()
    assert without_position(("anger", "ennui", "awe")) == ("ennui", "awe")


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_points_stay_within_the_positions(seed: int) -> None:
    p = np.random.default_rng(seed).dirichlet(np.full(len(EMOTIONS), 0.1), 20).astype(np.float32)
    points, positions = valence_arousal(p, EMOTIONS), np.array(list(POSITIONS.values()))
    assert points.shape == (20, 2)
    assert (points >= positions.min(axis=0) - 1e-6).all()
    assert (points <= positions.max(axis=0) + 1e-6).all()


def test_probabilities_that_do_not_fit_fail() -> None:
    with pytest.raises(ValueError, match="3 classes"):
        valence_arousal(np.ones((4, 2)), ("anger", "fear", "neutral"))
