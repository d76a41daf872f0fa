"""Ribbons and the panel: the right colours at the right time, whatever part is looked at."""

from __future__ import annotations

import numpy as np
import pytest

from tests.videofer.timeline_examples import example_timeline
from videofer.overlay.course import Course, course_of
from videofer.overlay.curves import GROUND, HATCH
from videofer.overlay.footage import Colours
from videofer.overlay.paint import rgb_of, to_planes, to_samples
from videofer.overlay.panel import BACKGROUND, INK, Lane, Panel, _clock
from videofer.overlay.ribbon import Ribbon, stack_order
from videofer.overlay.tiles import TILE_WIDTH, Tiles

BT601 = Colours(6)
CLASSES = ("neutral", "anger", "happiness")


def course(p: list[list[float]], **columns: list[str]) -> Course:
    """Rows of 1 s from second 0 on; a row of NaN has no prediction."""
    values = np.array(p, float)
    predicted = np.isfinite(values).all(axis=1)
    best = np.nan_to_num(values).argmax(axis=1)
    label = [CLASSES[i] if ok else "no_prediction" for i, ok in zip(best, predicted, strict=True)]
    return Course(
        t_start=np.arange(len(p), dtype=float), t_end=np.arange(len(p)) + 1.0, probabilities=values,
        confidence=np.where(predicted, values.max(axis=1), np.nan), label=columns.get("label", label),
        state=columns.get("state", ["ok"] * len(p)), classes=CLASSES,
    )  # fmt: skip


def ribbon(one: Course, scale: float = 40.0) -> Ribbon:
    return Ribbon(one, scale, height=40, label_height=16, gap=2, size=10)


def test_neutral_lies_on_top() -> None:
    assert [CLASSES[i] for i in stack_order(CLASSES)] == ["anger", "happiness", "neutral"]


def test_areas_are_as_high_as_their_probabilities() -> None:
    picture = ribbon(course([[0.5, 0.3, 0.2]] * 4)).render(0, 160)[:40]
    for row, name in ((35, "anger"), (24, "happiness"), (5, "neutral")):
        assert np.abs(picture[row, 80] - one_colour(name)).max() < 8, name
    counted = [(np.abs(picture[:, 80] - one_colour(name)).max(axis=1) < 30).sum() for name in CLASSES]
    assert counted == pytest.approx([20, 12, 8], abs=2)  # lines lie between them


def one_colour(name: str) -> tuple[int, int, int]:
    return course([[1, 0, 0]]).class_colour(name)


def test_between_the_middles_of_two_rows_areas_slope() -> None:
    one = ribbon(course([[0, 1, 0], [0, 0, 1]]))
    picture = one.render(0, 80)[:40]
    assert np.abs(picture[20, 10] - one_colour("anger")).max() < 3
    assert np.abs(picture[20, 70] - one_colour("happiness")).max() < 3
    anger = np.abs(picture - one_colour("anger")).max(axis=2) < 60
    heights = anger[:, 20:60].sum(axis=0)
    assert (np.diff(heights) <= 0).all() and heights[20] == pytest.approx(20, abs=2)


def test_where_the_person_is_not_and_where_nothing_is_said() -> None:
    gap = course([[1, 0, 0], [np.nan] * 3, [0, 1, 0]])
    picture = ribbon(gap).render(0, 160)
    seen = {tuple(map(int, rgb)) for rgb in picture[:40, 44:76].reshape(-1, 3)}
    assert seen == {GROUND, HATCH}
    assert (picture[:, 121:] == GROUND).all()


def test_unsure_and_hidden_rows_look_different_from_sure_ones() -> None:
    sure = ribbon(course([[0.4, 0.6, 0]] * 3)).render(0, 120)
    unsure = ribbon(course([[0.4, 0.6, 0]] * 3, label=["uncertain"] * 3)).render(0, 120)
    hidden = ribbon(course([[0.4, 0.6, 0]] * 3, state=["absent"] * 3)).render(0, 120)
    hatched = np.abs(unsure - sure).max(axis=2)[:40] > 30
    assert 0.2 < hatched.mean() < 0.4
    assert (hidden[30, 50] < sure[30, 50]).sum() >= 2
    assert (sure[50, 2:100] != unsure[50, 2:100]).any()


def test_labels_are_written_where_there_is_room() -> None:
    wide = ribbon(course([[0, 0, 1]] * 6)).render(0, 240)[42:]
    narrow = ribbon(course([[0, 0, 1], [1, 0, 0]] * 3)).render(0, 240)[42:]
    assert (wide.max(axis=2) < 100).any()  # dark letters on yellow
    assert not (narrow[:, :30].max(axis=2) < 40).any()


@pytest.mark.parametrize("x0", [0, 37, 500, 901])
def test_parts_are_those_of_the_whole(x0: int) -> None:
    timeline = example_timeline(duration_seconds=30)
    one = ribbon(course_of(timeline, 0))
    whole = one.render(0, 1300)
    part = one.render(x0, 200)
    areas, labels = part[:40], part[42:]
    assert np.abs(areas - whole[:40, x0 : x0 + 200]).max() < 1e-6
    assert (labels != whole[42:, x0 : x0 + 200]).any(axis=2).mean() < 0.02  # letters by a fraction of a pixel


def ramp(x0: int, width: int) -> np.ndarray:
    """Grey that rises by a tenth a pixel, over and over."""
    grey = (np.arange(x0, x0 + width) / 10) % 200
    return np.repeat(np.broadcast_to(grey, (8, width))[..., None], 3, axis=2)


def test_a_view_glides_and_crosses_tiles_unseen() -> None:
    tiles = Tiles(ramp, 8, Colours(6, full_range=True))
    for x in (0.0, 0.5, 100.25, TILE_WIDTH - 40.0, TILE_WIDTH - 0.5, 3 * TILE_WIDTH + 7.75):
        y, u, v = tiles.view(x, 64)
        assert y.shape == (8, 64) and u.shape == v.shape == (4, 32)
        expected = (np.arange(64) + x) / 10 % 200
        smooth = np.abs(np.diff(expected)) < 1
        assert np.abs(y[0].astype(float) - expected)[1:][smooth].max() <= 1.1


def test_few_tiles_are_kept() -> None:
    made: list[int] = []

    def render(x0: int, width: int) -> np.ndarray:
        made.append(x0)
        return ramp(x0, width)

    tiles = Tiles(render, 8, BT601)
    for x in np.arange(0, 40 * TILE_WIDTH, 16.0):
        tiles.view(float(x), 64)
    assert len(made) == 41
    assert len(tiles._tiles) <= 8


def panel_for(num_persons: int = 2, duration: float = 12.0, width: int = 640, unit: float = 1.0) -> Panel:
    timeline = example_timeline(num_persons=num_persons, duration_seconds=duration)
    lanes = [Lane(person.name, course_of(timeline, person.id)) for person in timeline.persons]
    lanes = lanes or [Lane(None, course_of(timeline, None))]
    return Panel(lanes, 0, width, unit, duration, BT601, note="perceived expression · a model")


def drawn(panel: Panel, t: float) -> list[np.ndarray]:
    planes = to_planes(np.zeros((panel.height, panel.width, 3)), BT601)
    panel.draw(planes, t)
    return planes


def cursor_of(panel: Panel, t: float) -> float:
    """Where the bright line stands, in pixels."""
    between = drawn(panel, t)[0][panel._lane_y[0] + panel._lane_height + 1]  # the gap below the first lane
    return float(np.flatnonzero(between > 150).mean())


def test_the_cursor_moves_through_a_short_video() -> None:
    panel = panel_for(duration=12.0)
    left, width = panel._strip_x, panel._strip_width
    for t in (0.0, 3.0, 6.1, 12.0):
        assert cursor_of(panel, t) == pytest.approx(min(left + width * t / 12, 639), abs=1.0)


def test_the_cursor_of_a_long_video_stands_still_in_the_middle() -> None:
    panel = panel_for(duration=100.0)
    middle = panel._strip_x + panel._strip_width / 2
    for t in (10.0, 33.3, 90.0):
        assert cursor_of(panel, t) == pytest.approx(middle, abs=1.0)
    assert cursor_of(panel, 1.0) == pytest.approx(panel._strip_x + panel._strip_width / 20, abs=1.0)
    assert cursor_of(panel, 99.0) == pytest.approx(panel._strip_x + panel._strip_width * 0.95, abs=1.0)


def test_what_is_to_come_is_dimmed() -> None:
    panel = panel_for()
    early, late = drawn(panel, 1.0)[0], drawn(panel, 11.5)[0]
    y, x = panel._lane_y[0] + 4, panel._strip_x + panel._strip_width // 2
    behind = to_samples(np.array(BACKGROUND, float), BT601)[0]
    assert early[y, x] == pytest.approx((late[y, x] + behind) / 2, abs=2)


@pytest.mark.parametrize("num_persons", [0, 1, 3, 6])
@pytest.mark.parametrize(("width", "unit"), [(360, 0.75), (640, 1.0), (1920, 3.0)])
def test_a_panel_of_any_size_is_drawn_and_drawn_again(num_persons: int, width: int, unit: float) -> None:
    panel = panel_for(num_persons, width=width, unit=unit)
    assert panel.height % 2 == 0
    first = [plane.copy() for plane in drawn(panel, 5.3)]
    drawn(panel, 2.0)
    again = drawn(panel, 5.3)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert first[0].max() > 200  # the cursor and letters


def test_a_person_who_is_away_is_said_to_be() -> None:
    panel = panel_for(2)
    here, away = drawn(panel, 3.0)[0], drawn(panel, 0.2)[0]  # person 1 comes at 1.4 s
    lane = slice(panel._lane_y[1], panel._lane_y[1] + panel._lane_height), slice(0, panel._strip_x)
    assert (here[lane] != away[lane]).any()
    assert rgb_of("#F0F2F5") == INK


@pytest.mark.parametrize(
    ("t", "step", "text"),
    [(0, 1, "0:00"), (59.99, 1, "0:59"), (61, 1, "1:01"), (3725.26, 0.1, "1:02:05.2"), (0.3, 0.1, "0:00.3"),
     (0.07, 0.01, "0:00.07"), (1.1, 0.5, "0:01.1")],
)  # fmt: skip
def test_clock(t: float, step: float, text: str) -> None:
    assert _clock(t, step) == text
