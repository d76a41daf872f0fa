"""Keypoints in the tables and JSON files that other tools write: MediaPipe, COCO, AlphaPose, mmpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from preprocessing.decode.limits import Limits
from preprocessing.discover import discover
from preprocessing.probe import probe
from preprocessing.skeletons import Sidecar, as_layout, load_sidecar
from preprocessing.skeletons.layouts import COCO17, HALPE26, KINECT25, MEDIAPIPE33, OPENPOSE25
from preprocessing.types import InputError, Source
from tests.pose_models import spot

NUM_FRAMES = 4


def bodies(num_joints: int = 33, people: int = 1, *, in_parts: bool = True) -> np.ndarray:
    """(T, P, J, 3) with coordinates in parts of the picture, or in pixels of 640x480."""
    rng = np.random.default_rng(num_joints)
    keypoints = rng.uniform(0.1, 0.9, (NUM_FRAMES, people, num_joints, 3)).astype(np.float32)
    return keypoints if in_parts else keypoints * np.array([640, 480, 1], np.float32)


def wide(keypoints: np.ndarray, names: list[str], pattern: str, score: str = "visibility") -> pd.DataFrame:
    """A row a frame and person; depth beside x and y, as MediaPipe writes it."""
    columns: dict[str, Any] = {"frame": np.repeat(np.arange(len(keypoints)), keypoints.shape[1])}
    flat = keypoints.reshape(-1, *keypoints.shape[2:])
    for place, joint in enumerate(names):
        for axis, what in enumerate(("x", "y", score)):
            columns[pattern.format(joint=joint, what=what)] = flat[:, place, axis]
        columns[pattern.format(joint=joint, what="z")] = 7.0
    return pd.DataFrame(columns)


def save(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "x.keypoints.csv", index=False)
    return folder / "x.keypoints.csv"


def write(content: object, folder: Path) -> Path:
    path = folder / "x.keypoints.json"
    path.write_text(json.dumps(content))
    return path


# --- CSV ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "change", "score"),
    [
        ("{joint}_{what}", str, "visibility"),
        ("{joint}_{what}", str.upper, "score"),
        ("{joint}.{what}", lambda joint: joint.replace("_", " ").title(), "confidence"),
    ],
)
def test_joints_by_name(tmp_path: Path, pattern: str, change: Any, score: str) -> None:
    keypoints = bodies()
    names = [change(joint) for joint in MEDIAPIPE33.joints]
    data = load_sidecar(save(wide(keypoints, names, pattern, score), tmp_path))
    assert data.layout is MEDIAPIPE33
    assert data.size_wh == (1, 1)
    np.testing.assert_allclose(data.keypoints, keypoints, rtol=1e-5)
    found = Sidecar(data).detect(spot(9, 9), 1, 0.0, None)
    np.testing.assert_allclose(found.keypoints[0, :, :2], keypoints[1, 0, :, :2] * (640, 480), rtol=1e-5)


def test_feet_far_below_the_picture_are_still_parts_of_it(tmp_path: Path) -> None:
    keypoints = bodies()
    keypoints[:, :, -6:, 1], keypoints[:, :, -6:, 2] = 2.7, 0.01  # as MediaPipe guesses them in a close-up
    data = load_sidecar(save(wide(keypoints, list(MEDIAPIPE33.joints), "{joint}_{what}"), tmp_path))
    assert data.size_wh == (1, 1)
    np.testing.assert_allclose(data.keypoints, keypoints, rtol=1e-5)


def test_joints_at_nought_do_not_make_pixels_parts(tmp_path: Path) -> None:
    keypoints = bodies(in_parts=False)
    keypoints[:, :, 5:, :2] = 0
    data = load_sidecar(save(wide(keypoints, list(MEDIAPIPE33.joints), "{joint}_{what}"), tmp_path))
    assert data.size_wh is None


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("pattern", ["{what}{joint}", "{what}_{joint}", "landmark_{joint}_{what}"])
def test_joints_by_number(tmp_path: Path, pattern: str, start: int) -> None:
    keypoints = bodies()
    names = [str(place + start) for place in range(33)]
    data = load_sidecar(save(wide(keypoints, names, pattern, "v"), tmp_path))
    assert data.layout is MEDIAPIPE33
    np.testing.assert_allclose(data.keypoints, keypoints, rtol=1e-5)


def test_several_people_in_pixels_and_missing_frames(tmp_path: Path) -> None:
    keypoints = bodies(25, people=2, in_parts=False)
    table = wide(keypoints, list(KINECT25.joints), "{joint}_{what}", "score")
    table = table[~((table["frame"] == 2) | ((table["frame"] == 0) & (table.index % 2 == 1)))]
    data = load_sidecar(save(table, tmp_path))
    assert data.layout is KINECT25 and data.size_wh is None
    assert [len(Sidecar(data).detect(None, frame, 0.0, None)) for frame in range(5)] == [1, 2, 0, 2, 0]
    np.testing.assert_allclose(data.keypoints[3], keypoints[3], rtol=1e-5)


def test_a_row_a_joint(tmp_path: Path) -> None:
    keypoints = bodies()
    rows = [
        {
            "frame": frame,
            "type": "pose",
            "landmark_index": joint,
            "x": x,
            "y": y,
            "z": 1.0,
            "visibility": score,
        }
        for frame in range(NUM_FRAMES)
        for joint, (x, y, score) in enumerate(keypoints[frame, 0].tolist())
    ]
    data = load_sidecar(save(pd.DataFrame(rows), tmp_path))
    assert data.layout is MEDIAPIPE33
    np.testing.assert_allclose(data.keypoints, keypoints, rtol=1e-5)
    table = pd.DataFrame(rows)
    table["landmark_name"] = [OPENPOSE25.joints[j % 25] for j in table.pop("landmark_index")]
    table["person"] = ["a" if j % 33 < 25 else "b" for j in range(len(table))]
    data = load_sidecar(save(table, tmp_path))
    assert data.layout is OPENPOSE25
    np.testing.assert_allclose(data.keypoints[:, 0], keypoints[:, 0, :25], rtol=1e-5)
    assert (data.keypoints[:, 1, 8:] == 0).all()  # joints that are not told are unseen


def test_times_are_read_in_seconds(tmp_path: Path) -> None:
    keypoints = bodies()
    table = wide(keypoints, list(MEDIAPIPE33.joints), "{joint}_{what}").drop(columns="frame")
    table["timestamp_ms"] = [0.0, 40.0, 80.0, 200.0]
    data = load_sidecar(save(table, tmp_path))
    assert data.t_seconds is not None
    np.testing.assert_allclose(data.t_seconds, [0, 0.04, 0.08, 0.2])
    assert len(data.keypoints) == 4
    no_times = load_sidecar(save(table.drop(columns="timestamp_ms"), tmp_path))
    assert no_times.t_seconds is None and len(no_times.keypoints) == 4


def test_scores_may_be_missing(tmp_path: Path) -> None:
    table = wide(bodies(17), list(COCO17.joints), "{joint}_{what}")
    table = table[[name for name in table if not name.endswith(("visibility", "_z"))]]
    table.loc[1, "nose_x"] = np.nan
    data = load_sidecar(save(table, tmp_path))
    assert data.keypoints[1, 0, 0].tolist() == [0, 0, 0]
    assert (data.keypoints[0, 0, :, 2] == 1).all()


# --- JSON --------------------------------------------------------------------------------------------


def landmarks(body: np.ndarray) -> list[dict[str, float]]:
    return [{"x": x, "y": y, "z": 0.1, "visibility": score} for x, y, score in body.tolist()]


def flat(body: np.ndarray) -> list[float]:
    return [float(value) for value in body.ravel()]


FORMS: dict[str, Any] = {
    "mediapipe": lambda keypoints: [
        {"frame": frame, "landmarks": landmarks(people[0])} for frame, people in enumerate(keypoints)
    ],
    "mediapipe tasks": lambda keypoints: {
        "frames": [{"pose_landmarks": [landmarks(body) for body in people]} for people in keypoints]
    },
    "alphapose": lambda keypoints: [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": flat(body), "score": 2.7, "idx": person}
        for frame, people in enumerate(keypoints)
        for person, body in enumerate(people)
    ],
    "mmpose": lambda keypoints: [
        {
            "frame_id": frame,
            "instances": [
                {"keypoints": body[:, :2].tolist(), "keypoint_scores": body[:, 2].tolist()} for body in people
            ],
        }
        for frame, people in enumerate(keypoints)
    ],
    "mmpose demo": lambda keypoints: {
        "meta_info": {"dataset_name": "halpe26"},
        "instance_info": [
            {
                "frame_id": frame + 1,
                "instances": [
                    {"keypoints": body[:, :2].tolist(), "keypoint_scores": body[:, 2].tolist()}
                    for body in people
                ],
            }
            for frame, people in enumerate(keypoints)
        ],
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("num_joints", [17, 26, 33, 133])
def test_forms_of_json(tmp_path: Path, form: str, num_joints: int) -> None:
    people = 1 if form == "mediapipe" else 2
    keypoints = bodies(num_joints, people, in_parts=False)
    data = load_sidecar(write(FORMS[form](keypoints), tmp_path))
    assert data.layout.num_joints == num_joints
    np.testing.assert_allclose(data.keypoints, keypoints, rtol=1e-5)


def test_frames_without_people_stay(tmp_path: Path) -> None:
    keypoints = bodies(26, 1, in_parts=False)
    content = FORMS["mmpose"](keypoints)
    content[1]["instances"] = []
    data = load_sidecar(write(content, tmp_path))
    assert [len(Sidecar(data).detect(None, frame, 0.0, None)) for frame in range(5)] == [1, 0, 1, 1, 0]
    coco = as_layout(Sidecar(data), "coco17").detect(None, 2, 0.0, None)
    np.testing.assert_allclose(coco.keypoints[0], keypoints[2, 0, :17], rtol=1e-5)
    assert data.layout is HALPE26


# --- what is refused, and what is found --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "No columns to parse"),
        ("frame,a,b\n0,1,2\n", "columns of no known layout: joints none"),
        ("frame,nose_x,nose_y\n0,1,2\n", "columns of no known layout: joints nose"),
        ("x0,y0,x1,y1\n1,2,3,4\n", "2 joints: of no known layout"),
        (",".join(f"x{j},y{j}" for j in range(25)) + "\n" + ",".join("7" * 50), "openpose25 or kinect25"),
        ("frame,landmark_index,x\n0,0,5\n", "a row a joint, but no column y"),
        ("landmark_index,x,y\n" + "\n".join(f"{j},5,6" for j in range(17)), "neither frames nor times"),
        ("frame," + ",".join(f"x{j},y{j}" for j in range(17)) + "\n0.5" + ",9" * 34, "no frame numbers"),
        ("frame," + ",".join(f"x{j},y{j}" for j in range(17)) + "\n999999" + ",9" * 34, "frame numbers from"),
        ("frame," + ",".join(f"x{j},y{j}" for j in range(17)) + "\n0" + ",a" * 34, "could not convert"),
    ],
)  # fmt: skip
def test_tables_of_no_known_form_are_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.keypoints.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        load_sidecar(path)
    assert caught.value.stage == "skeletons"
    assert "x.keypoints.csv" in caught.value.reason and "\n" not in caught.value.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "is not a file of keypoints"),
        ("{}", "no list of frames"),
        ("[1, 2]", "no list of frames"),
        ("[]", "bodies of no joints"),
        ('[{"image_id": "a.jpg", "keypoints": [1, 2, 3]}]', "image_id 'a.jpg' holds no number"),
        ('[{"image_id": 0, "keypoints": [1, 2, 3]}]', "1 joints: of no known layout"),
        ('[{"image_id": 0, "keypoints": [1, 2]}]', "cannot reshape"),
        ('[{"landmarks": [{"x": 1}]}]', "no 'y'"),
        ('[{"image_id": 0, "keypoints": [1, 2, 3]}, {"image_id": 1, "keypoints": [1, 2, 3, 4, 5, 6]}]',
         "bodies of 1, 2 joints"),
        ('[{"frame_id": 0, "instances": [{}]}]', "no 'keypoints'"),
    ],
)  # fmt: skip
def test_json_of_no_known_form_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.keypoints.json"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        load_sidecar(path)
    assert "x.keypoints.json" in caught.value.reason and "\n" not in caught.value.reason


def test_some_times_are_no_times(tmp_path: Path) -> None:
    content = FORMS["mmpose"](bodies(17, 1, in_parts=False))
    content[0]["t_seconds"] = 0.0
    with pytest.raises(InputError, match="times of 1 of 4 frames"):
        load_sidecar(write(content, tmp_path))


def test_tables_are_found_beside_a_video_and_alone(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    for name in ("a", "b"):
        table = wide(bodies(17, in_parts=False), list(COCO17.joints), "{joint}_{what}", "score")
        table["t_seconds"] = np.arange(NUM_FRAMES) / 10
        table.to_csv(tmp_path / f"{name}.keypoints.csv", index=False)
    sources, _ = discover([tmp_path], sidecars=True, frames_fps=None)
    found = {source.name: (source.kind, source.sidecar and source.sidecar.name) for source in sources}
    assert found == {"a.mp4": ("video", "a.keypoints.csv"), "b.keypoints.csv": ("keypoints", None)}
    facts = probe(Source(tmp_path / "b.keypoints.csv", "b", "keypoints"), Limits())
    assert facts.duration == pytest.approx(0.4)


def test_parts_of_a_picture_need_the_picture(tmp_path: Path) -> None:
    path = save(wide(bodies(), list(MEDIAPIPE33.joints), "{joint}_{what}"), tmp_path)
    with pytest.raises(InputError, match="coordinates are parts of a picture of unknown size"):
        probe(Source(path, "x", "keypoints", fps=25.0), Limits())


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_damaged_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    if kind == "csv":
        whole = save(wide(bodies(17, 2, in_parts=False), list(COCO17.joints), "{joint}_{what}"), tmp_path)
    else:
        whole = write(FORMS["alphapose"](bodies(17, 2, in_parts=False)), tmp_path)
    content, rng, num_refused = whole.read_bytes(), np.random.default_rng(1), 0
    for _ in range(120):
        damaged = bytearray(content[: rng.integers(1, len(content))] if rng.random() < 0.3 else content)
        for place in rng.integers(len(damaged), size=3):
            damaged[place] = rng.integers(256)
        whole.write_bytes(damaged)
        try:
            load_sidecar(whole)
        except InputError as error:
            num_refused += 1
            assert "\n" not in error.reason
    assert num_refused > 20


def test_a_crowd_in_a_long_gap_is_refused(tmp_path: Path) -> None:
    """Few bytes may not ask for much memory."""
    people = [{"image_id": 0, "keypoints": [5.0] * 51}] * 300
    people += [{"image_id": frame, "keypoints": [5.0] * 51} for frame in range(1500, 150_000, 1500)]
    with pytest.raises(InputError, match="frames of up to 300 people"):
        load_sidecar(write(people, tmp_path))
