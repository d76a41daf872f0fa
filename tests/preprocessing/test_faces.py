"""Face detectors: which one is chosen, what they find in real footage, and that neighbours do not matter."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data

from preprocessing import faces
from preprocessing.align import TEMPLATE, apply_warp, similarity_from_landmarks, warp_face
from preprocessing.device import CPU
from preprocessing.faces.mtcnn import PIXELS, Cascade
from preprocessing.faces.yunet import DYNAMIC_FILE, PUBLISHED_FILE
from preprocessing.network import run_one
from preprocessing.types import FaceDetector, Faces
from preprocessing.weights import EngineChoice, WeightsError

SIZE = 112


def footage(path: Path, long_side: int, every: int = 1) -> Iterator[np.ndarray]:
    """Frames (h, w, 3) uint8 RGB of a video, reduced to a long side."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                image = frame.to_ndarray(format="rgb24")
                scale = min(1.0, long_side / max(image.shape))
                yield cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def mtcnn() -> FaceDetector:
    return faces.build(faces.resolve("mtcnn"))


@pytest.fixture(scope="module")
def yunet(shared_weights: Path) -> FaceDetector:
    return faces.build(faces.resolve("yunet", shared_weights))


@pytest.fixture(scope="module")
def yunet_opencv(shared_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceDetector:
    folder = tmp_path_factory.mktemp("only-published")
    shutil.copy(shared_weights / PUBLISHED_FILE, folder)
    return faces.build(faces.resolve("yunet", folder))


@pytest.fixture(params=["mtcnn", "yunet", "yunet_opencv"])
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    found: FaceDetector = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


def assert_same(one: Faces, other: Faces) -> None:
    np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
    np.testing.assert_array_equal(one.landmarks_xy, other.landmarks_xy)
    np.testing.assert_array_equal(one.scores, other.scores)


# --- which one ---------------------------------------------------------------------------------------


def test_auto_takes_mtcnn_where_yunet_cannot_be_had() -> None:
    choice = faces.resolve("auto")
    assert choice.name == "mtcnn"
    assert "YuNet's weights are neither on this machine nor downloadable" in choice.reason
    assert set(choice.weights) == {"pnet.pt", "rnet.pt", "onet.pt"}
    assert pickle.loads(pickle.dumps(choice)) == choice


def test_auto_takes_yunet_where_its_weights_are(shared_weights: Path, tmp_path: Path) -> None:
    assert set(faces.resolve("auto", shared_weights).weights) == {DYNAMIC_FILE}
    shutil.copy(shared_weights / PUBLISHED_FILE, tmp_path)
    choice = faces.resolve("auto", tmp_path)
    assert choice.name == "yunet"
    assert set(choice.weights) == {PUBLISHED_FILE}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("yunet", "weights of yunet are missing: .* gets face_detection_yunet_2023mar.onnx"),
        ("s3fd", "unknown face detector 's3fd'; known: auto, yunet, mtcnn, precropped"),
    ],
)
def test_detector_that_cannot_be_had_is_refused(name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        faces.resolve(name)
    with pytest.raises(WeightsError, match="unknown face detector 's3fd'"):
        faces.build(EngineChoice("s3fd"))


@pytest.mark.parametrize("name", [DYNAMIC_FILE, PUBLISHED_FILE])
def test_poisoned_weights_are_refused(name: str, shared_weights: Path, tmp_path: Path) -> None:
    content = bytearray((shared_weights / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    for engine in ("auto", "yunet"):
        with pytest.raises(WeightsError, match=f"{name} is not the published file"):
            faces.resolve(engine, tmp_path)


def test_worker_refuses_weights_that_changed(shared_weights: Path, tmp_path: Path) -> None:
    shutil.copy(shared_weights / DYNAMIC_FILE, tmp_path)
    choice = faces.resolve("yunet", tmp_path)
    (tmp_path / DYNAMIC_FILE).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="the run was started with"):
        faces.build(choice)


# --- what they find ----------------------------------------------------------------------------------


def test_batch_neighbours_do_not_matter(detector: FaceDetector, astronaut: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape, np.uint8)
    images = [astronaut, noise, astronaut[:, ::-1], astronaut // 2]
    together = detector.detect(images)
    assert [len(found) for found in together] == [1, 0, 1, 1]
    for image, found in zip(images, together, strict=True):
        assert_same(found, detector.detect([image])[0])
    assert detector.detect([]) == []


def test_the_cascade_finds_the_same_in_batches(astronaut: np.ndarray) -> None:
    """As it runs on a GPU. Its three networks take crops of all pictures together: last digits may differ."""
    noise = np.random.default_rng(0).integers(0, 256, astronaut.shape, np.uint8)
    images = [astronaut, noise, astronaut[:, ::-1].copy(), astronaut // 2]
    alone, together = Cascade()(CPU), Cascade(batches=True)(CPU)
    for image, answer in zip(images, together.run_batch(images, PIXELS), strict=True):
        for ours, theirs in zip(run_one(alone, image, PIXELS), answer, strict=True):
            assert theirs.shape == ours.shape
            np.testing.assert_allclose(theirs, ours, atol=1e-3)
    (scores,) = run_one(together, astronaut, PIXELS, ["scores"])
    assert scores.shape == (1, 1) and scores[0, 0] > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (19, 400), (400, 19), (31, 33), (64, 64)])
def test_small_and_oblong_pictures(detector: FaceDetector, shape: tuple[int, int]) -> None:
    (found,) = detector.detect([np.full((*shape, 3), 128, np.uint8)])
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.landmarks_xy.shape == (0, 5, 2)
    assert found.scores.shape == (0,)


def test_face_at_every_edge(detector: FaceDetector, astronaut: np.ndarray) -> None:
    for x in range(0, 230, 23):
        for found in detector.detect(
            [astronaut[40:200, x : x + 160], astronaut[x // 2 : x // 2 + 160, 130:320]]
        ):
            assert np.isfinite(found.boxes_xyxy).all()
            assert np.isfinite(found.landmarks_xy).all()


@pytest.mark.parametrize("degrees", [0, -20, 20])
def test_crop_is_upright_with_the_eyes_in_place(
    detector: FaceDetector, astronaut: np.ndarray, degrees: float
) -> None:
    turn = cv2.getRotationMatrix2D((224, 112), degrees, 1.0)
    turned = cv2.warpAffine(astronaut, turn, (512, 512), borderMode=cv2.BORDER_REFLECT)
    (found,) = detector.detect([turned])
    assert len(found) == 1
    assert 0.7 <= found.scores[0] <= 1
    landmarks = found.landmarks_xy[0]
    assert landmarks[0, 0] < landmarks[1, 0]  # the eye at the image's left comes first
    assert landmarks[3, 0] < landmarks[4, 0]
    x0, y0, x1, y1 = found.boxes_xyxy[0]
    assert x0 < landmarks[:, 0].min() < landmarks[:, 0].max() < x1
    assert y0 < landmarks[:, 1].min() < landmarks[:, 1].max() < y1
    warp = similarity_from_landmarks(found.landmarks_xy, SIZE)[0]
    eyes = apply_warp(warp, landmarks[:2])
    # The template's face is not the astronaut's: eyes and nose share the misfit.
    assert np.abs(eyes - TEMPLATE[:2] * SIZE).max() < 2
    # In the crop the detector finds the same eyes again, level.
    crop = warp_face(turned, warp, SIZE)
    framed = cv2.copyMakeBorder(crop, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    (again,) = detector.detect([framed])
    assert np.abs(again.landmarks_xy[0, :2] - 40 - TEMPLATE[:2] * SIZE).max() < 4.5


def test_detectors_agree(
    mtcnn: FaceDetector, yunet: FaceDetector, yunet_opencv: FaceDetector, shared_data: Path
) -> None:
    images = list(footage(shared_data / "videos" / "interview_one_face.mp4", 480, every=40))
    found = [each.detect(images) for each in (mtcnn, yunet, yunet_opencv)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        errors = []
        for a, b in zip(found[one], found[other], strict=True):
            assert len(a) == len(b) == 1
            width = a.boxes_xyxy[0, 2] - a.boxes_xyxy[0, 0]
            errors.append(np.linalg.norm(a.landmarks_xy[0, :2] - b.landmarks_xy[0, :2], axis=1) / width)
        assert np.mean(errors) < 0.04  # of the face's width, eyes


@pytest.mark.parametrize("long_side", [640, 480, 320])
def test_yunet_on_real_footage(yunet: FaceDetector, shared_data: Path, long_side: int) -> None:
    videos = shared_data / "videos"

    def counts(name: str) -> list[int]:
        return [len(found) for found in yunet.detect(list(footage(videos / name, long_side)))]

    assert counts("no_face.mp4") == [0] * 95
    assert counts("face_then_none_vfr_hevc.mov") == [1] * 72 + [0] * 97
    assert counts("four_faces_portrait.mp4") == [4] * 5
    if long_side == 320:  # the fastest; the other sizes give the same
        assert counts("interview_one_face.mp4") == [1] * 472


def test_mtcnn_on_real_footage(mtcnn: FaceDetector, shared_data: Path) -> None:
    videos = shared_data / "videos"

    def counts(name: str, every: int) -> list[int]:
        return [len(found) for found in mtcnn.detect(list(footage(videos / name, 480, every)))]

    assert counts("no_face.mp4", 4) == [0] * 24
    assert counts("face_then_none_vfr_hevc.mov", 8) == [1] * 9 + [0] * 13
    assert counts("four_faces_portrait.mp4", 1) == [4] * 5
    assert counts("interview_one_face.mp4", 16) == [1] * 30


def test_mtcnn_leaves_torch_its_threads(mtcnn: FaceDetector, astronaut: np.ndarray) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        mtcnn.detect([astronaut])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# --- faces that are cropped already ------------------------------------------------------------------


def test_precropped_square_becomes_its_crop_by_scaling_alone() -> None:
    detector = faces.build(faces.resolve("precropped"))
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    (found,) = detector.detect([picture])
    warp = similarity_from_landmarks(found.landmarks_xy, SIZE)[0]
    np.testing.assert_array_equal(warp_face(picture, warp, SIZE), picture)
    np.testing.assert_array_equal(found.boxes_xyxy, [[0, 0, SIZE, SIZE]])
    assert found.scores.tolist() == [1.0]


def test_precropped_oblong_picture_is_whole_in_its_crop() -> None:
    detector = faces.build(faces.resolve("precropped"))
    (found,) = detector.detect([np.zeros((200, 100, 3), np.uint8)])
    warp = similarity_from_landmarks(found.landmarks_xy, SIZE)[0]
    corners = apply_warp(warp, np.array([[0, 0], [100, 200]]))
    np.testing.assert_allclose(corners, [[28, 0], [84, 112]], atol=1e-3)
