from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.videofer.several_examples import CLASSES, several_timeline
from tests.videofer.test_timeline_plot import faces, pixels
from videofer.emotions import colour
from videofer.timeline.plot import plot_timeline
from videofer.timeline.plot_parts import AXIS_WIDTH, DPI, LEFT, TOP
from videofer.timeline.plot_several import FULL, ROW_HEIGHT, row_height

SECONDS = 12.0
HAPPINESS = 0  # the first class: the row on top


def rgb(name: str) -> np.ndarray:
    text = colour(name, CLASSES)
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)])


def row_of(image: np.ndarray, place: int, t: float) -> np.ndarray:
    """The pixels (h, 3) of a class's row at a time, from its ground up to probability 1."""
    ground = (TOP + (place + 1) * ROW_HEIGHT) * DPI
    x = round((LEFT + AXIS_WIDTH * t / SECONDS) * DPI)
    return image[round(ground - FULL * ROW_HEIGHT * DPI) : round(ground) - 2, x][::-1].astype(int)


def drawn(tmp_path: Path, p: np.ndarray) -> np.ndarray:
    path = tmp_path / "a.png"
    plot_timeline(several_timeline(p=p), path)
    return pixels(path)


def test_a_row_is_filled_where_its_class_holds_and_nowhere_else(tmp_path: Path) -> None:
    p = np.full((30, len(CLASSES)), 0.1)
    p[10:20, 0] = 0.9  # seconds 2 to 4, far above 0.5
    p[:, 1] = 0.9
    image = drawn(tmp_path, p)
    full = (np.abs(row_of(image, HAPPINESS, 3.0) - rgb("happiness")).max(axis=1) < 12).mean()
    assert 0.7 < full < 0.95  # up to 0.9, but for the line of the threshold
    for t in (0.5, 5.5):
        assert (
            np.abs(row_of(image, HAPPINESS, t) - rgb("happiness")).max(axis=1) < 12
        ).sum() < 4  # its curve
        assert (np.abs(row_of(image, 1, t) - rgb("surprise")).max(axis=1) < 12).mean() > 0.7


def test_the_filling_begins_where_the_curve_crosses_the_threshold(tmp_path: Path) -> None:
    p = np.full((20, len(CLASSES)), 0.1)
    p[:, 0] = np.linspace(0.0, 1.0, 20)  # crosses 0.5 in the middle, at 2 s
    image = drawn(tmp_path, p)
    ground = round((TOP + ROW_HEIGHT) * DPI) - 8
    left = round(LEFT * DPI)
    line = image[ground, left : left + round(AXIS_WIDTH * DPI * 3.9 / SECONDS)].astype(int)
    first = np.flatnonzero(np.abs(line - rgb("happiness")).max(axis=1) > 12)[-1]  # filled from here on
    assert first / DPI * SECONDS / AXIS_WIDTH == pytest.approx(2.0, abs=0.05)


def test_nothing_is_filled_where_no_class_holds_or_nothing_is_known(tmp_path: Path) -> None:
    timeline = several_timeline()
    columns = [f"p_{name}" for name in CLASSES]
    timeline.rows.loc[timeline.rows["confidence"].notna(), columns] = 0.05
    plot_timeline(timeline, tmp_path / "a.png")
    few = pixels(tmp_path / "a.png")[round((TOP + 0.1) * DPI) : -100, 200:1800].astype(int)
    unknown = row_of(pixels(tmp_path / "a.png"), 2, 7.2)  # where `example_timeline` has no prediction
    assert (np.abs(few - rgb("happiness")).max(axis=2) < 12).mean() < 0.005  # its curve
    assert np.ptp(unknown, axis=1).max() < 10  # greys


def test_faces_truth_and_several_persons(tmp_path: Path) -> None:
    timeline = several_timeline(num_persons=2, names=("Anna", "Bela"))
    truth = pd.DataFrame({"t_start": [0.0, 6.0], "t_end": [6.0, 12.0], "label": ["neutral", "fear"]})
    plot_timeline(timeline, tmp_path / "plain.png")
    strips = {0: faces(SECONDS, (1, 200, 3))}
    plot_timeline(timeline, tmp_path / "rich.png", faces=strips, truth=truth)
    plain, rich = pixels(tmp_path / "plain.png"), pixels(tmp_path / "rich.png")
    assert plain.shape[1] == rich.shape[1] == 2100 and len(rich) - len(plain) > 120
    assert (np.abs(rich.astype(int) - (1, 200, 3)).max(axis=2) < 3).mean() > 0.02


def test_many_classes_nobody_and_names_the_font_lacks(tmp_path: Path) -> None:
    classes = tuple(f"class {i}" for i in range(25)) + ("漢字 $x$",)
    plot_timeline(
        several_timeline(num_persons=3, classes=classes, thresholds=(0.3,) * 26), tmp_path / "a.png"
    )
    plot_timeline(several_timeline(num_persons=0), tmp_path / "b.png")
    assert len(pixels(tmp_path / "a.png")) < 4500
    assert row_height(1) == ROW_HEIGHT > row_height(100)
