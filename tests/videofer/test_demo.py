"""What the demo counts, apart from running it (`make demo` does that, a short form of it in CI)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cache.errors import UserError
from videofer.demo import FULL, SHORT, Figures, _checks, _make_room, order_accuracy, run_demo

GOOD = Figures(
    chance=1 / 7,
    accuracy={"face": 0.7, "body": 0.65, "fused": 0.9},
    order_clip=0.95,
    order_single=0.45,
    order_takes=30,
    time_right=0.9,
)


def failed(figures: Figures) -> list[str]:
    return [check.name for check in _checks(figures, FULL) if not check.passed]


def test_good_figures_pass() -> None:
    assert failed(GOOD) == []
    assert GOOD.gain == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        (replace(GOOD, accuracy={"face": 0.6, "body": 0.6, "fused": 0.79}), "fused accuracy"),
        (replace(GOOD, accuracy={"face": 0.83, "body": 0.6, "fused": 0.9}), "gain of fusion"),
        (replace(GOOD, order_clip=0.89), "order pair, clip model"),
        (replace(GOOD, time_right=0.79), "long video's time right"),
        (replace(GOOD, order_single=0.9), "order pair, single frame, at chance"),
    ],
)
def test_each_floor_is_checked(figures: Figures, name: str) -> None:
    assert failed(figures) == [name]


def test_the_floors_are_those_that_were_promised() -> None:
    assert (FULL.fused_floor, FULL.gain_floor, FULL.order_floor, FULL.time_floor) == (0.8, 0.08, 0.9, 0.8)
    assert SHORT.fused_floor > 2 / 7, "the short form still must learn something"


def test_order_accuracy_counts_the_pair_only_where_the_face_shows_it() -> None:
    table = pd.DataFrame(
        {
            "name": ["a", "b", "c", "d"],
            "label": ["fear", "surprise", "fear", "anger"],
            "face_p_fear": [0.2, 0.3, 0.0, 0.9],
            "face_p_surprise": [0.1, 0.2, 0.5, 0.0],
        }
    )
    assert order_accuracy(table, {"a", "b", "d"}) == (0.5, 2)


def test_an_occupied_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "something").touch()
    with pytest.raises(UserError, match="'something'"):
        run_demo(tmp_path)
    assert (tmp_path / "data").exists(), "nothing is removed beside a stranger"


def test_an_earlier_demo_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store" / "shards").mkdir(parents=True)
    (tmp_path / "demo.json").touch()
    _make_room(tmp_path)
    assert list(tmp_path.iterdir()) == []
