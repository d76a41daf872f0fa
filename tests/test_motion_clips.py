"""The converter of the motion data set, on made-up motion whose projection is known."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from preprocessing.skeletons import load_sidecar
from preprocessing.skeletons.layouts import BANDAI22
from tools.motion_clips import (
    FLOOR_Y,
    JOINT,
    PICTURE_WH,
    PIXELS_PER_CM,
    Clip,
    choose,
    front,
    main,
    project,
    read_clips,
    shuffled,
)
from videofer.datasets.manifest import read_manifest

FPS = 30.0
CENTRE_X = PICTURE_WH[0] / 2


def standing(num_frames: int = 90) -> np.ndarray:
    """(T, 22, 3) cm: somebody who faces +z and holds the left hand out to the side and to the front."""
    xyz = np.zeros((num_frames, 22, 3))
    height = {"Hips": 90, "Spine": 100, "Chest": 115, "Neck": 135, "Head": 145, "Foot": 10, "LowerLeg": 50}
    height |= {"Shoulder": 132, "UpperArm": 130, "LowerArm": 105, "Hand": 85, "UpperLeg": 88, "Toes": 2}
    width = {
        "Shoulder": 5,
        "UpperArm": 20,
        "LowerArm": 22,
        "Hand": 24,
        "UpperLeg": 9,
        "LowerLeg": 9,
        "Foot": 9,
    }
    for name, joint in JOINT.items():
        part, _, side = name.partition("_")
        if name != "joint_Root":
            sign = {"L": 1, "R": -1, "": 0}[side]  # facing +z with y up, left is +x
            xyz[:, joint] = (sign * width.get(part, 9), height[part], 15 if part == "Toes" else 0)
    xyz[:, JOINT["Hand_L"]] = (60, 130, 40)
    return xyz


def turned(xyz: np.ndarray, degrees: float) -> np.ndarray:
    """About the vertical axis, counterclockwise as seen from above."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return xyz @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T


def save(path: Path, clips: list[Clip], **changed: object) -> Path:
    lengths = [len(clip.xyz) for clip in clips]
    arrays = {
        "xyz": np.concatenate([clip.xyz for clip in clips]).astype(np.float16),
        "start": np.cumsum([0, *lengths]).astype(np.int32),
        "content": np.array([clip.content for clip in clips]),
        "style": np.array([clip.style for clip in clips]),
        "take": np.array([clip.take for clip in clips]),
        "joint": np.array(BANDAI22.joints),
        "fps": np.float32(FPS),
    }
    np.savez(path, **{**arrays, **changed})
    return path


def test_from_the_front_left_is_right() -> None:
    keypoints = project(standing(), FPS, 0.0)
    np.testing.assert_allclose(front(standing()), (0, 0, 1), atol=1e-12)
    hand = (CENTRE_X + PIXELS_PER_CM * 60, FLOOR_Y - PIXELS_PER_CM * 130, 1)
    np.testing.assert_allclose(keypoints[:, JOINT["Hand_L"]], np.tile(hand, (90, 1)), atol=1e-3)
    assert (keypoints[:, JOINT["Hand_R"], 0] < CENTRE_X).all()
    assert (keypoints[:, JOINT["joint_Root"]] == 0).all() and (keypoints[:, 1:, 2] == 1).all()


def test_views_are_counted_from_the_body_s_own_front() -> None:
    """Seen from its left (+90 degrees) a body looks to the left of the picture: its front has a smaller x."""
    for direction in (0.0, 70.0, 200.0):
        body = turned(standing(), direction)
        np.testing.assert_allclose(project(body, FPS, 0.0), project(standing(), FPS, 0.0), atol=1e-2)
        from_left, from_right = project(body, FPS, 90.0), project(body, FPS, -90.0)
        toes, hand = JOINT["Toes_L"], JOINT["Hand_L"]
        np.testing.assert_allclose(from_left[0, [toes, hand], 0] - CENTRE_X, [-30, -80], atol=1e-2)
        np.testing.assert_allclose(from_right[0, [toes, hand], 0] - CENTRE_X, [30, 80], atol=1e-2)
        np.testing.assert_allclose(from_left[..., 1], from_right[..., 1], atol=1e-3)


def test_the_camera_pans_with_a_walk_and_not_with_a_sway() -> None:
    seconds = np.arange(120) / FPS
    still = project(standing(120), FPS, 30.0)
    walking = (
        standing(120) + np.stack([0 * seconds, 0 * seconds, -120 * seconds], axis=1)[:, None]
    )  # backwards
    np.testing.assert_allclose(front(walking), (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(project(walking, FPS, 30.0), still, atol=1e-2)
    sway = 4 * np.sin(2 * np.pi * 2 * seconds)  # cm, twice a second
    swaying = project(standing(120) + np.stack([sway, 0 * sway, 0 * sway], axis=1)[:, None], FPS, 0.0)
    seen = (
        swaying[30:-30, JOINT["Head"], 0] - CENTRE_X
    )  # at the ends there is half of the time to smooth over
    np.testing.assert_allclose(seen, PIXELS_PER_CM * sway[30:-30], atol=0.02 * PIXELS_PER_CM * 4)


def make_clips() -> list[Clip]:
    clips = [Clip(standing(60), c, s, "001") for c in ("bow", "walk") for s in ("angry", "normal", "tired")]
    return [*clips, Clip(standing(60), "kick", "normal", "001"), Clip(standing(20), "walk", "normal", "002")]


def test_clips_that_give_the_style_away_are_left_out_and_named() -> None:
    kept, left_out = choose(make_clips(), FPS, min_seconds=1.5)
    assert [clip.name for clip in kept] == [clip.name for clip in make_clips()[:6]]
    assert left_out == [
        "kick_normal_001: kick was recorded in one style only",
        "walk_normal_002: 0.67 s long",
    ]


def test_the_control_deals_styles_anew_within_each_content() -> None:
    clips = [Clip(standing(2), f"c{n % 3}", f"s{n}", "001") for n in range(60)]
    dealt = shuffled(clips)
    assert dealt == shuffled(clips) and dealt != [clip.style for clip in clips]
    for content in range(3):
        assert sorted(dealt[content::3]) == sorted(clip.style for clip in clips[content::3])


def test_a_whole_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "motion.npz", make_clips())
    monkeypatch.setattr(
        sys, "argv", ["motion_clips.py", str(path), str(tmp_path / "out"), "--views", "-20", "0"]
    )
    main()
    table = read_manifest(tmp_path / "out" / "manifest.csv", classes=["normal", "anger", "tired"])
    assert len(table) == 12
    assert set(zip(table["label"], table["style"], strict=True)) == {
        ("anger", "angry"),
        ("normal", "normal"),
        ("tired", "tired"),
    }
    assert set(table["view_degrees"]) == {"-20", "0"} and set(table["family"]) == {"gesture", "locomotion"}
    assert table.groupby("clip")["name"].nunique().eq(2).all()
    for name in table["name"]:
        data = load_sidecar(tmp_path / "out" / name)
        assert data.layout is BANDAI22 and data.keypoints.shape == (60, 1, 22, 3)
        assert (data.fps, data.size_wh) == (FPS, PICTURE_WH)
    with (tmp_path / "out" / "manifest_shuffled.csv").open() as file:
        control = list(csv.DictReader(file))
    assert [row["name"] for row in control] == table["name"].tolist()
    assert {(row["clip"], row["label"]) for row in control if row["view_degrees"] == "0"} == {
        (row["clip"], row["label"]) for row in control if row["view_degrees"] == "-20"
    }


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04")
    cases = {
        broken: "cannot be read",
        save(tmp_path / "a.npz", make_clips(), joint=np.array(BANDAI22.joints[::-1])): "its joints are not",
        save(tmp_path / "b.npz", make_clips(), start=np.arange(9)): "start has 9 entries to 8",
    }
    np.savez(tmp_path / "c.npz", xyz=np.zeros(3))
    cases[tmp_path / "c.npz"] = "no array content, fps, joint"
    for path, reason in cases.items():
        with pytest.raises(ValueError, match=reason) as caught:
            read_clips(path)
        assert "\n" not in str(caught.value)


def test_the_real_data_set(shared_data: Path) -> None:
    path = shared_data / "skeleton" / "bandai_namco1_joints3d.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the shared data")
    clips, fps = read_clips(path)
    kept, left_out = choose(clips, fps, min_seconds=1.5)
    assert (len(clips), len(kept), len(left_out)) == (174, 161, 13)
    assert len({clip.style for clip in kept}) == 15 and len({clip.content for clip in kept}) == 10
    for clip in kept[::20]:
        for view in (-30.0, 0.0, 30.0):
            keypoints = project(clip.xyz, fps, view)
            seen = keypoints[keypoints[..., 2] > 0]
            assert (seen[:, :2] > 0).all() and (seen[:, :2] < PICTURE_WH).all()
