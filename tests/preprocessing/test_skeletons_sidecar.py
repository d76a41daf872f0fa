"""Keypoints read from files: .npz and OpenPose JSON, whole and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preprocessing.skeletons import Sidecar, SidecarKeypoints, as_layout, load_sidecar
from preprocessing.skeletons.layouts import BANDAI22, COCO17, OPENPOSE18, OPENPOSE25, OPENPOSE67, Layout
from preprocessing.skeletons.openpose import HANDS
from preprocessing.types import InputError


def some_keypoints(num_rows: int, num_people: int = 1, num_joints: int = 17) -> np.ndarray:
    rng = np.random.default_rng(num_rows)
    keypoints = rng.uniform(50, 300, (num_rows, num_people, num_joints, 3)).astype(np.float32)
    keypoints[..., 2] = 0.9
    return keypoints


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def row_of(engine: Sidecar, frame_index: int, t: float) -> float | None:
    """x of the first body's nose, None where there is no body."""
    bodies = engine.detect(None, frame_index, t, None)
    return float(bodies.keypoints[0, 0, 0]) if len(bodies) else None


# --- .npz --------------------------------------------------------------------------------------------


def test_rows_without_times_are_decoded_frames(tmp_path: Path) -> None:
    keypoints = some_keypoints(4)
    engine = Sidecar(load_sidecar(save(tmp_path / "x.keypoints.npz", keypoints=keypoints)))
    assert [row_of(engine, index, 99.0) for index in range(4)] == keypoints[:, 0, 0, 0].tolist()
    assert row_of(engine, 4, 0.0) is None
    assert not engine.needs_pixels
    assert engine.layout == "coco17"


def test_rows_with_times_serve_the_nearest_frame(tmp_path: Path) -> None:
    keypoints = some_keypoints(4)
    times = np.array([0.0, 0.04, 0.08, 0.5])
    path = save(tmp_path / "x.keypoints.npz", keypoints=keypoints, t_seconds=times)
    engine = Sidecar(load_sidecar(path))
    x = keypoints[:, 0, 0, 0].tolist()
    assert [row_of(engine, 7, t) for t in (-0.01, 0.021, 0.08, 0.49)] == [x[0], x[1], x[2], x[3]]
    assert [row_of(engine, 7, t) for t in (-0.1, 0.2, 0.6)] == [None, None, None]


def test_only_persons_with_joints_come_back(tmp_path: Path) -> None:
    keypoints = some_keypoints(2, num_people=3)
    keypoints[0, 0] = np.nan
    keypoints[0, 1, 5:] = [np.nan, 7, 0.8]
    keypoints[1] = 0
    engine = Sidecar(load_sidecar(save(tmp_path / "x.npz", keypoints=keypoints.astype(np.float64))))
    bodies = engine.detect(None, 0, 0.0, None)
    np.testing.assert_array_equal(bodies.keypoints[1], keypoints[0, 2])
    np.testing.assert_array_equal(bodies.keypoints[0, 5:], 0)  # a NaN coordinate: unseen, wholly zero
    assert bodies.keypoints.dtype == np.float32
    assert np.isfinite(bodies.boxes_xyxy).all()
    np.testing.assert_allclose(bodies.scores, 0.9, atol=1e-6)
    assert len(engine.detect(None, 1, 0.0, None)) == 0


def test_joints_that_the_file_doubts_do_not_bound_a_body() -> None:
    keypoints = np.zeros((1, 2, 17, 3), np.float32)
    keypoints[0, :, :3] = [[10, 10, 0.9], [110, 60, 0.8], [900, 900, 0.05]]
    keypoints[0, 1, :, 2] *= 0.1  # this body has doubted joints only
    bodies = Sidecar(SidecarKeypoints(keypoints, None, None, None)).detect(None, 0, 0.0, None)
    np.testing.assert_allclose(bodies.boxes_xyxy[0], [2, 5, 118, 65])
    assert bodies.boxes_xyxy[1, 2] > 900
    np.testing.assert_allclose(bodies.scores, [0.85, 0.09], atol=1e-6)


def test_one_person_without_a_person_axis_and_declared_facts(tmp_path: Path) -> None:
    path = save(
        tmp_path / "x.npz",
        keypoints=some_keypoints(3)[:, 0],
        fps=25.0,
        size_wh=np.array([640, 360]),
        layout="coco17",
    )
    data = load_sidecar(path)
    assert data.keypoints.shape == (3, 1, 17, 3)
    assert data.size_wh == (640, 360)
    np.testing.assert_allclose(data.times(), [0, 0.04, 0.08])


def test_a_file_names_its_layout_and_joints(tmp_path: Path) -> None:
    path = save(
        tmp_path / "x.npz",
        keypoints=some_keypoints(3, num_people=2, num_joints=22),
        layout="bandai22",
        joints=np.array(BANDAI22.joints),
    )
    data = load_sidecar(path)
    assert data.layout is BANDAI22
    engine = Sidecar(data)
    assert engine.layout == "bandai22"
    bodies = engine.detect(None, 1, 0.0, None)
    assert bodies.keypoints.shape == (2, 22, 3)
    np.testing.assert_allclose(bodies.scores, 0.9, atol=1e-6)
    assert engine.detect(None, 3, 0.0, None).keypoints.shape == (0, 22, 3)


def test_keypoints_without_times_or_rate_have_no_times(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="need t_seconds or fps"):
        load_sidecar(save(tmp_path / "x.npz", keypoints=some_keypoints(3))).times()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"poses": np.zeros(3)}, "no array 'keypoints', found poses"),
        ({"keypoints": np.zeros((4, 2, 18, 3))}, r"keypoints are float64 \(4, 2, 18, 3\), expected"),
        ({"keypoints": np.zeros((4, 2, 17, 3), int)}, r"keypoints are int64"),
        (
            {"keypoints": some_keypoints(3), "layout": "h36m"},
            "unknown joint layout 'h36m'; known: coco17, wholebody133",
        ),
        ({"keypoints": some_keypoints(3), "layout": "bandai22"}, r"\(T, P, 22, 3\) of layout bandai22"),
        (
            {"keypoints": some_keypoints(3), "joints": ["nose", "neck", *COCO17.joints[2:]]},
            "its joints are not those of layout coco17: joint neck for left_eye",
        ),
        (
            {"keypoints": some_keypoints(3), "joints": COCO17.joints[:16]},
            "its joints are not those of layout coco17: 16 names for 17 joints",
        ),
        ({"keypoints": some_keypoints(3), "t_seconds": np.zeros(2)}, r"t_seconds has shape \(2,\)"),
        ({"keypoints": some_keypoints(3), "t_seconds": np.zeros(3)}, "t_seconds is not strictly increasing"),
        ({"keypoints": some_keypoints(3), "t_seconds": np.array(["a", "b", "c"])}, "could not convert"),
        ({"keypoints": some_keypoints(3), "fps": 0.0}, r"fps is 0\.0"),
        ({"keypoints": some_keypoints(3), "size_wh": np.array([0, 4])}, r"size_wh is \[0, 4\]"),
        ({"keypoints": some_keypoints(3) * 3}, "joint scores up to 2.7"),
        ({"keypoints": some_keypoints(3) * [[[1 / 300, 1 / 300, 1]]]}, "look normalised"),
        ({"keypoints": np.array([{}], dtype=object)}, "Object arrays cannot be loaded"),
    ],
)
def test_wrong_content_is_refused_in_one_line(tmp_path: Path, arrays: dict[str, Any], reason: str) -> None:
    path = save(tmp_path / "x.keypoints.npz", **arrays)
    with pytest.raises(InputError, match=reason) as caught:
        load_sidecar(path)
    assert caught.value.stage == "skeletons"
    assert "x.keypoints.npz" in caught.value.reason
    assert "\n" not in caught.value.reason


def test_broken_bytes_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.npz", keypoints=some_keypoints(50)).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.npz"
    damaged = [b"", b"PK\x03\x04", rng.bytes(2000), whole[: len(whole) // 2]]
    for _ in range(60):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(content))
    num_refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            load_sidecar(path)  # a flipped bit in a time stamp of the archive harms nothing
        except InputError as error:
            num_refused += 1
            assert "\n" not in error.reason
    assert num_refused > 40
    with pytest.raises(InputError, match="is not a file of keypoints"):
        load_sidecar(tmp_path / "absent.npz")


# --- OpenPose ----------------------------------------------------------------------------------------


def openpose_person(names: tuple[str, ...], shift: float = 0.0) -> dict[str, list[float]]:
    """Joint j of COCO-17 at (100 + 10 j + shift, 200 + j), whatever its place in OpenPose's order."""
    numbers: list[float] = []
    for name in names:
        j = COCO17.joints.index(name) if name in COCO17.joints else 50
        numbers += [100 + 10 * j + shift, 200 + j, 0.8]
    return {"pose_keypoints_2d": numbers}


def write_json(folder: Path, frame: int, people: list[dict[str, list[float]]]) -> Path:
    path = folder / f"clip_{frame:012d}_keypoints.json"
    path.write_text(json.dumps({"version": 1.3, "people": people}))
    return path


@pytest.mark.parametrize("layout", [OPENPOSE25, OPENPOSE18], ids=lambda layout: layout.name)
def test_openpose_folder(tmp_path: Path, layout: Layout) -> None:
    names, num_joints = layout.joints, layout.num_joints
    write_json(tmp_path, 0, [openpose_person(names), openpose_person(names, 300)])
    write_json(tmp_path, 3, [openpose_person(names, 5)])
    data = load_sidecar(tmp_path)
    assert data.layout is layout
    assert data.keypoints.shape == (4, 2, num_joints, 3)
    engine = as_layout(Sidecar(data), "coco17")
    assert engine.layout == "coco17" and not engine.needs_pixels
    j = np.arange(17)
    expected = np.stack([105 + 10 * j, 200 + j, np.full(17, 0.8)], axis=1)
    np.testing.assert_allclose(engine.detect(None, 3, 0.0, None).keypoints[0], expected, rtol=1e-6)
    assert [len(engine.detect(None, index, 0.0, None)) for index in range(5)] == [2, 0, 0, 1, 0]
    assert as_layout(Sidecar(data), layout.name).layout == layout.name
    assert load_sidecar(tmp_path, gaps=False).keypoints.shape == (2, 2, num_joints, 3)


def test_openpose_s_hands_are_read_where_everybody_has_both(tmp_path: Path) -> None:
    body = openpose_person(OPENPOSE25.joints)
    hands = {"hand_left_keypoints_2d": [1.0, 2.0, 0.5] * 21, "hand_right_keypoints_2d": [3.0, 4.0, 0.0] * 21}
    write_json(tmp_path, 0, [{**body, **hands}])
    write_json(tmp_path, 1, [])
    data = load_sidecar(tmp_path)
    assert data.layout is OPENPOSE67 and data.keypoints.shape == (2, 1, 67, 3)
    np.testing.assert_allclose(data.keypoints[0, 0, 25:46], [(1, 2, 0.5)] * 21)
    assert not data.keypoints[0, 0, 46:, 2].any()
    np.testing.assert_allclose(data.keypoints[0, 0, :25].ravel(), body["pose_keypoints_2d"])
    for other in (
        {},
        {"hand_left_keypoints_2d": hands["hand_left_keypoints_2d"]},
        {**hands, HANDS[1]: [1.0]},
    ):
        write_json(tmp_path, 1, [{**body, **other}])
        assert load_sidecar(tmp_path).layout is OPENPOSE25


def test_openpose_folder_without_people_or_of_two_models(tmp_path: Path) -> None:
    write_json(tmp_path, 0, [])
    assert load_sidecar(tmp_path).keypoints.shape == (1, 0, 25, 3)
    write_json(tmp_path, 1, [openpose_person(OPENPOSE25.joints)])
    write_json(tmp_path, 2, [openpose_person(OPENPOSE18.joints)])
    with pytest.raises(InputError, match=r"18 joints in clip_000000000002_keypoints\.json, 25 in clip_0"):
        load_sidecar(tmp_path)


def test_a_layout_that_lacks_joints_is_not_brought_to_another() -> None:
    sidecar = Sidecar(SidecarKeypoints(some_keypoints(2, num_joints=22), None, None, None, BANDAI22))
    with pytest.raises(InputError) as caught:
        as_layout(sidecar, "coco17")
    assert caught.value.reason == (
        "its joints are bandai22, those of this store are coco17: "
        "bandai22 has no nose, left_eye, right_eye and 2 more"
    )


def test_an_unseen_joint_makes_an_unseen_mean() -> None:
    keypoints = some_keypoints(1)
    keypoints[0, 0, 5] = 0
    bodies = as_layout(Sidecar(SidecarKeypoints(keypoints, None, None, None)), "openpose18").detect(
        None, 0, 0.0, None
    )
    np.testing.assert_array_equal(bodies.keypoints[0, 1], 0)  # no neck without a left shoulder
    assert np.isfinite(bodies.keypoints).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"people": [', "clip_000000000001_keypoints.json is not OpenPose output: Expecting value"),
        ("[1, 2]", "is not OpenPose output"),
        ("{}", "is not OpenPose output: no 'people'"),
        ('{"people": [{"pose_keypoints_2d": ["a"]}]}', "is not OpenPose output: could not convert"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "3 numbers for a person; known: 75"),
        ("[" * 100_000, "is not OpenPose output"),
        ("\x00\xff", "is not OpenPose output"),
    ],
)
def test_broken_openpose_file_is_refused_in_one_line(tmp_path: Path, content: str, reason: str) -> None:
    write_json(tmp_path, 0, [openpose_person(OPENPOSE25.joints)])
    write_json(tmp_path, 1, []).write_text(content, "latin-1")
    with pytest.raises(InputError, match=reason) as caught:
        load_sidecar(tmp_path)
    assert caught.value.stage == "skeletons"
    assert "\n" not in caught.value.reason


def test_openpose_folder_with_wrong_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*_keypoints\.json files"):
        load_sidecar(tmp_path)
    first = write_json(tmp_path, 0, [])
    with pytest.raises(InputError, match="frame number 999999999999 in a folder of 2 files"):
        write_json(tmp_path, 999_999_999_999, [])
        load_sidecar(tmp_path)
    (tmp_path / "clip_999999999999_keypoints.json").unlink()
    first.with_name("other_0_keypoints.json").write_text("{}")
    with pytest.raises(InputError, match="are the same frame"):
        load_sidecar(tmp_path)
    first.with_name("other_0_keypoints.json").rename(tmp_path / "nothing_keypoints.json")
    with pytest.raises(InputError, match="no frame number"):
        load_sidecar(tmp_path)
