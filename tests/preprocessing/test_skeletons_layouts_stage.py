"""Keypoint files of a layout of their own through the whole stage, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from cache.errors import StoreError
from cache.reader import StoreReader
from cache.schema import State
from cache.store import Store
from cache.verify import verify
from preprocessing.skeletons.layouts import BANDAI22, LAYOUTS, mapping
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tests.pose_models import colour_model, coloured_body, rtmdet_model

FPS = 25.0
NUM_FRAMES = 60
SPEC = PreprocessSpec(faces="precropped", pose="sidecar", skeleton="bandai22")


def write_keypoints(path: Path, layout: str = "bandai22", num_persons: int = 1) -> np.ndarray:
    """People who stand side by side and sway: (T, P, J, 3), all joints seen with score 0.9."""
    rng = np.random.default_rng(num_persons)
    num_joints = LAYOUTS[layout].num_joints
    shape = rng.uniform((-40, -150), (40, 150), (num_persons, num_joints, 2))
    centre = np.stack([150 + 250.0 * np.arange(num_persons), np.full(num_persons, 200.0)], axis=1)
    sway = 8 * np.sin(np.arange(NUM_FRAMES) / 9)[:, None, None, None] * (1, 0)
    keypoints = np.full((NUM_FRAMES, num_persons, num_joints, 3), 0.9, np.float32)
    keypoints[..., :2] = shape + centre[:, None] + sway
    np.savez(
        path,
        keypoints=keypoints,
        layout=layout,
        joints=np.array(LAYOUTS[layout].joints),
        fps=FPS,
        size_wh=np.array([800, 480]),
    )
    return keypoints


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A store of one file with two people, and their keypoints."""
    folder = tmp_path_factory.mktemp("layouts")
    keypoints = write_keypoints(folder / "two.keypoints.npz", num_persons=2)
    report = preprocess([folder / "two.keypoints.npz"], folder / "store", SPEC)
    assert report.failures == []
    return folder / "store", keypoints


def test_joints_come_back_as_they_were(stored: tuple[Path, np.ndarray]) -> None:
    path, keypoints = stored
    store = Store.open(path)
    assert store.contract["skeleton"] == "bandai22"
    assert verify(store, deep=True) == []
    reader = StoreReader(path)
    (video,) = reader.videos()
    assert (video.kind, video.width, video.height, video.num_frames) == ("keypoints", 800, 480, NUM_FRAMES)
    assert len(video.persons) == 2
    for person in video.persons:  # numbered from left to right
        track = reader.track(video.key, person.id)
        assert track.layout == BANDAI22.name
        np.testing.assert_array_equal(track.keypoints, keypoints[:, person.id])
        np.testing.assert_allclose(track.t_start, np.arange(NUM_FRAMES) / FPS, atol=1e-6)
        assert person.body_states == {"ok": NUM_FRAMES} and person.face_states == {"absent": NUM_FRAMES}


def test_joints_without_names_are_stored_as_they_are(tmp_path: Path) -> None:
    keypoints = write_keypoints(tmp_path / "x.keypoints.npz", layout="emilya28")
    spec = PreprocessSpec(faces="precropped", pose="sidecar", skeleton="emilya28")
    assert preprocess([tmp_path / "x.keypoints.npz"], tmp_path / "store", spec).failures == []
    reader = StoreReader(tmp_path / "store")
    (video,) = reader.videos()
    np.testing.assert_array_equal(reader.track(video.key, video.persons[0].id).keypoints, keypoints[:, 0])


def test_states_follow_the_scores_of_all_joints(tmp_path: Path) -> None:
    path = tmp_path / "x.keypoints.npz"
    keypoints = write_keypoints(path)
    keypoints[:, :, 0] = 0  # the rig's handle, never seen: it neither bounds the body nor lowers its score
    keypoints[20:25, :, 1:, 2] = 0.4
    keypoints[30:33] = 0
    np.savez(path, keypoints=keypoints, layout="bandai22", fps=FPS)
    report = preprocess([path], tmp_path / "store", SPEC)
    assert report.failures == []
    reader = StoreReader(tmp_path / "store")
    (video,) = reader.videos()
    (person,) = video.persons
    assert person.body_states == {"ok": 52, "low_quality": 5, "absent": 3}
    track = reader.track(video.key, person.id)
    expected = np.full(NUM_FRAMES, State.OK)
    expected[20:25], expected[30:33] = State.LOW_QUALITY, State.ABSENT
    np.testing.assert_array_equal(track.body_state, expected)
    assert (track.keypoints[:, 0] == 0).all()


def test_a_file_of_another_layout_fails_with_its_reason(
    stored: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    path, _ = stored
    write_keypoints(tmp_path / "coco.keypoints.npz", layout="coco17")
    report = preprocess([tmp_path / "coco.keypoints.npz"], path, SPEC)
    (failure,) = report.failures
    assert (failure.name, failure.stage) == ("coco.keypoints.npz", "skeletons")
    assert failure.reason.startswith("its joints are coco17, those of this store are bandai22")
    write_keypoints(tmp_path / "two.keypoints.npz", num_persons=2)
    other = SPEC.model_copy(update={"skeleton": "coco17"})
    report = preprocess([tmp_path / "two.keypoints.npz"], tmp_path / "store", other)
    assert [failure.reason for failure in report.failures] == [
        "its joints are bandai22, those of this store are coco17: "
        "bandai22 has no nose, left_eye, right_eye and 2 more"
    ]


def test_one_store_has_one_layout(stored: tuple[Path, np.ndarray]) -> None:
    path, _ = stored
    with pytest.raises(StoreError, match="skeleton"):
        preprocess([path.parent / "two.keypoints.npz"], path, SPEC.model_copy(update={"skeleton": "coco17"}))


def test_the_contract_names_the_layout() -> None:
    assert PreprocessSpec().contract()["skeleton"] == "none"
    assert PreprocessSpec(pose="sidecar").contract()["skeleton"] == "coco17"
    assert SPEC.contract()["skeleton"] == "bandai22"
    with pytest.raises(ValidationError, match="'h36m' is not one of coco17, wholebody133"):
        PreprocessSpec(pose="sidecar", skeleton="h36m")
    for pose in ("none", "onnx:pose.onnx"):
        with pytest.raises(ValidationError, match=f"needs pose sidecar, not {pose}"):
            PreprocessSpec(pose=pose, skeleton="bandai22")


@pytest.mark.parametrize(("skeleton", "num_joints"), [("wholebody133", 133), ("openpose25", 25)])
def test_whole_bodies_and_their_parts_are_stored(tmp_path: Path, skeleton: str, num_joints: int) -> None:
    """A network of 133 points over a folder of pictures: all are stored, or those of another layout."""
    pose = colour_model(tmp_path / "whole.onnx", joints=133, simcc=True)
    person = rtmdet_model(tmp_path / "person.onnx", [[100.0, 50, 200, 190, 0.9]], [0])
    column, row = np.divmod(np.arange(133) * 37 % 133, 14)  # the body's own joints are spread over all
    truth = np.stack([212 + 20.0 * column, 112 + 20.0 * row], axis=1)  # in the box, a grid of points
    picture = coloured_body(truth, (640, 480), sigma=6)
    folder = tmp_path / "frames"
    folder.mkdir()
    for n in range(12):
        cv2.imwrite(str(folder / f"{n:03}.png"), np.roll(picture, 2 * n, axis=1)[..., ::-1])
    spec = PreprocessSpec(faces="precropped", pose=f"onnx:{pose},{person}", skeleton=skeleton, frames_fps=25)
    report = preprocess([folder], tmp_path / "store", spec)
    assert report.failures == []
    reader = StoreReader(tmp_path / "store")
    (video,) = reader.videos()
    (stored_person,) = [p for p in video.persons if p.bodies]
    track = reader.track(video.key, stored_person.id)
    assert track.layout == Store.open(tmp_path / "store").contract["skeleton"] == skeleton
    assert track.keypoints.shape == (12, num_joints, 3)
    expected = truth + np.arange(12)[:, None, None] * (2, 0)
    if skeleton != "wholebody133":
        change = mapping(LAYOUTS["wholebody133"], LAYOUTS[skeleton])
        expected = change(np.concatenate([expected, np.ones((12, 133, 1))], axis=2))[..., :2]
    assert np.abs(track.keypoints[..., :2] - expected).max() < 4
    assert (track.keypoints[..., 2] > 0.5).all()
    kept = "" if skeleton == "wholebody133" else f"; of its wholebody133 joints those of {skeleton} are kept"
    assert video.provenance["skeletons"]["reason"] == f"whole.onnx with person.onnx{kept}"
