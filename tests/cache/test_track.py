from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cache.track import ends_of


def test_a_frame_ends_where_nothing_more_is_decoded() -> None:
    pts = np.array([0, 40, 80, 400, 440])
    assert ends_of(pts, 480).tolist() == [40, 80, 400, 440, 480]
    assert ends_of(pts, 480, [(120, 400)]).tolist() == [40, 80, 120, 440, 480]
    assert ends_of(pts, 480, [(-90, 0), (50, 80), (460, 500)]).tolist() == [40, 50, 400, 440, 460]
    assert ends_of(np.empty(0, np.int64), 480, [(1, 2)]).tolist() == []


@given(st.sets(st.integers(0, 300), min_size=1, max_size=30), st.integers(0, 300), st.integers(1, 60))
def test_no_frame_is_shown_where_nothing_was_decoded(stamps: set[int], start: int, length: int) -> None:
    pts = np.array(sorted(p for p in stamps if not start <= p < start + length), np.int64)
    ends = ends_of(pts, 400, [(start, start + length)])
    assert (ends > pts).all() and (ends[:-1] <= pts[1:]).all()
    for begin, end in zip(pts, ends, strict=True):
        assert end <= start or begin >= start + length
