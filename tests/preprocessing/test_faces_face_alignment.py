"""face-alignment's detectors: what they find in real footage, and that their reading is the library's own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from cache.schema import State
from preprocessing import faces
from preprocessing.engines import engines_of
from preprocessing.faces import blazeface, retinaface, scrfd, sfd
from preprocessing.faces.blazeface import BlazeFace
from preprocessing.faces.retinaface import RetinaFace
from preprocessing.faces.scrfd import SCRFD
from preprocessing.network import Answer, Port, run_one
from preprocessing.spec import PreprocessSpec
from preprocessing.torch_network import TorchFile, TorchNetwork
from preprocessing.tracking.association import box_iou
from preprocessing.types import Faces, Source
from preprocessing.weights import EngineChoice, WeightFile, WeightsError
from tests.preprocessing.test_faces import assert_same, footage
from tests.preprocessing.test_landmarks_mesh import portrait_video, stored

pytest.importorskip("face_alignment", reason="the extra `face-alignment` is not installed")


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """(96, 128, 3): a face, small enough for large networks."""
    picture = skimage.data.astronaut()[40:220, 110:350]
    return np.asarray(cv2.resize(picture, (128, 96), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def blaze(shared_weights: Path) -> BlazeFace:
    detector = faces.build(faces.resolve("face-alignment:blazeface", shared_weights))
    assert isinstance(detector, BlazeFace)
    return detector


# --- real weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["face-alignment:blazeface", "face-alignment:yunet"])
@pytest.mark.parametrize(
    ("video", "every"), [("interview_one_face.mp4", 236), ("neutral_to_smile.mp4", 35), ("asl/book.mkv", 40)]
)
def test_the_face_of_a_real_video_is_found_where_yunet_finds_it(
    name: str, video: str, every: int, shared_data: Path, shared_weights: Path
) -> None:
    detector = faces.build(faces.resolve(name, shared_weights))
    reference = faces.build(faces.resolve("yunet", shared_weights))
    for picture in footage(shared_data / "videos" / video, 512, every):
        (truth,), (found,) = reference.detect([picture]), detector.detect([picture])
        assert len(truth) == len(found) == 1
        assert box_iou(truth.boxes_xyxy, found.boxes_xyxy)[0, 0] > 0.6
        distance = np.linalg.norm(truth.landmarks_xy[0] - found.landmarks_xy[0], axis=1)
        eyes = float(np.linalg.norm(truth.landmarks_xy[0, 1] - truth.landmarks_xy[0, 0]))
        assert distance[:3].mean() < 0.3 * eyes
        assert distance.max() < 0.45 * eyes
        assert found.scores[0] >= detector.sure_score


def test_blazeface_finds_nobody_where_nobody_is(shared_data: Path, blaze: BlazeFace) -> None:
    pictures = list(footage(shared_data / "videos" / "no_face.mp4", 512, 16))
    assert [len(found) for found in blaze.detect(pictures)] == [0] * len(pictures)


def test_blazeface_finds_faces_that_are_small(shared_data: Path, blaze: BlazeFace) -> None:
    """Four, 22 to 29 pixels wide in 270 x 480: most of them."""
    pictures = list(footage(shared_data / "videos" / "four_faces_portrait.mp4", 512, 2))
    counts = [len(found) for found in blaze.detect(pictures)]
    assert min(counts) >= 2 and max(counts) <= 4


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [
        ((100, 100), [[0, 0, 100]]),
        ((200, 100), [[0, -50, 200], [0, 0, 100], [50, 0, 100], [100, 0, 100]]),
        ((100, 160), [[-30, 0, 160], [0, 0, 100], [0, 30, 100], [0, 60, 100]]),
    ],
)
def test_squares_cover_the_picture(size_wh: tuple[int, int], expected: list[list[float]]) -> None:
    found = blazeface.squares_of(np.zeros((size_wh[1], size_wh[0], 3), np.uint8))
    np.testing.assert_allclose(found, expected)


def test_the_stage_follows_what_blazeface_finds(shared_weights: Path, tmp_path: Path) -> None:
    spec = PreprocessSpec(faces="face-alignment:blazeface")
    source = Source(portrait_video(tmp_path / "v.mp4", num_frames=12), "v.mp4", "video")
    choices = engines_of(spec, shared_weights)
    assert pickle.loads(pickle.dumps(choices)) == choices
    track = stored(source, choices, spec, tmp_path / "store")
    assert (track.face_state != State.ABSENT).all() and len(track) == 12
    moved = track.face_boxes_xyxy[-1, 0] - track.face_boxes_xyxy[0, 0]
    assert moved == pytest.approx(4 * 11, abs=6)


def test_a_network_is_plain_data_that_passes_between_processes(shared_weights: Path) -> None:
    file = TorchFile(shared_weights / "blazeface.pth", "blazeface")
    assert pickle.loads(pickle.dumps(file)) == file
    assert hash(file) == hash(TorchFile(shared_weights / "blazeface.pth", "blazeface"))
    assert str(file) == "blazeface"


def test_a_closer_look_is_a_better_one(blaze: BlazeFace, shared_data: Path, shared_weights: Path) -> None:
    reference = faces.build(faces.resolve("yunet", shared_weights))
    first, second = [], []
    for picture in footage(shared_data / "videos" / "asl" / "brother.mkv", 512, 20):
        truth = reference.detect([picture])[0].landmarks_xy[0, :3]
        [(_, points, _)] = blaze._look([picture], blazeface.squares_of(picture)[:1], 0.5)
        eyes = np.linalg.norm(truth[1] - truth[0])
        first.append(np.linalg.norm(points[0, :3] - truth, axis=1).mean() / eyes)
        second.append(
            np.linalg.norm(blaze.detect([picture])[0].landmarks_xy[0, :3] - truth, axis=1).mean() / eyes
        )
    assert np.mean(second) < 0.7 * np.mean(first)


def test_blazeface_reads_its_network_as_face_alignment_does(
    shared_weights: Path, blaze: BlazeFace, photograph: np.ndarray
) -> None:
    from face_alignment.detection.blazeface.net_blazeface import BlazeFace as Theirs

    theirs = Theirs()
    theirs.load_state_dict(torch.load(shared_weights / "blazeface.pth", weights_only=True))
    theirs.load_anchors_from_npy(np.load(shared_weights / "anchors.npy"))
    theirs.eval()
    theirs.min_score_thresh = 0.5
    picture = cv2.resize(photograph, (128, 128))
    expected = theirs.predict_on_image(picture).numpy()  # y0, x0, y1, x1, keypoints, score
    network = TorchFile(shared_weights / "blazeface.pth", "blazeface")("cpu")
    answer = run_one(network, picture, blazeface.NORMALISE, ["boxes", "logits"])
    rows = blazeface.decode(answer, np.load(shared_weights / "anchors.npy").astype(np.float64), 0.5)
    assert len(rows) == len(expected) >= 1
    np.testing.assert_allclose(rows, expected[:, [1, 0, 3, 2, *range(4, 17)]], atol=1e-4)


def test_the_corners_of_blazefaces_mouth_are_set_level_with_the_eyes() -> None:
    keypoints = np.array([[10.0, 10], [30, 10], [20, 20], [20, 32], [0, 12], [40, 12]])
    five = blazeface.five_points(keypoints)
    np.testing.assert_array_equal(five[:3], keypoints[:3])
    np.testing.assert_allclose(five[3:].mean(axis=0), [20, 32])
    assert five[3, 1] == five[4, 1] == 32
    assert 5 < five[4, 0] - 20 < 12


@pytest.mark.parametrize("name", ["face-alignment:blazeface", "face-alignment:yunet"])
def test_neighbours_and_batches_change_nothing(name: str, shared_data: Path, shared_weights: Path) -> None:
    detector = faces.build(faces.resolve(name, shared_weights))
    pictures = [
        *list(footage(shared_data / "videos" / "neutral_to_smile.mp4", 320, 20)),
        *list(footage(shared_data / "videos" / "interview_one_face.mp4", 320, 150)),
    ]
    alone = [detector.detect([picture])[0] for picture in pictures]
    together = detector.detect(pictures)
    backwards = detector.detect(pictures[::-1])[::-1]
    in_twos = [found for n in range(0, len(pictures), 2) for found in detector.detect(pictures[n : n + 2])]
    for one, *others in zip(alone, together, backwards, in_twos, strict=True):
        assert len(one) == 1
        for other in others:
            assert_same(one, other)


class InBatches:
    """A place like a GPU's: pictures pass in batches of one size."""

    device = "cpu"

    def network(self, model: TorchFile) -> TorchNetwork:
        network = model("cpu")
        network._batch = 4
        return network


def test_neighbours_change_nothing_where_pictures_pass_in_batches(
    shared_data: Path, shared_weights: Path, blaze: BlazeFace
) -> None:
    choice = faces.resolve("face-alignment:blazeface", shared_weights)
    detector = faces.build(choice, InBatches())  # type: ignore[arg-type]
    pictures = list(footage(shared_data / "videos" / "neutral_to_smile.mp4", 320, 15))
    alone = [detector.detect([picture])[0] for picture in pictures]
    for one, other in zip(alone, detector.detect(pictures), strict=True):
        assert_same(one, other)  # to the last digit: every batch has one size
    for one, here in zip(alone, blaze.detect(pictures), strict=True):
        np.testing.assert_allclose(one.landmarks_xy, here.landmarks_xy, atol=1e-3)


# --- networks with weights of chance, against the library's own reading ------------------------------


def in_order(boxes_xyxy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(n, 5), whatever the order of equal scores."""
    rows = np.concatenate([boxes_xyxy, scores[:, None]], axis=1)
    return rows[np.lexsort(np.round(rows.T, 1))]


def random_weights(module: torch.nn.Module, seed: int = 0) -> None:
    """Weights of chance."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data = torch.randn(parameter.shape, generator=generator) * (2 / fan_in) ** 0.5


def test_sfd_reads_its_network_as_face_alignment_does(tmp_path: Path, photograph: np.ndarray) -> None:
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.detection.sfd.sfd_detector import SFDDetector

    module = s3fd()
    random_weights(module)
    for name, parameter in module.named_parameters():  # some cells see a face, most do not
        if "mbox" in name and name.endswith("weight"):
            parameter.data *= 0.1
        elif name.endswith("mbox_conf.bias"):
            parameter.data[:-1] += 0.25
    torch.save({"state_dict": {f"module.{k}": v for k, v in module.state_dict().items()}}, tmp_path / "m.pth")
    torch.save(module.state_dict(), tmp_path / "s3fd.pth")
    theirs = SFDDetector("cpu", path_to_detector=str(tmp_path / "s3fd.pth"))
    expected = np.array(theirs.detect_from_image(photograph.copy()))
    network = TorchFile(tmp_path / "m.pth", "s3fd")("cpu")  # as saved by a training on several GPUs
    boxes, scores = sfd.decode(run_one(network, photograph, sfd.NORMALISE), sfd.MIN_SCORE)
    assert len(expected) == len(boxes) > 5
    np.testing.assert_allclose(in_order(boxes, scores), in_order(expected[:, :4], expected[:, 4]), atol=0.01)


def test_retinaface_reads_its_network_as_face_alignment_does(tmp_path: Path, photograph: np.ndarray) -> None:
    from face_alignment.detection.retinaface.net_retinaface import RetinaFace as Net
    from face_alignment.detection.retinaface.retinaface_detector import RetinaFaceDetector

    module = Net()
    random_weights(module)
    for name, parameter in module.named_parameters():
        if "Head" in name:
            parameter.data *= 0.2
    torch.save(module.state_dict(), tmp_path / "retinaface.pth")
    choice = EngineChoice("random", {"detector": WeightFile.of(tmp_path / "retinaface.pth")})
    picture = photograph[:, :100]  # no multiple of the strides
    network = TorchFile(tmp_path / "retinaface.pth", "retinaface")("cpu")
    best = np.sort(run_one(network, picture, retinaface.NORMALISE, ["scores"])[0][0, :, 1])[::-1]
    limit = float(best[30:32].mean())  # so that the last digits decide nothing
    their_detector = RetinaFaceDetector(
        "cpu", path_to_detector=str(tmp_path / "retinaface.pth"), confidence_threshold=limit
    )
    expected = np.array(their_detector.detect_from_image(picture[..., ::-1].copy()))  # it takes RGB for BGR
    detector = RetinaFace(choice, min_score=limit)
    found = detector.detect([picture])[0]
    assert len(expected) == len(found) > 5
    ours, theirs = in_order(found.boxes_xyxy, found.scores), in_order(expected[:, :4], expected[:, 4])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=0.01)
    assert_same(found, detector.detect([photograph[:, 28:], picture, picture])[1])


def test_retinafaces_landmarks_are_offsets_from_the_cell() -> None:
    anchors = retinaface.anchors_of(64, 96)
    assert len(anchors) == 2 * (8 * 12 + 4 * 6 + 2 * 3)
    cell = 2 * (3 * 12 + 5) + 1  # row 3, column 5 of stride 8, its larger side
    np.testing.assert_array_equal(anchors[cell], [44, 28, 32])
    boxes, classes = np.zeros((1, len(anchors), 4), np.float32), np.zeros((1, len(anchors), 2), np.float32)
    points = np.zeros((1, len(anchors), 10), np.float32)
    classes[0, cell, 1] = 0.9
    points[0, cell] = np.arange(10)
    found = retinaface.decode([boxes, classes, points], (64, 96), 0.5)
    np.testing.assert_allclose(found.boxes_xyxy, [[28, 12, 60, 44]])
    expected = np.array([44, 28]) + np.arange(10).reshape(5, 2) * 0.1 * 32
    np.testing.assert_allclose(found.landmarks_xy[0], expected, rtol=1e-6)


class Recorded:
    """A network that answers as it was told."""

    def __init__(self, answer: Answer) -> None:
        self.inputs, self.outputs = [Port("image", (1, 3, "H", "W"))], [Port(str(n), ()) for n in range(9)]
        self.answer = answer
        self.seen: list[np.ndarray] = []

    def run_batch(self, images_rgb: Any, normalise: Any, outputs: Any = None) -> list[Answer]:
        self.seen += list(images_rgb)
        return [self.answer] * len(images_rgb)


class At:
    """A place where every model is this network."""

    device = "cpu"

    def __init__(self, network: Recorded) -> None:
        self._network = network

    def network(self, model: Any) -> Recorded:
        return self._network


@pytest.mark.parametrize("batched", [False, True])
def test_scrfd_reads_its_network_as_face_alignment_does(
    tmp_path: Path, photograph: np.ndarray, batched: bool
) -> None:
    from face_alignment.detection.scrfd.scrfd_detector import SCRFDDetector

    rng = np.random.default_rng(0)
    counts = [2 * (640 // stride) ** 2 for stride in scrfd.STRIDES]
    scores = [rng.uniform(0, 0.502, (count, 1)).astype(np.float32) for count in counts]
    sides = [rng.uniform(1, 6, (count, 4)).astype(np.float32) for count in counts]
    points = [rng.uniform(-3, 3, (count, 10)).astype(np.float32) for count in counts]
    theirs = SCRFDDetector.__new__(SCRFDDetector)
    theirs.confidence_threshold, theirs.nms_threshold = scrfd.MIN_SCORE, scrfd.MAX_IOU
    theirs.input_size, theirs.input_mean, theirs.input_std = (640, 640), 127.5, 128.0
    theirs.strides, theirs.num_anchors, theirs._center_cache = list(scrfd.STRIDES), 2, {}
    theirs.input_name, theirs.output_names = "image", []
    theirs.session = type("Session", (), {"run": lambda *_: [*scores, *sides, *points]})()
    expected = np.array(theirs.detect_from_image(photograph.copy()))
    answer = [*scores, *sides, *points]
    if batched:  # some files have a leading dimension, and another order
        answer = [array[None] for array in answer[::-1]]
    path = tmp_path / "scrfd.onnx"
    path.write_bytes(b"anything")
    network = Recorded(answer)
    choice = EngineChoice("face-alignment:scrfd", {"detector": WeightFile.of(path)})
    found = SCRFD(choice, At(network)).detect([photograph])[0]
    assert len(expected) == len(found) > 5
    np.testing.assert_allclose(found.boxes_xyxy, expected[:, :4], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected[:, 4])
    assert network.seen[0].shape == (640, 640, 3)
    assert network.seen[0][480:].max() == 0 < network.seen[0][:480].min(axis=(0, 1)).max() + 1


def test_scrfds_landmarks_are_offsets_from_the_cell() -> None:
    counts = [2 * (640 // stride) ** 2 for stride in scrfd.STRIDES]
    scores, sides, points = ([np.zeros((n, k), np.float32) for n in counts] for k in (1, 4, 10))
    cell = 2 * (3 * 40 + 5)  # row 3, column 5 of stride 16
    scores[1][cell], sides[1][cell], points[1][cell] = 0.8, 1, np.arange(10)
    found = scrfd.decode([*scores, *sides, *points], np.array([2.0, 4.0]), 0.5)
    np.testing.assert_allclose(found.boxes_xyxy, [[64 / 2, 32 / 4, 96 / 2, 64 / 4]])
    expected = (np.array([80, 48]) + 16 * np.arange(10).reshape(5, 2)) / [2, 4]
    np.testing.assert_allclose(found.landmarks_xy[0], expected)


# --- files that will not do --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("face-alignment:sfd", "videofer weights fetch sfd fan` gets s3fd-619a316812.pth"),
        ("face-alignment:blazeface", "fetch blazeface blazeface-anchors` gets blazeface.pth"),
        ("face-alignment:yunet", "of face-alignment:yunet are missing.* face_detection_yunet_2023mar.onnx"),
        ("face-alignment:retinaface", "retinaface_mobilenet0.25.pth .*from https://"),
        ("face-alignment:scrfd", "fetch scrfd --accept-license` gets det_2.5g.onnx"),
        ("face-alignment:dlib", "unknown face detector 'face-alignment:dlib'; known: auto, yunet"),
    ],
)
def test_a_detector_without_its_file_says_which_and_how_to_get_it(name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        faces.resolve(name)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_said_in_one_line(shared_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preprocessing.torch_network.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"'face-alignment:blazeface' is not usable: .*pip install"):
        faces.resolve("face-alignment:blazeface", shared_weights)
    assert faces.resolve("face-alignment:yunet", shared_weights).name == "face-alignment:yunet"


class Harmful:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("harm",)


def test_files_that_are_no_weights_are_refused(
    tmp_path: Path, shared_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    for content, message in (
        (b"", "is damaged, or no file of torch|holds more than weights"),
        (b"no zip, no pickle", "holds more than weights, or is no file of torch"),
        ((shared_weights / "blazeface.pth").read_bytes()[:1000], "is damaged, or no file of torch"),
    ):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            TorchFile(path, "blazeface")("cpu")
    torch.save({"state_dict": {}, "more": Harmful()}, path)
    with pytest.raises(WeightsError, match="holds more than weights"):
        TorchFile(path, "blazeface")("cpu")
    assert "harm" not in capsys.readouterr().out
    with pytest.raises(WeightsError, match="holds other weights than those of s3fd"):
        TorchFile(shared_weights / "blazeface.pth", "s3fd")("cpu")
    for other in ([1, 2], torch.zeros(3), {"state_dict": 5}):
        torch.save(other, path)
        with pytest.raises(WeightsError, match="holds other weights than those of blazeface"):
            TorchFile(path, "blazeface")("cpu")


@pytest.mark.parametrize("anchors", [b"", b"no array", np.zeros((3, 4)), np.array([{}], object)])
def test_anchors_that_are_none_are_refused(
    anchors: bytes | np.ndarray, tmp_path: Path, shared_weights: Path
) -> None:
    path = tmp_path / "anchors.npy"
    if isinstance(anchors, bytes):
        path.write_bytes(anchors)
    else:
        np.save(path, anchors, allow_pickle=True)
    files = {"detector": WeightFile.of(shared_weights / "blazeface.pth"), "anchors": WeightFile.of(path)}
    with pytest.raises(WeightsError, match="is no file of BlazeFace's anchors"):
        BlazeFace(EngineChoice("face-alignment:blazeface", files))


def test_an_onnx_file_that_is_no_scrfd_is_refused(shared_weights: Path) -> None:
    choice = EngineChoice("x", {"detector": WeightFile.of(shared_weights / "yunet_n_dynamic.onnx")})
    with pytest.raises(WeightsError, match="is no SCRFD with landmarks: it has 12 outputs, not 9"):
        SCRFD(choice)


# --- batches on a device -----------------------------------------------------------------------------


class Batches(torch.nn.Module):
    """Notes the size of each batch, and gives the mean of each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.sizes.append(len(x))
        return x.mean((1, 2, 3)), x[:, :, 0, 0]


def test_pictures_pass_in_batches_of_one_size_filled_up_with_black(photograph: np.ndarray) -> None:
    module = Batches()
    network = TorchNetwork(module, ("mean", "corner"), batch=4)
    pictures = [np.full((8, 6, 3), level, np.uint8) for level in range(10)]
    answers = network.run_batch(pictures, retinaface.NORMALISE, ["corner"])
    assert module.sizes == [4, 4, 4]
    assert [len(answer) for answer in answers] == [1] * 10
    expected = np.arange(10)[:, None] - np.array(retinaface.NORMALISE.mean)
    np.testing.assert_allclose([answer[0][0] for answer in answers], expected)
    assert run_one(network, pictures[3], retinaface.NORMALISE)[0] == pytest.approx(
        3 - np.mean(expected[0] * -1)
    )
    assert network.run_batch([], retinaface.NORMALISE) == []


def test_a_picture_is_normalised_as_for_onnx_networks(photograph: np.ndarray) -> None:
    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (x,)

    for normalise in (blazeface.NORMALISE, sfd.NORMALISE, scrfd.NORMALISE):
        (blob,) = run_one(TorchNetwork(Same(), ("x",)), photograph, normalise)
        np.testing.assert_array_equal(blob, normalise(photograph))


# --- preprocessing.faces.detect ----------------------------------------------------------------------


def test_detect_takes_pictures_of_any_size(shared_weights: Path) -> None:
    whole = np.asarray(skimage.data.astronaut())
    half = cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    empty = np.zeros((50, 70, 3), np.uint8)
    found = faces.detect([whole, half, empty, whole], "face-alignment:blazeface", shared_weights)
    assert [len(boxes) for boxes, _, _ in found] == [1, 1, 0, 1]
    for boxes, scores, landmarks in found:
        assert boxes.shape == (len(scores), 4)
        assert landmarks.shape == (len(scores), 5, 2)
        assert boxes.dtype == scores.dtype == landmarks.dtype == np.float32
    np.testing.assert_array_equal(found[0][2], found[3][2])
    np.testing.assert_allclose(found[0][2], 2 * found[1][2], atol=6)


def test_detect_finds_by_the_detector_that_is_always_there() -> None:
    [(boxes, scores, landmarks)] = faces.detect([np.asarray(skimage.data.astronaut())], "mtcnn")
    assert len(boxes) == len(scores) == len(landmarks) == 1
    assert faces.detect([], "mtcnn") == []


def test_detect_takes_a_detector_that_was_built_once(blaze: BlazeFace) -> None:
    picture = np.asarray(skimage.data.astronaut())
    [(boxes, scores, landmarks)] = faces.detect([picture], blaze)
    [found] = blaze.detect([picture])
    np.testing.assert_array_equal(boxes, found.boxes_xyxy)
    np.testing.assert_array_equal(landmarks, found.landmarks_xy)
    np.testing.assert_array_equal(scores, found.scores)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((20, 20), np.uint8), r"picture 1 must be \(h, w, 3\) uint8 RGB, not \(20, 20\) uint8"),
        (np.zeros((20, 20, 3), np.float32), "float32"),
        (np.zeros((0, 20, 3), np.uint8), r"\(0, 20, 3\)"),
        ("a.jpg", "RGB, not str"),
    ],
)
def test_detect_refuses_what_is_no_picture(picture: Any, said: str) -> None:
    from cache.errors import UserError

    with pytest.raises(UserError, match=said):
        faces.detect([np.zeros((20, 20, 3), np.uint8), picture], "mtcnn")


def test_an_empty_list_of_pictures_has_no_faces(blaze: BlazeFace) -> None:
    assert blaze.detect([]) == []
    assert isinstance(blaze.detect([np.zeros((1, 1, 3), np.uint8)])[0], Faces)
