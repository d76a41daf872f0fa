"""The face mesh: where its input is taken, what comes back, and the real network on a real face."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data

from cache.reader import StoreReader
from cache.schema import State
from cache.shard import ShardWriter
from cache.store import Store
from cache.track import PersonTrack
from cache.verify import verify
from preprocessing import faces, landmarks
from preprocessing.align import apply_warp
from preprocessing.assemble import assemble
from preprocessing.decode.frames import PixelFrame
from preprocessing.engines import EngineChoices, build_engines, engines_of
from preprocessing.landmarks.layouts import IBUG68, MIRRORED_68, to_ibug68
from preprocessing.landmarks.mesh import EYES, ROLE, SIDE, FaceMesh, is_otherwise, upright_warp
from preprocessing.pipeline import process_segment
from preprocessing.spec import PreprocessSpec
from preprocessing.types import LandmarkEngine, Source
from preprocessing.weights import EngineChoice, WeightFile, WeightsError
from tests.onnx_models import node, save_model


def as_expected() -> np.ndarray:
    """Places (468, 3) of a face that lies in the input as it should: in the middle, its eyes level."""
    places = np.random.default_rng(0).uniform(32, 160, (468, 3))
    places[:2], places[EYES] = [[32, 32, 0], [160, 160, 0]], [[64, 80, 0], [128, 80, 0]]
    return places.astype(np.float32)


PLACES = as_expected()
FIVE = np.array([[40, 50], [60, 50], [50, 60], [43, 70], [57, 70]], np.float32)


def mesh_file(path: Path, places: np.ndarray = PLACES) -> Path:
    """Answers with the same places for every picture, and says "a face" where it is brighter than half."""
    nodes = [
        node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
        node("Sub", ["mean", "half"], ["face"]),
        node("Mul", ["mean", "zero"], ["nothing"]),
        node("Add", ["nothing", "constant"], ["places"]),
    ]
    constants = {
        "half": np.full((1, 1, 1, 1), 0.5, np.float32),
        "zero": np.zeros((1, 1, 1, 1), np.float32),
        "constant": places.reshape(1, 1, 1, -1),
    }
    outputs = {"face": (1, 1, 1, 1), "places": (1, 1, 1, places.size)}
    return save_model(path, input_shape=(1, SIDE, SIDE, 3), outputs=outputs, nodes=nodes, constants=constants)


def choice_of(path: Path, name: str = "mesh468") -> EngineChoice:
    return EngineChoice(name, {ROLE: WeightFile.of(path)}, "for a test")


def frame(level: int = 200) -> PixelFrame:
    return PixelFrame(np.full((100, 120, 3), level, np.uint8), 0, 1)


@pytest.mark.parametrize("degrees", [0, 30, -75])
def test_the_input_is_the_box_with_room_and_level_eyes(degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((50, 60), degrees, 1)
    five = apply_warp(turn, FIVE)
    warp = upright_warp(np.array([30, 30, 70, 90]), five[:2])
    np.testing.assert_allclose(apply_warp(warp, np.array([[50, 60]])), [[SIDE / 2, SIDE / 2]])
    left, right = apply_warp(warp, five[:2])
    assert right[1] == pytest.approx(left[1]) and right[0] > left[0]
    assert right[0] - left[0] == pytest.approx(20 * SIDE / (1.5 * 60))  # 60: the box's longer side
    assert np.linalg.det(warp[:, :2]) > 0


def test_places_come_back_in_source_pixels(tmp_path: Path) -> None:
    mesh = FaceMesh(choice_of(mesh_file(tmp_path / "mesh.onnx")))
    boxes = np.array([[30, 30, 70, 90], [10, 20, 30, 40]], np.float32)
    five = np.stack([apply_warp(cv2.getRotationMatrix2D((50, 60), 20, 1), FIVE), FIVE]).astype(np.float32)
    points = mesh.locate([frame()] * len(boxes), boxes, five)
    assert points.shape == (2, 468, 2) and points.dtype == np.float32
    for found, box, eyes in zip(points, boxes, five, strict=True):
        np.testing.assert_allclose(apply_warp(upright_warp(box, eyes[:2]), found), PLACES[:, :2], atol=1e-3)
    as_68 = FaceMesh(choice_of(mesh_file(tmp_path / "again.onnx")), IBUG68.name)
    found = as_68.locate([frame()] * len(boxes), boxes, five)
    np.testing.assert_allclose(found, to_ibug68(points, "mesh468"), atol=1e-3)
    assert (as_68.layout, as_68.num_points, mesh.layout, mesh.num_points) == ("ibug68", 68, "mesh468", 468)


@pytest.mark.parametrize(
    ("degrees", "scale", "shift", "looks"),
    [
        (0, 1, 0, 1),
        (4, 1.05, 4, 1),
        (15, 1, 0, 2),
        (-15, 1, 0, 2),
        (0, 0.8, 0, 2),
        (0, 1.25, 0, 2),
        (0, 1, 12, 2),
    ],
)  # fmt: skip
def test_a_face_that_lies_otherwise_is_looked_at_again(
    degrees: float, scale: float, shift: float, looks: int, tmp_path: Path
) -> None:
    """The second input is placed by what the first look found."""
    change = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, scale)
    change[0, 2] += shift
    places = np.concatenate([apply_warp(change, PLACES[:, :2]), PLACES[:, 2:]], axis=1).astype(np.float32)
    mesh = FaceMesh(choice_of(mesh_file(tmp_path / "mesh.onnx", places)))
    box = np.array([[30, 30, 70, 90]], np.float32)
    (found,) = mesh.locate([frame()], box, FIVE[None])
    first = upright_warp(box[0], FIVE[:2])
    seen = places[:, :2].astype(np.float64)
    again = upright_warp(np.concatenate([seen.min(axis=0), seen.max(axis=0)]), seen[EYES])
    assert is_otherwise(again) == (looks == 2)
    warp = again @ np.vstack([first, [0, 0, 1]]) if looks == 2 else first
    np.testing.assert_allclose(apply_warp(warp, found), places[:, :2], atol=1e-2)


def test_neighbours_do_not_matter(tmp_path: Path) -> None:
    """Faces of several frames, some of them none, some looked at twice: each as if it were alone."""
    change = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 9, 1)
    turned = np.concatenate([apply_warp(change, PLACES[:, :2]), PLACES[:, 2:]], axis=1).astype(np.float32)
    mesh = FaceMesh(choice_of(mesh_file(tmp_path / "mesh.onnx", turned)))
    frames = [frame(130), frame(120), frame(140), frame(200)]
    boxes = np.array([[30, 30, 70, 90], [30, 30, 70, 90], [10, 20, 30, 40], [np.nan] * 4], np.float32)
    five = np.repeat(FIVE[None], 4, axis=0)
    together = mesh.locate(frames, boxes, five)
    assert np.isfinite(together).all(axis=(1, 2)).tolist() == [True, False, True, False]
    for n in range(4):
        alone = mesh.locate(frames[n : n + 1], boxes[n : n + 1], five[n : n + 1])[0]
        np.testing.assert_array_equal(together[n], alone)


def test_no_face_and_no_place_have_no_landmarks(tmp_path: Path) -> None:
    mesh = FaceMesh(choice_of(mesh_file(tmp_path / "mesh.onnx")))
    box, nowhere = np.array([[30, 30, 70, 90]], np.float32), np.full((1, 4), np.nan, np.float32)
    assert np.isfinite(mesh.locate([frame(130)], box, FIVE[None])).all()
    assert np.isnan(mesh.locate([frame(120)], box, FIVE[None])).all()  # the network says that it is no face
    assert np.isnan(mesh.locate([frame()], nowhere, FIVE[None])).all()
    assert mesh.locate([], box[:0], FIVE[None][:0]).shape == (0, 468, 2)
    eyes_in_one = np.repeat(FIVE[:1], 5, axis=0)[None]
    assert np.isfinite(mesh.locate([frame()], box, eyes_in_one)).all()


def test_what_is_no_mesh_is_refused(tmp_path: Path) -> None:
    path = mesh_file(tmp_path / "small.onnx", PLACES[:68])
    with pytest.raises(WeightsError, match=r"small.onnx is no face mesh of 468 points: .*204"):
        FaceMesh(choice_of(path))
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    with pytest.raises(WeightsError, match="not a usable ONNX model"):
        FaceMesh(choice_of(text))


def test_weights_that_lack_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"weights of mesh are missing.* put facemesh_468\.onnx into --weights-dir"
    ):
        landmarks.resolve("mesh", tmp_path)
    mesh_file(tmp_path / "facemesh_468.onnx")
    with pytest.raises(WeightsError, match="is not the published file"):
        landmarks.resolve("mesh", tmp_path)
    with pytest.raises(
        WeightsError, match="unknown landmarks 'dlib'; known: none, mesh, mesh468, fan, fan3d"
    ):
        landmarks.resolve("dlib")
    with pytest.raises(
        WeightsError, match="unknown landmarks 'dlib'; known: none, mesh, mesh468, fan, fan3d"
    ):
        landmarks.build(EngineChoice("dlib"))
    assert landmarks.build(landmarks.resolve("none")) is None


# --- in the stage --------------------------------------------------------------------------------------


def stored(source: Source, choices: EngineChoices, spec: PreprocessSpec, folder: Path) -> PersonTrack:
    store = Store.create(folder, spec={}, contract={}, codec=spec.codec)
    writer = ShardWriter(folder, codec=spec.codec, crop_size=spec.crop_size)
    outcome = process_segment(source, "key", spec, build_engines(choices), writer)
    writer.seal()
    record = assemble([source], "key", [outcome], spec)
    store.commit(record)
    assert verify(store, deep=True) == []
    name = record.provenance["landmarks"]["name"]
    assert name == choices.landmarks.name and name == spec.landmarks
    assert ("landmarks" in record.provenance["stage_seconds"]) == (name != "none")
    return StoreReader(folder).track("key", record.persons[0].id)


def portrait_video(path: Path, num_frames: int = 9, step: int = 4) -> Path:
    """A face that moves to the right by so many pixels a frame."""
    portrait = skimage.data.astronaut()[0:260, 100:360]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 420, 320, "yuv420p"
        for n in range(num_frames):
            picture = np.full((320, 420, 3), 200, np.uint8)
            picture[30:290, 20 + step * n : 280 + step * n] = portrait
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_the_stage_stores_what_the_engine_finds(tmp_path: Path) -> None:
    """Of crops: the whole picture is the face, in every frame."""
    spec = PreprocessSpec(faces="precropped", landmarks="mesh468")
    choice = choice_of(mesh_file(tmp_path / "mesh.onnx"))
    choices = EngineChoices("pyav", faces.resolve("precropped"), EngineChoice("none"), landmarks=choice)
    assert EngineChoices.from_json(choices.to_json()) == choices
    assert pickle.loads(pickle.dumps(choices)) == choices
    source = Source(portrait_video(tmp_path / "v.mp4"), "v.mp4", "video")
    track = stored(source, choices, spec, tmp_path / "store")
    assert track.landmark_layout == "mesh468" and track.dense_landmarks.shape == (9, 468, 2)
    for box, five, points in zip(
        track.face_boxes_xyxy, track.landmarks_xy, track.dense_landmarks, strict=True
    ):
        np.testing.assert_allclose(apply_warp(upright_warp(box, five[:2]), points), PLACES[:, :2], atol=1e-3)


def test_without_the_key_there_are_none(tmp_path: Path) -> None:
    spec = PreprocessSpec(faces="precropped")
    source = Source(portrait_video(tmp_path / "v.mp4"), "v.mp4", "video")
    track = stored(source, engines_of(spec), spec, tmp_path / "store")
    assert track.landmark_layout == "" and track.dense_landmarks.shape == (9, 0, 2)
    assert spec.contract() == PreprocessSpec(faces="precropped", landmarks="mesh").contract()


# --- the real network ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mesh(shared_weights: Path) -> LandmarkEngine:
    engine = landmarks.build(landmarks.resolve("mesh", shared_weights))
    assert engine is not None
    return engine


def located(mesh: LandmarkEngine, picture: np.ndarray, weights: Path) -> tuple[np.ndarray, np.ndarray]:
    """The 68 points and the detector's five, of the largest face."""
    found = faces.build(faces.resolve("yunet", weights)).detect([picture])[0]
    best = int((found.boxes_xyxy[:, 3] - found.boxes_xyxy[:, 1]).argmax())
    box, five = found.boxes_xyxy[best : best + 1], found.landmarks_xy[best : best + 1]
    return mesh.locate([PixelFrame(picture, 0, 1)], box, five)[0], five[0]


def eye_distance(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[36] - points[45]))


def test_points_lie_where_another_network_sees_them(mesh: LandmarkEngine, shared_weights: Path) -> None:
    points, five = located(mesh, skimage.data.astronaut(), shared_weights)
    lines = {name: points[list(line)] for name, line in IBUG68.lines.items()}
    eyes = [lines[name].mean(axis=0) for name in ("right eye", "left eye")]
    ours = [*eyes, points[30], points[48], points[54]]
    apart = np.linalg.norm(np.array(ours) - five, axis=1) / eye_distance(points)
    assert apart[:2].max() < 0.05 and apart.max() < 0.12
    assert lines["right brow"][:, 1].max() < lines["right eye"][:, 1].min()
    assert lines["outer lips"][:, 1].max() < lines["jaw"][:, 1].max() == points[8, 1]
    assert np.all(np.diff(lines["jaw"][:, 0]) > 0), "from the person's right to the left"


def test_the_mirrored_face_has_the_mirrored_points(mesh: LandmarkEngine, shared_weights: Path) -> None:
    """A wrong pair, or a map that is not the same on both sides, would be far off."""
    picture = skimage.data.astronaut()
    points, _ = located(mesh, picture, shared_weights)
    other, _ = located(mesh, np.ascontiguousarray(picture[:, ::-1]), shared_weights)
    back = np.stack([picture.shape[1] - other[:, 0], other[:, 1]], axis=1)[list(MIRRORED_68)]
    apart = np.linalg.norm(back - points, axis=1) / eye_distance(points)
    assert apart.mean() < 0.03 and apart.max() < 0.08


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.3), (35, 1), (-35, 0.6), (60, 1)])
def test_points_turn_with_the_picture(
    mesh: LandmarkEngine, shared_weights: Path, degrees: float, scale: float
) -> None:
    picture = skimage.data.astronaut()
    points, _ = located(mesh, picture, shared_weights)
    change = cv2.getRotationMatrix2D((224, 110), degrees, scale)  # about the face
    change[:, 2] += [32, 146]
    moved, _ = located(mesh, cv2.warpAffine(picture, change, (512, 512)), shared_weights)
    expected = apply_warp(change, points - 0.5) + 0.5  # OpenCV counts from the middle of pixels
    assert np.linalg.norm(moved - expected, axis=1).mean() / eye_distance(expected) < 0.04


def test_points_follow_a_moving_face(shared_weights: Path, tmp_path: Path) -> None:
    """Through the whole stage: also in frames in which the face was not looked for."""
    spec = PreprocessSpec(landmarks="mesh", faces="yunet")
    source = Source(portrait_video(tmp_path / "v.mp4"), "v.mp4", "video")
    track = stored(source, engines_of(spec, shared_weights), spec, tmp_path / "store")
    assert track.landmark_layout == "ibug68" and track.dense_landmarks.shape == (9, 68, 2)
    assert set(track.face_state.tolist()) == {State.OK, State.INTERPOLATED}
    steps = np.diff(track.dense_landmarks, axis=0) - [4, 0]
    assert np.abs(steps.mean(axis=1)).max() < 0.5 and np.abs(steps).mean() < 0.5


def test_provenance_says_what_found_them(shared_weights: Path, tmp_path: Path) -> None:
    spec = PreprocessSpec(landmarks="mesh")
    engines = build_engines(engines_of(spec, shared_weights))
    said: dict[str, Any] = engines.provenance(Source(tmp_path / "v.mp4", "v.mp4", "video"))["landmarks"]
    assert (said["name"], said["layout"]) == ("mesh", "ibug68")
    assert said["weights"]["mesh"]["file"] == "facemesh_468.onnx"
    keypoints = engines.provenance(Source(tmp_path / "k.npz", "k.npz", "keypoints"))["landmarks"]
    assert keypoints["name"] == "none"
