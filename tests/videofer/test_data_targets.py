"""What a row says: shares of classes, ratings on the scale that it states, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from videofer.data.targets import TargetSpec, dimensions_of, target_of
from videofer.datasets.manifest import ManifestError

CLASSES = ("neutral", "anger", "happiness")
MULTI = TargetSpec(CLASSES, targets="multi", dimensions=("valence", "arousal"))


def row(**values: Any) -> dict[str, Any]:
    return {"name": "a.mp4", "label": None, **values}


def test_shares_of_several_classes_stay_as_they_are() -> None:
    found = target_of(row(p_neutral=0.75, p_anger=0.5), MULTI)
    np.testing.assert_array_equal(found, np.float32([0.75, 0.5, 0.0]))
    np.testing.assert_array_equal(target_of(row(p_anger=0.0), MULTI), np.zeros(3))  # nobody saw any
    np.testing.assert_array_equal(target_of(row(label="anger"), MULTI), np.float32([0, 1, 0]))
    single = target_of(row(p_neutral=0.75, p_anger=0.5), TargetSpec(CLASSES))
    assert isinstance(single, np.ndarray)
    np.testing.assert_allclose(single, [0.6, 0.4, 0.0], rtol=1e-6)
    assert "outside the recipe's classes" in target_of(row(p_anger=0.0), TargetSpec(CLASSES))


def test_counts_of_raters_are_no_shares() -> None:
    with pytest.raises(ManifestError, match=r"a\.mp4: p_anger is 3, but data.targets multi needs shares"):
        target_of(row(p_anger=3.0), MULTI)


@given(st.integers(-9, 9), st.integers(1, 20), st.floats(0, 1))
def test_a_scale_is_brought_to_one(low: int, length: int, place: float) -> None:
    values = {"valence": low + place * length, "dimension_scale": f"{low} to {low + length}"}
    valence, arousal = dimensions_of(row(**values), MULTI)
    assert valence == pytest.approx(2 * place - 1, abs=1e-5) and np.isnan(arousal)


def test_without_a_scale_they_lie_between_minus_one_and_one() -> None:
    np.testing.assert_allclose(dimensions_of(row(valence=-0.5, arousal="0.25"), MULTI), [-0.5, 0.25])
    assert dimensions_of(row(valence=1.0), TargetSpec(CLASSES)).shape == (0,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"valence": 5.5},
            r"valence is '5.5', not a number from -1 to 1; another scale is stated by a column",
        ),
        ({"valence": 0.5, "dimension_scale": "1 to 9"}, "valence is '0.5', not a number from 1 to 9"),
        ({"valence": "high"}, "valence is 'high', not a number from -1 to 1"),
        ({"valence": 2, "dimension_scale": "1-9"}, "dimension_scale is '1-9', not like '1 to 9'"),
        ({"valence": 2, "dimension_scale": "9 to 1"}, "dimension_scale is '9 to 1', not like '1 to 9'"),
    ],
)
def test_what_is_not_on_its_scale_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        dimensions_of(row(**values), MULTI)
