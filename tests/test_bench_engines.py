"""The figures of tools/bench_engines.py: what agreement means, what counts as found, and the table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.videos import write_video
from tools import bench_engines
from tools.engine_bench import agree
from tools.engine_bench.engines import ENGINES, Engine
from tools.engine_bench.material import FOOTAGE, Footage, pictures
from tools.engine_bench.measure import Work, in_its_own_process, measure, searched_size
from tools.engine_bench.page import BEGIN, END, Row, licences, table, write_into

FIVE = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], float)  # eyes 40 pixels apart
PYAV = next(engine for engine in ENGINES if engine.name == "pyav")


def face(x: float = 0.0, landmarks_x: float = 0.0, *, sure: bool = True) -> np.ndarray:
    """(15,) of a face at x, its landmarks so far from where they are in others."""
    five = FIVE + [x + landmarks_x, 0]
    return np.concatenate([[20 + x, 20, 80 + x, 90], five.ravel(), [sure]])


def body(x: float = 0.0) -> np.ndarray:
    """(17, 3) of somebody about 100 x 200 pixels large."""
    joints = np.random.default_rng(0).uniform([0, 0], [99, 199], (17, 2))
    joints[:2] = [[0, 0], [99, 199]]
    return np.column_stack([joints + [x, 0], np.ones(17)])


def test_landmarks_apart_are_measured_in_eye_distances() -> None:
    mine, theirs = np.array([face(), face(200)]), np.array([face(200, 4), face(0, 2)])
    assert sorted(agree.landmark_distances(mine, theirs)) == pytest.approx([2 / 40, 4 / 40])


def test_another_face_is_not_compared() -> None:
    assert agree.landmark_distances(np.array([face()]), np.array([face(400)])) == []
    assert agree.landmark_distances(np.array([face()]), np.zeros((0, 15))) == []


def test_points_of_a_face_that_one_missed_are_left_out() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (2, 68, 2))
    other = points + [3.0, 4.0]
    other[1] = np.nan
    right_eye, left_eye = points[0, 36:42].mean(axis=0), points[0, 42:48].mean(axis=0)
    expected = 5 / np.linalg.norm(left_eye - right_eye)
    assert agree.point_distances(points, other) == pytest.approx([expected])


def test_keypoints_agree_by_oks() -> None:
    assert agree.keypoint_similarity(body()[None], body()[None]) == pytest.approx([1.0])
    (value,) = agree.keypoint_similarity(body()[None], body(5)[None])
    area = 100 * 200  # of the box around the joints, one pixel more on its far sides
    expected = np.exp(-(5**2) / (2 * area * (2 * agree.COCO_SIGMAS) ** 2)).mean()
    assert value == pytest.approx(expected)
    assert agree.keypoint_similarity(body()[None], body(90)[None]) == [], "somebody else"


def test_an_engine_is_held_against_all_others() -> None:
    results = {"a": [np.array([face()])], "b": [np.array([face(0, 2)])], "c": [np.array([face(0, 6)])]}
    means = agree.of_each(results, agree.landmark_distances)
    assert means == pytest.approx({"a": 4 / 40, "b": 3 / 40, "c": 5 / 40})
    assert np.isnan(agree.of_each({"a": results["a"]}, agree.landmark_distances)["a"]), "alone"


def test_found_counts_no_face_twice_and_none_that_nobody_counted() -> None:
    assert agree.found_of([1, 3, 0, 9], [1, 2, 0, 9], [1, 1, 2, None]) == (2, 4, 1)


def test_every_engine_has_one_row_and_known_licences() -> None:
    assert len({(engine.kind, engine.name) for engine in ENGINES}) == len(ENGINES)
    rtmo = next(engine for engine in ENGINES if engine.name == "rtmlib:rtmo-balanced")
    assert licences(rtmo) == "Apache-2.0"
    scrfd = next(engine for engine in ENGINES if engine.name.endswith("scrfd"))
    assert "non-commercial" in licences(scrfd).lower()


def test_the_table_stands_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "engines.md"
    page.write_text(f"# Engines\n\n{BEGIN}\nold\n{END}\nafter\n")
    row = Row(PYAV, 1234.5, 56.7, "3 of 3 videos", "1.2 of 255 levels apart")
    unusable = Engine("faces", "mtcnn", "MIT", "sometimes")
    write_into(page, table([row], [(unusable, "no such\nfile | here")], "Measured on a machine."))
    text = page.read_text()
    assert "old" not in text
    assert text.startswith(f"# Engines\n\n{BEGIN}\nMeasured on a machine.\n")
    assert "| `--decoder pyav` | 1,234 | 3 of 3 videos | 1.2 of 255 levels apart | 57 MiB |" in text
    assert "| `--faces mtcnn` | no such file \\| here | MIT | sometimes |" in text
    assert text.endswith(f"{END}\nafter\n")
    page.write_text("# Engines\n")
    with pytest.raises(ValueError, match="has no lines"):
        write_into(page, "x")


def test_a_reason_names_the_command_and_not_the_addresses() -> None:
    why = "weights are missing: `videofer weights fetch fan` gets a.pth from https://a.org/a.pth; or put it"
    text = table([], [(Engine("landmarks", "fan", "MIT", "never"), why)], "Measured nowhere.")
    assert "| `--landmarks fan` | weights are missing: `videofer weights fetch fan` | MIT" in text


def test_the_page_has_the_markers() -> None:
    text = bench_engines.PAGE.read_text()
    assert text.index(BEGIN) < text.index(END)


def test_pictures_lie_evenly_over_a_video_and_know_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "a.mp4", pts=range(41))
    monkeypatch.setattr(
        "tools.engine_bench.material.FOOTAGE", (Footage("a.mp4", faces=1, bodies=None, faces_until_frame=20),)
    )
    found = pictures(tmp_path, 5)  # frames 0, 10, 20, 30, 40
    assert [picture.faces for picture in found] == [1, 1, 0, 0, 0]
    assert {picture.bodies for picture in found} == {None}
    with pytest.raises(SystemExit, match="no test videos"):
        pictures(tmp_path / "elsewhere", 5)


def test_the_footage_is_what_is_there(shared_data: Path) -> None:
    for footage in FOOTAGE:
        assert list((shared_data / "videos").glob(footage.pattern)), footage.pattern


def test_small_pictures_are_not_enlarged() -> None:
    assert searched_size(1920, 1080) == (512, 288)
    assert searched_size(270, 480) == (270, 480)


class Fatal:
    """Ends the process that receives it."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (1,)


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """Its figures come back; where it crashes that is the answer, and the others go on."""
    videos = [write_video(tmp_path / "a.mp4", pts=range(30))]
    measured = in_its_own_process(Work(PYAV, [], videos, [], None, 1))
    assert not isinstance(measured, str)
    assert measured.frames_per_second > 0
    ((times, shown),) = measured.results
    assert times == list(range(30))
    assert sorted(shown) == [0, 20]
    crashed = in_its_own_process(Work(PYAV, [Fatal()], videos, [], None, 1))  # type: ignore[list-item]
    assert crashed == "its process crashed"


def test_all_kinds_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path) -> None:
    """On two small videos, in this process: every row is measured or says why not."""
    (tmp_path / "asl").mkdir()
    for name in ("four_faces_portrait.mp4", "asl/milk.mkv"):
        (tmp_path / name).symlink_to(shared_data / "videos" / name)
    monkeypatch.setattr(bench_engines, "in_its_own_process", measure)
    wanted = {"pyav", "decord", "mtcnn", "face-alignment:yunet", "mesh", "fan"}
    wanted |= {"onnx:tinypose_256x192.onnx,yolox_nano.onnx", "mmpose:rtmpose-s_8xb256-420e_coco-256x192"}
    engines = [engine for engine in ENGINES if engine.name in wanted]
    assert len(engines) == len(wanted)
    text = bench_engines.measure_all(engines, tmp_path, shared_data / "weights", per_video=1, repeats=1)
    rows = {line.split("`")[1].split(maxsplit=1)[1]: line for line in text.splitlines() if "| `--" in line}
    assert set(rows) == wanted
    assert "2 of 2 videos" in rows["pyav"]
    assert "5 of 5 faces, 0 too many" in rows["face-alignment:yunet"]
    assert "from the detector's five" in rows["mesh"]
    assert "1 of 1 people" in rows["onnx:tinypose_256x192.onnx,yolox_nano.onnx"]
    assert "videofer weights fetch" in rows["fan"]
