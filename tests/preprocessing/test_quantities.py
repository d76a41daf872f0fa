"""Times, sizes and counts as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.quantities import as_bytes, as_count, as_hours, as_number, as_share, as_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (as_time(0.0), "0.00 s"),
        (as_time(0.0042), "4 ms"),
        (as_time(0.4231), "0.42 s"),
        (as_time(12.34), "12.3 s"),
        (as_time(245), "4 min 05 s"),
        (as_time(12_000), "3 h 20 min"),
        (as_time(207_360), "2.4 days"),
        (as_time(float("inf")), "unknown"),
        (as_hours(3_600 * 12_345), "12,345 h"),
        (as_bytes(812), "812 B"),
        (as_bytes(3_400), "3.40 kB"),
        (as_bytes(1.234e9), "1.23 GB"),
        (as_bytes(5.5e14), "550 TB"),
        (as_number(0.0123), "0.0123"),
        (as_number(0), "0"),
        (as_share(1, 3), "33 %"),
        (as_share(1, 300), "0.3 %"),
        (as_share(0, 0), "0 %"),
        (as_count(1, "video"), "1 video"),
        (as_count(2_000, "video"), "2,000 videos"),
    ],
)
def test_quantities(text: str, expected: str) -> None:
    assert text == expected


@given(st.floats(min_value=1e-3, max_value=1e12))
def test_no_exponents_and_within_a_percent(value: float) -> None:
    text = as_number(value)
    assert "e" not in text
    assert abs(float(text.replace(",", "")) - value) <= max(0.005 * value, 6e-5)
