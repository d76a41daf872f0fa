"""Lanes, panel and labels of an annotated video whose model says several classes at once."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest

from tests.videofer.several_examples import CLASSES, THRESHOLDS, several_timeline
from tests.videofer.test_overlay_ribbon import BT601, drawn
from tests.videofer.timeline_examples import example_timeline
from tests.videos import write_video
from videofer.overlay.class_rows import MAX_ROWS, MIN_ROWS, ClassRows, classes_shown
from videofer.overlay.course import FAINT, Course, course_of
from videofer.overlay.marks import NOTHING, _bar
from videofer.overlay.panel import BACKGROUND, Lane, Panel
from videofer.overlay.write import write_annotated
from videofer.timeline.timeline import Timeline

PLAIN = np.full((55, len(CLASSES)), 0.02)
HELD = PLAIN.copy()
HELD[10:30, 0] = 0.9  # happiness from 2 to 6 s; the person is hidden in [5, 5.6)
HELD[15:20, 4] = 0.8  # sadness from 3 to 4 s


def course(p: np.ndarray = HELD) -> Course:
    return course_of(several_timeline(p=p), 0)


def lane(one: Course, columns: list[int] | None = None) -> ClassRows:
    """50 pixels a second, rows of 20 pixels below a heading of 18."""
    return ClassRows(one, 50.0, columns or [0, 4], 18, 20, BACKGROUND, 10)


def panel_of(timeline: Timeline, width: int = 640, unit: float = 1.0) -> Panel:
    lanes = [Lane(person.name, course_of(timeline, person.id)) for person in timeline.persons]
    lanes = lanes or [Lane(None, course_of(timeline, None))]
    return Panel(lanes, 0, width, unit, timeline.duration_seconds, BT601, note="a model")


def test_what_holds_is_said_the_likeliest_first() -> None:
    one = course()
    assert one.words(17) == "happiness + sadness" and one.held(17) == ["happiness", "sadness"]
    assert one.colour(17) == one.class_colour("happiness")
    assert one.words(2) == "none holds" and not one.is_sure(2) and one.colour(2) == FAINT
    assert one.words(35) == "no prediction" and not one.is_predicted(35)
    many = course(np.full((55, len(CLASSES)), 0.9))
    assert many.words(3) == "happiness + surprise + engagement + 3 more"


def test_one_class_at_a_time_is_said_as_ever() -> None:
    one = course_of(example_timeline(num_persons=1), 0)
    assert one.words(0).endswith(" %") and one.held(0) == [one.label[0]] and one.thresholds is None


def test_a_row_is_full_where_its_class_holds_pale_elsewhere_and_hidden_less() -> None:
    one = course()
    picture = lane(one).render(0, 600)
    colour = np.array(one.class_colour("happiness"))
    ground = 18 + 20 - 2 - 2  # just above the lower edge of the first row
    assert np.abs(picture[ground, 175] - colour).max() < 3
    assert np.abs(picture[ground, 265] - colour).max() > 40  # hidden
    assert np.abs(picture[18 + 1, 175] - colour).max() > 40  # above 0.9
    assert np.ptp(picture[29:36, 30:40], axis=(1, 2)).max() < 60  # below the line of its threshold
    assert np.abs(picture[ground + 20, 175] - one.class_colour("sadness")).max() < 3
    assert np.abs(picture[ground + 20, 125] - one.class_colour("sadness")).max() > 40


def test_a_threshold_is_a_dotted_line() -> None:
    picture = lane(course(PLAIN)).render(0, 120)
    line = 18 + round(18 * (1 - THRESHOLDS[0]))
    assert np.ptp(picture[line, 20:60, 0]) > 40 and np.ptp(picture[line - 2, 20:60, 0]) < 5


def test_parts_are_those_of_the_whole() -> None:
    whole = lane(course()).render(0, 600)
    np.testing.assert_allclose(lane(course()).render(213, 100), whole[:, 213:313], atol=1e-6)


def test_only_classes_that_somebody_shows_have_rows() -> None:
    assert classes_shown([course()]) == [0, 4]
    assert classes_shown([course(PLAIN), course()]) == [0, 4]
    assert classes_shown([course(PLAIN)]) == list(range(MIN_ROWS))  # nobody shows any
    names = tuple(f"class {i}" for i in range(26))
    many = several_timeline(num_persons=4, classes=names, thresholds=(0.1,) * 26)
    columns = classes_shown([course_of(many, person) for person in range(4)])
    assert len(columns) == MAX_ROWS // 4 and columns == sorted(columns)


@pytest.mark.parametrize("num_persons", [0, 1, 3, 6])
@pytest.mark.parametrize(("width", "unit"), [(360, 0.75), (640, 1.0), (1920, 3.0)])
def test_a_panel_of_any_size_is_drawn_and_drawn_again(num_persons: int, width: int, unit: float) -> None:
    panel = panel_of(several_timeline(num_persons=num_persons), width, unit)
    assert panel.height % 2 == 0
    first = [plane.copy() for plane in drawn(panel, 5.3)]
    drawn(panel, 2.0)
    assert all((a == b).all() for a, b in zip(first, drawn(panel, 5.3), strict=True))
    assert first[0].max() > 200


def test_names_at_the_left_are_bright_while_their_classes_hold() -> None:
    panel = panel_of(several_timeline(p=HELD))
    rows = panel._ribbons[0]
    assert isinstance(rows, ClassRows)
    y = panel._lane_y[0] + rows.row_y(1)  # sadness
    place = slice(y, y + rows.row_height - 2), slice(20, panel._strip_x - 20)
    assert drawn(panel, 3.5)[0][place].max() > drawn(panel, 1.0)[0][place].max() + 40


def test_the_bar_at_a_face_has_a_field_for_each_that_holds() -> None:
    one = course()
    both = _bar(one, 17, 40)
    assert np.abs(both[5] - one.class_colour("happiness")).max() < 2
    assert np.abs(both[35] - one.class_colour("sadness")).max() < 2
    assert (_bar(one, 2, 40) == NOTHING).all()


def test_a_film_is_written(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", pts=range(60), size_wh=(640, 360))
    timeline = several_timeline(num_persons=2, names=("Anna", "Bela"))
    short = dataclasses.replace(timeline, video=dataclasses.replace(timeline.video, duration_seconds=2.4))
    out = write_annotated(short, film, tmp_path / "out.mp4")
    with av.open(str(out)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == 60 and pictures[0].shape[0] > 360
    assert np.ptp(pictures[40][380:], axis=2).max() > 90  # colours of what holds
