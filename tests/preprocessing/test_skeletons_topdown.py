"""Top-down skeletons: coordinates by tiny models that find a bright spot; real models on real footage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from preprocessing.skeletons import build_skeletons, resolve_skeletons
from preprocessing.skeletons.layouts import COCO17
from preprocessing.types import SkeletonEngine
from preprocessing.weights import WeightFile, WeightsError
from tests.onnx_models import node, save_model
from tests.pose_models import ArrayFrame, heatmap_model, rtmdet_model, simcc_model, spot, yolox_model

JOINT = {name: index for index, name in enumerate(COCO17.joints)}


def engine_of(pose: Path, person: Path | None = None) -> SkeletonEngine:
    spec = f"onnx:{pose}" if person is None else f"onnx:{pose},{person}"
    engine = build_skeletons(resolve_skeletons(spec))
    assert engine is not None
    return engine


# --- coordinates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["heatmaps", "simcc"])
@pytest.mark.parametrize(
    "box",
    [
        (200, 100, 360, 320),  # about the model's own size
        (20, 20, 620, 470),  # shrunk, and reaching out of the picture
        (310, 190, 350, 230),  # enlarged
        (0, 150, 640, 300),  # wide
    ],
)
def test_joints_are_where_the_spot_is(tmp_path: Path, kind: str, box: tuple[float, ...]) -> None:
    model = tmp_path / "pose.onnx"
    engine = engine_of(heatmap_model(model) if kind == "heatmaps" else simcc_model(model))
    padded = 1.25 * max((box[2] - box[0]) / 192, (box[3] - box[1]) / 256)  # source pixels an input pixel
    errors = []
    for x, y in ((322.3, 208.1), (330.9, 215.5), (337.0, 224.4)):
        bodies = engine.detect(spot(x, y, sigma=6 * padded), 0, 0.0, np.array([box]))
        assert bodies.keypoints.shape == (1, 17, 3)
        errors.append(bodies.keypoints[0, :, :2] - (x, y))
        assert (bodies.keypoints[0, :, 2] > 0.7).all()
    # The model answers to one input pixel or a cell of four; no maximum is finer than the source's pixels.
    step = max(padded * (1 if kind == "simcc" else 4), 1)
    assert np.abs(errors).max() <= 0.55 * step
    assert np.abs(np.mean(errors, axis=(0, 1))).max() <= 0.4 * step


def test_heatmaps_are_read_to_a_quarter_cell_without_bias(tmp_path: Path) -> None:
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"))
    box = np.array([[200.0, 100, 200 + 192 / 1.25, 100 + 256 / 1.25]])  # one source pixel an input pixel
    errors = []
    for step in range(41):
        x, y = 260 + step * 0.31, 190 + step * 0.23
        keypoints = engine.detect(spot(x, y, sigma=6), 0, 0.0, box).keypoints
        errors.append(keypoints[0, 0, :2] - (x, y))
    assert np.abs(errors).max() < 1.1  # a cell is 4 pixels: a quarter shift leaves at most 1
    assert np.abs(np.mean(errors, axis=0)).max() < 0.2


def test_boxes_beside_the_picture_or_without_size_do_no_harm(tmp_path: Path) -> None:
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"))
    boxes = np.array([[-500, -500, -400, -400], [9000, 10, 9100, 200], [50, 50, 50, 50]], np.float32)
    bodies = engine.detect(spot(300, 200), 0, 0.0, boxes)
    assert np.isfinite(bodies.keypoints).all()
    assert np.isfinite(bodies.boxes_xyxy).all()
    assert len(engine.detect(spot(300, 200), 0, 0.0, np.zeros((0, 4)))) == 0


def test_known_boxes_keep_their_rows_and_neighbours_do_not_matter(tmp_path: Path) -> None:
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"), rtmdet_model(tmp_path / "p.onnx", [], []))
    frame = spot(300, 200)
    boxes = np.array([[250, 150, 350, 250], [0, 300, 50, 400], [200, 100, 400, 300]], np.float32)
    together = engine.detect(frame, 0, 0.0, boxes)
    assert frame.num_reduced == 0  # no person detection
    assert len(together) == 3
    assert together.scores[1] == 0
    np.testing.assert_array_equal(together.boxes_xyxy[1], boxes[1])  # lost: the old box
    for row in range(3):
        alone = engine.detect(frame, 0, 0.0, boxes[row : row + 1])
        np.testing.assert_array_equal(alone.keypoints[0], together.keypoints[row])


# --- persons -----------------------------------------------------------------------------------------


def test_rtmdet_boxes_return_to_source_pixels(tmp_path: Path) -> None:
    # 640x480 into 320x320: half size, 240 rows of picture and 80 of padding.
    dets = [[50, 40, 100, 140, 0.9], [51, 41, 101, 141, 0.8], [150, 60, 200, 160, 0.7], [0, 0, 9, 9, 0.1]]
    person = rtmdet_model(tmp_path / "person.onnx", dets, [0, 0, 2, 0])
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"), person)
    bodies = engine.detect(spot(150, 180), 0, 0.0, None)
    np.testing.assert_allclose(bodies.boxes_xyxy, [[100, 80, 200, 280]])  # one class, one of twins, no guess


def test_yolox_boxes_return_to_source_pixels(tmp_path: Path) -> None:
    # 640x480 into 64x64: a tenth. Cell 8 + 2 of stride 8 is column 2, row 1; cell 64 + 5 of stride 16: 1, 1.
    cells = {
        10: [0.5, 0.75, np.log(2), np.log(3), 0.9, 0.9, 0.1],
        69: [0.25, 0.5, 0.0, np.log(1.5), 0.9, 0.9, 0.0],
        70: [0.0, 0.0, 0.0, 0.0, 0.9, 0.1, 0.9],
    }
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"), yolox_model(tmp_path / "person.onnx", cells))
    bodies = engine.detect(spot(200, 150, sigma=20), 0, 0.0, None)
    expected = [[120, 20, 280, 260], [120, 120, 280, 360]]
    np.testing.assert_allclose(bodies.boxes_xyxy[np.argsort(bodies.boxes_xyxy[:, 1])], expected, atol=1e-3)


def test_person_without_a_seen_joint_is_no_person(tmp_path: Path) -> None:
    person = rtmdet_model(tmp_path / "person.onnx", [[150, 60, 200, 160, 0.9]], [0])
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"), person)
    assert len(engine.detect(spot(60, 60), 0, 0.0, None)) == 0


def test_without_a_person_model_the_picture_is_one_person(tmp_path: Path) -> None:
    engine = engine_of(heatmap_model(tmp_path / "pose.onnx"))
    bodies = engine.detect(spot(300, 200, sigma=20), 0, 0.0, None)
    np.testing.assert_array_equal(bodies.boxes_xyxy, [[0, 0, 640, 480]])


# --- what is refused ---------------------------------------------------------------------------------


def test_none_and_sidecar_need_no_files() -> None:
    assert build_skeletons(resolve_skeletons("none")) is None
    assert build_skeletons(resolve_skeletons("sidecar")) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rtmpose", "unknown skeleton engine 'rtmpose'; allowed: none, sidecar, onnx:POSE"),
        ("mmpose:", "unknown skeleton engine 'mmpose:'"),
        ("onnx:", "unknown skeleton engine 'onnx:'"),
        ("onnx:a,b,c", "names 3 files"),
        ("onnx:a,", "names 2 files"),
        ("onnx:/nowhere/pose.onnx", "no such pose or person model: /nowhere/pose.onnx"),
        ("onnx:pose.onnx", "no such pose or person model: pose.onnx"),
        ("onnx:~nobody_of_that_name/pose.onnx", "no such pose or person model: ~nobody"),
        (f"onnx:{'x' * 300}", "no such pose or person model: xxx"),
        ("onnx:yolox_nano.onnx", "`videofer weights fetch yolox-nano` gets yolox_nano.onnx"),
    ],
)
def test_wrong_spec_is_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        resolve_skeletons(spec)
    assert "\n" not in str(caught.value)


def test_models_that_are_something_else_are_refused_in_one_line(tmp_path: Path) -> None:
    good = heatmap_model(tmp_path / "pose.onnx")
    rtmdet = rtmdet_model(tmp_path / "person.onnx", [], [])
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"not a model")
    wrong_joints = heatmap_model(tmp_path / "hands.onnx", joints=21)
    free_size = heatmap_model(tmp_path / "free.onnx", input_shape=("N", 3, "h", "w"))
    simcc = simcc_model(tmp_path / "simcc.onnx")
    flat = save_model(
        tmp_path / "flat.onnx",
        input_shape=(1, 3),
        outputs={"y": (1, 3)},
        nodes=[node("Identity", ["image"], ["y"])],
        constants={},
    )
    for spec, message in (
        (f"onnx:{rubbish}", "rubbish.onnx is not a usable ONNX model"),
        (f"onnx:{wrong_joints}", r"hands.onnx has 21 joints; known: 17 \(coco17\), 26 \(halpe26\), 133"),
        (f"onnx:{free_size}", "free.onnx is no top-down pose model of known input size"),
        (f"onnx:{flat}", "flat.onnx is no top-down pose model: input"),
        (f"onnx:{rtmdet}", "person.onnx is no top-down pose model"),
        (f"onnx:{good},{good}", "pose.onnx is no known person detector: output shape"),
        (f"onnx:{good},{simcc}", "simcc.onnx is no known person detector: outputs simcc_x"),
        (f"onnx:{good},{flat}", "flat.onnx is no known person detector: input"),
    ):
        with pytest.raises(WeightsError, match=message) as caught:
            resolve_skeletons(spec)
        assert "\n" not in str(caught.value)


def test_worker_refuses_a_model_that_changed(tmp_path: Path) -> None:
    choice = resolve_skeletons(f"onnx:{heatmap_model(tmp_path / 'pose.onnx')}")
    assert choice.weights["pose"] == WeightFile.of(tmp_path / "pose.onnx")
    heatmap_model(tmp_path / "pose.onnx", joints=21)
    with pytest.raises(WeightsError, match="the run was started with"):
        build_skeletons(choice)


# --- real models on real footage ---------------------------------------------------------------------


def frames_of(path: Path, every: int) -> Iterator[ArrayFrame]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield ArrayFrame(frame.to_ndarray(format="rgb24"))


@pytest.fixture(scope="module", params=["yolox_nano.onnx", "rtmdet_nano_person_end2end.onnx"])
def real_engine(request: pytest.FixtureRequest, shared_weights: Path) -> SkeletonEngine:
    engine = build_skeletons(resolve_skeletons(f"onnx:tinypose_256x192.onnx,{request.param}", shared_weights))
    assert engine is not None
    return engine


def test_walkers_have_bodies_in_order(real_engine: SkeletonEngine, shared_data: Path) -> None:
    num_with_body = 0
    for frame in frames_of(shared_data / "videos" / "people_walking_one_by_one.mp4", 120):
        bodies = real_engine.detect(frame, 0, 0.0, None)
        assert len(bodies) <= 1
        if not len(bodies):
            continue
        num_with_body += 1
        x, y, score = bodies.keypoints[0].T
        assert bodies.scores[0] > 0.5
        order = ["nose", "left_shoulder", "left_hip", "left_knee", "left_ankle"]
        heights = [y[JOINT[name]] for name in order if score[JOINT[name]] > 0.3]
        assert heights == sorted(heights)
        x0, _, x1, _ = bodies.boxes_xyxy[0]
        seen = score > 0.3
        assert (x[seen] > x0 - 10).all()
        assert (x[seen] < x1 + 10).all()
        # Seen from behind: the person's left is at the image's left.
        assert x[JOINT["left_shoulder"]] < x[JOINT["right_shoulder"]]
    assert num_with_body >= 7


@pytest.mark.parametrize("name", ["people_walking_one_by_one.mp4", "asl/book.mkv", "interview_one_face.mp4"])
def test_a_body_followed_on_the_spot_stays(real_engine: SkeletonEngine, shared_data: Path, name: str) -> None:
    frames = frames_of(shared_data / "videos" / name, 40)
    frame, first = next(
        (frame, bodies)
        for frame in frames
        if len(bodies := real_engine.detect(frame, 0, 0.0, None)) and bodies.scores[0] > 0.6
    )
    height = first.boxes_xyxy[0, 3] - first.boxes_xyxy[0, 1]
    bodies = first
    for _ in range(10):
        bodies = real_engine.detect(frame, 0, 0.0, bodies.boxes_xyxy)
    seen = (first.keypoints[0, :, 2] > 0.3) & (bodies.keypoints[0, :, 2] > 0.3)
    drift = np.linalg.norm(first.keypoints[0, seen, :2] - bodies.keypoints[0, seen, :2], axis=1) / height
    assert seen.sum() >= 5
    assert np.median(drift) < 0.03
    assert bodies.scores[0] > first.scores[0] - 0.15
