"""Pose models of other joints and other forms: whole body, one stage, SimCC; keypoints of one picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from cache.errors import UserError
from preprocessing.skeletons import build_skeletons, estimate, resolve_skeletons
from preprocessing.skeletons.heads import decode_heatmaps, decode_simcc
from preprocessing.skeletons.layouts import COCO17, LAYOUTS, WHOLEBODY133
from preprocessing.skeletons.rtmlib_models import NAMES
from preprocessing.weights import REGISTRY, Registry, WeightsError
from tests.pose_models import (
    ArrayFrame,
    colour_model,
    coloured_body,
    heatmap_model,
    rtmdet_model,
    rtmo_model,
    simcc_model,
    spot,
)

# The falloff of each joint by COCO's evaluation: how far apart two annotators put it, in object sizes.
COCO_SIGMAS = np.array(
    [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
) / 1000  # fmt: skip

BODY = {
    "nose": (0.5, 0.08), "left_eye": (0.53, 0.06), "right_eye": (0.47, 0.06), "left_ear": (0.57, 0.07),
    "right_ear": (0.43, 0.07), "left_shoulder": (0.66, 0.2), "right_shoulder": (0.34, 0.2),
    "left_elbow": (0.75, 0.36), "right_elbow": (0.25, 0.36), "left_wrist": (0.8, 0.5),
    "right_wrist": (0.2, 0.5), "left_hip": (0.6, 0.52), "right_hip": (0.4, 0.52), "left_knee": (0.62, 0.75),
    "right_knee": (0.38, 0.75), "left_ankle": (0.63, 0.96), "right_ankle": (0.37, 0.96),
}  # fmt: skip
"""A standing person, in parts of the box."""


def oks(found: np.ndarray, truth_xy: np.ndarray, box: np.ndarray) -> float:
    """Object keypoint similarity of (17, 3) with (17, 2), all labelled; the area is 0.53 of the box's."""
    area = 0.53 * float(np.prod(box[2:] - box[:2]))
    squares = ((found[:, :2] - truth_xy) ** 2).sum(axis=1)
    return float(np.exp(-squares / (2 * area * (2 * COCO_SIGMAS) ** 2)).mean())


# --- reading the heads -------------------------------------------------------------------------------


def test_simcc_is_read_as_rtmlib_reads_it() -> None:
    """Pinned: `get_simcc_maximum` of rtmlib 0.0.16 gives locs (137, 41), (3, 500); ours add half a pixel."""
    along_x, along_y = np.zeros((2, 384), np.float32), np.zeros((2, 512), np.float32)
    along_x[0, 137], along_y[0, 41] = 0.8, 0.6
    along_x[1, 3], along_y[1, 500] = 0.2, 1.4
    joints = decode_simcc(along_x, along_y, (192, 256))
    np.testing.assert_allclose(joints, [[137 / 2 + 0.5, 41 / 2 + 0.5, 0.6], [2.0, 250.5, 0.2]], rtol=1e-6)
    assert decode_simcc(along_x * 2, along_y * 2, (192, 256))[0, 2] == 1.0  # scores stay in [0, 1]


def test_heatmaps_move_a_quarter_cell_towards_the_higher_neighbour() -> None:
    maps = np.zeros((3, 64, 48), np.float32)
    maps[0, 10, 20], maps[0, 10, 21], maps[0, 9, 20] = 0.9, 0.5, 0.3
    maps[1, 0, 0] = 0.4  # at the edge: not moved
    maps[2, 63, 47] = 1.7
    joints = decode_heatmaps(maps, (192, 256))
    expected = [[20.25 * 4 + 0.5, 9.75 * 4 + 0.5, 0.9], [0.5, 0.5, 0.4], [188.5, 252.5, 1]]
    np.testing.assert_allclose(joints, expected, rtol=1e-6)


# --- layouts of models -------------------------------------------------------------------------------


@pytest.mark.parametrize(("joints", "layout"), [(17, "coco17"), (26, "halpe26"), (133, "wholebody133")])
@pytest.mark.parametrize("head", [simcc_model, heatmap_model])
def test_the_number_of_joints_tells_the_layout(
    tmp_path: Path, head: object, joints: int, layout: str
) -> None:
    path = simcc_model(tmp_path / "m.onnx", joints=joints)
    if head is heatmap_model:
        path = heatmap_model(tmp_path / "m.onnx", joints=joints)
    engine = build_skeletons(resolve_skeletons(f"onnx:{path}"))
    assert engine is not None and engine.layout == layout
    bodies = engine.detect(spot(322.3, 208.1), 0, 0.0, np.array([[200, 100, 360, 320]]))
    assert bodies.keypoints.shape == (1, joints, 3)
    assert np.abs(bodies.keypoints[0, :, :2] - (322.3, 208.1)).max() < 3


def test_a_model_that_hides_its_joints_is_asked(tmp_path: Path) -> None:
    for path in (
        simcc_model(tmp_path / "m.onnx", joints=26, declared="joints"),
        rtmo_model(tmp_path / "rtmo.onnx", joints=26, declared="joints"),
    ):
        engine = build_skeletons(resolve_skeletons(f"onnx:{path}"))
        assert engine is not None and engine.layout == "halpe26"


def test_a_free_input_size_is_read_from_the_name(tmp_path: Path) -> None:
    path = heatmap_model(tmp_path / "pose_256x192_7e3.onnx", input_shape=("N", 3, "h", "w"))
    keypoints = estimate(spot(322.3, 208.1).rgb, np.array([[200, 100, 360, 320]]), f"onnx:{path}")
    assert np.abs(keypoints[0, :, :2] - (322.3, 208.1)).max() < 3


def test_simcc_outputs_may_stand_the_other_way(tmp_path: Path) -> None:
    """Some exports name y first; the names tell."""
    from tests.onnx_models import node, save_model

    path = save_model(
        tmp_path / "m.onnx",
        input_shape=("N", 3, 256, 192),
        outputs={"simcc_y": ("N", 17, 256), "simcc_x": ("N", 17, 192)},
        nodes=[
            node("Conv", ["image", "kernel"], ["maps"]),
            node("ReduceMax", ["maps"], ["simcc_x"], axes=[2], keepdims=0),
            node("ReduceMax", ["maps"], ["simcc_y"], axes=[3], keepdims=0),
        ],
        constants={"kernel": np.full((17, 3, 1, 1), 1 / 3 / 2.4, np.float32)},
    )
    keypoints = estimate(spot(322.3, 208.1).rgb, np.array([[200, 100, 360, 320]]), f"onnx:{path}")
    assert np.abs(keypoints[0, :, :2] - (322.3, 208.1)).max() < 1.5


@pytest.mark.parametrize(
    ("joints", "wanted", "reason"),
    [
        (133, "coco17", "m.onnx; of its wholebody133 joints those of coco17 are kept"),
        (133, "wholebody133", "m.onnx"),
        (17, "openpose18", "m.onnx; of its coco17 joints those of openpose18 are kept"),
    ],
)
def test_a_model_serves_other_layouts(tmp_path: Path, joints: int, wanted: str, reason: str) -> None:
    path = simcc_model(tmp_path / "m.onnx", joints=joints)
    assert resolve_skeletons(f"onnx:{path}", layout=wanted).reason == reason


@pytest.mark.parametrize(
    ("joints", "wanted", "message"),
    [
        (17, "wholebody133", "coco17 has no left_big_toe, left_small_toe, left_heel and 111 more"),
        (133, "halpe26", "wholebody133 has no head$"),
        (26, "emilya28", "halpe26 has no joint_0, joint_1, joint_2 and 25 more"),
    ],
)
def test_a_layout_that_a_model_cannot_make_is_refused(
    tmp_path: Path, joints: int, wanted: str, message: str
) -> None:
    path = simcc_model(tmp_path / "m.onnx", joints=joints)
    with pytest.raises(WeightsError, match=f"m.onnx cannot make skeleton {wanted}: {message}"):
        resolve_skeletons(f"onnx:{path}", layout=wanted)


def test_a_whole_body_is_followed_by_its_body(tmp_path: Path) -> None:
    engine = build_skeletons(resolve_skeletons(f"onnx:{simcc_model(tmp_path / 'm.onnx', joints=133)}"))
    assert engine is not None
    box = np.array([[200, 100, 360, 320]], np.float32)
    bodies = engine.detect(spot(280, 210), 0, 0.0, box)
    x0, y0, x1, y1 = bodies.boxes_xyxy[0]
    assert x0 < 280 < x1 and y0 < 210 < y1
    assert bodies.scores[0] == pytest.approx(bodies.keypoints[0, list(WHOLEBODY133.core), 2].mean())


# --- one stage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(640, 480), (160, 160), (100, 200)])
def test_one_stage_finds_everybody_in_source_pixels(tmp_path: Path, width: int, height: int) -> None:
    engine = build_skeletons(resolve_skeletons(f"onnx:{rtmo_model(tmp_path / 'rtmo.onnx')}"))
    assert engine is not None and engine.layout == "coco17" and engine.needs_pixels
    x, y = 0.6 * width, 0.55 * height
    frame = spot(x, y, width, height, sigma=max(width, height) / 20)
    bodies = engine.detect(frame, 0, 0.0, None)
    assert len(bodies) == 1  # the doubted twin, score 0.45 and overlapping, is suppressed
    step = max(width, height) / 160
    assert np.abs(bodies.keypoints[0, :, :2] - (x, y)).max() <= step + 0.51
    assert (bodies.keypoints[0, :, 2] == 1).all()  # 1.2 in the file
    x0, y0, x1, y1 = bodies.boxes_xyxy[0]
    assert abs((x0 + x1) / 2 - x) <= step + 0.51 and abs((y0 + y1) / 2 - y) <= step + 0.51
    assert x1 - x0 == pytest.approx(60 * step, rel=0.02)
    known = engine.detect(frame, 0, 0.0, np.array([[0, 0, 5, 5]], np.float32))
    np.testing.assert_array_equal(known.keypoints, bodies.keypoints)  # it looks everywhere, always


def test_one_stage_gives_given_boxes_their_people(tmp_path: Path) -> None:
    path = rtmo_model(tmp_path / "rtmo.onnx")
    frame = spot(300, 240, sigma=20)
    near, far = [190, 100, 410, 390], [500, 0, 640, 100]
    keypoints = estimate(frame.rgb, np.array([far, near]), f"onnx:{path}")
    assert keypoints.shape == (2, 17, 3)
    assert (keypoints[0] == 0).all()  # nobody there
    assert np.abs(keypoints[1, :, :2] - (300, 240)).max() < 5
    assert estimate(frame.rgb, np.zeros((0, 4)), f"onnx:{path}").shape == (0, 17, 3)
    by_name = estimate(frame.rgb, np.array([far, near]), f"onnx:{path.name}", weights_dir=str(path.parent))
    np.testing.assert_array_equal(by_name, keypoints)


def test_one_stage_without_anybody(tmp_path: Path) -> None:
    engine = build_skeletons(resolve_skeletons(f"onnx:{rtmo_model(tmp_path / 'rtmo.onnx', score=0.3)}"))
    assert engine is not None
    bodies = engine.detect(spot(300, 240), 0, 0.0, None)
    assert (bodies.boxes_xyxy.shape, bodies.keypoints.shape) == ((0, 4), (0, 17, 3))
    assert (engine.read(spot(300, 240), np.array([[0, 0, 90, 90]])) == 0).all()


def test_one_stage_needs_no_person_detector(tmp_path: Path) -> None:
    rtmo, person = rtmo_model(tmp_path / "rtmo.onnx"), rtmdet_model(tmp_path / "person.onnx", [], [])
    with pytest.raises(WeightsError, match=r"rtmo\.onnx finds people itself: leave the person detector"):
        resolve_skeletons(f"onnx:{rtmo},{person}")
    odd = rtmo_model(tmp_path / "odd.onnx", joints=14)
    with pytest.raises(WeightsError, match=r"odd\.onnx has 14 joints; known: 17"):
        resolve_skeletons(f"onnx:{odd}")


# --- detectors ---------------------------------------------------------------------------------------


def test_a_yolox_that_suppresses_itself_sees_plain_pixels(tmp_path: Path) -> None:
    """Both forms answer alike; YOLOX is told by its name and is square, 416 where it is tiny, else 640."""
    dets, sizes = [[50.0, 40, 100, 140, 0.9]], {}
    pose = heatmap_model(tmp_path / "pose.onnx")
    for name in ("yolox_m_humanart.onnx", "yolox_tiny_humanart.onnx", "rtmdet.onnx"):
        person = rtmdet_model(tmp_path / name, dets, [0])
        engine = build_skeletons(resolve_skeletons(f"onnx:{pose},{person}"))
        assert engine is not None
        bodies = engine.detect(spot(110, 140, sigma=80), 0, 0.0, None)
        sizes[name] = float(bodies.boxes_xyxy[0, 0]) / 50
    assert sizes == pytest.approx(
        {"yolox_m_humanart.onnx": 1, "yolox_tiny_humanart.onnx": 640 / 416, "rtmdet.onnx": 2}
    )


# --- keypoints of one picture ------------------------------------------------------------------------


@pytest.mark.parametrize("simcc", [False, True], ids=["heatmaps", "simcc"])
def test_known_joints_are_found_in_every_box(tmp_path: Path, simcc: bool) -> None:
    path = colour_model(tmp_path / "m.onnx", simcc=simcc)
    engine = build_skeletons(resolve_skeletons(f"onnx:{path}"))
    assert engine is not None
    rng, scores = np.random.default_rng(0), []
    parts = np.array([BODY[joint] for joint in COCO17.joints])
    for _ in range(8):
        width, height = 900, 700
        high = rng.uniform(250, 600)
        wide = high * rng.uniform(0.4, 0.7)
        x0, y0 = rng.uniform(0, width - wide), rng.uniform(0, height - high)
        box = np.array([x0, y0, x0 + wide, y0 + high])
        truth = box[:2] + parts * (wide, high)
        picture = coloured_body(truth, (width, height), sigma=high / 45)
        (found,) = estimate(picture, box[None], engine)
        scores.append(oks(found, truth, box))
        cell = 1.25 * max(wide / 192, high / 256) * (1 if simcc else 4)
        assert np.abs(found[:, :2] - truth).max() < 0.8 * cell + 1.5
    assert np.mean(scores) > (0.97 if simcc else 0.93)
    assert oks(np.roll(found, 1, axis=0), truth, box) < 0.5  # joints that stand in for others are noticed


def test_boxes_reach_beyond_the_picture_and_neighbours_do_not_matter(tmp_path: Path) -> None:
    path = colour_model(tmp_path / "m.onnx")
    parts = np.array([BODY[joint] for joint in COCO17.joints])
    box = np.array([-60.0, 20, 180, 400])
    picture = coloured_body(box[:2] + parts * (240, 380), (300, 400), sigma=9)
    boxes = np.stack([box, box + 7, [0, 0, 300, 400]])
    together = estimate(picture, boxes, f"onnx:{path}")
    for row in range(3):
        np.testing.assert_array_equal(
            estimate(picture, boxes[row : row + 1], f"onnx:{path}")[0], together[row]
        )
    inside = (box[:2] + parts * (240, 380))[:, 0] > 5
    errors = np.abs(together[0, inside, :2] - (box[:2] + parts * (240, 380))[inside])
    assert errors.max() < 8


@pytest.mark.parametrize(
    ("image", "boxes", "message"),
    [
        (np.zeros((9, 9), np.uint8), [[0, 0, 5, 5]], r"the picture is uint8 \(9, 9\)"),
        (np.zeros((9, 9, 3), np.float32), [[0, 0, 5, 5]], "the picture is float32"),
        (np.zeros((0, 9, 3), np.uint8), [[0, 0, 5, 5]], r"the picture is uint8 \(0, 9, 3\)"),
        (np.zeros((9, 9, 3), np.uint8), [0, 0, 5, 5], r"boxes are \(4,\), expected \(P, 4\)"),
        (np.zeros((9, 9, 3), np.uint8), [[0, 0, np.nan, 5]], "expected .* finite"),
        (np.zeros((9, 9, 3), np.uint8), [[-1e39, 0, 5, 5]], "expected .* finite"),
    ],
)
def test_pictures_and_boxes_of_another_form_are_refused(
    tmp_path: Path, image: np.ndarray, boxes: list[list[float]], message: str
) -> None:
    path = heatmap_model(tmp_path / "m.onnx")
    with pytest.raises(UserError, match=message):
        estimate(image, np.array(boxes), f"onnx:{path}")


@pytest.mark.parametrize("engine", ["none", "sidecar"])
def test_an_engine_without_a_model_estimates_nothing(engine: str) -> None:
    with pytest.raises(UserError, match=f"pose '{engine}' is no model; give onnx:POSE"):
        estimate(np.zeros((9, 9, 3), np.uint8), np.array([[0, 0, 5, 5]]), engine)


def test_real_bodies_are_read_alike_from_boxes_that_differ_a_little(shared_data: Path) -> None:
    import av

    weights = shared_data / "weights"
    if not (weights / "tinypose_256x192.onnx").is_file():
        pytest.skip("no tinypose among the shared weights")
    name = "onnx:tinypose_256x192.onnx,rtmdet_nano_person_end2end.onnx"
    engine = build_skeletons(resolve_skeletons(name, weights))
    assert engine is not None
    scores = []
    for name, index in (
        ("people_walking_one_by_one.mp4", 240),
        ("asl/book.mkv", 20),
        ("street_bodies.mp4", 0),
    ):
        with av.open(str(shared_data / "videos" / name)) as container:
            picture = next(islice(container.decode(video=0), index, None)).to_ndarray(format="rgb24")
        bodies = engine.detect(ArrayFrame(picture), 0, 0.0, None)
        box = bodies.boxes_xyxy[:1]
        (exact,) = estimate(picture, box, engine)
        np.testing.assert_array_equal(exact, bodies.keypoints[0])
        size = box[0, 2:] - box[0, :2]
        moved = box + np.tile(0.04 * size, 2)
        larger = box + np.concatenate([-0.06 * size, 0.06 * size])
        scores += [
            oks(estimate(picture, other, engine)[0], exact[:, :2], box[0]) for other in (moved, larger)
        ]
    assert np.mean(scores) > 0.85


# --- models by rtmlib's names ------------------------------------------------------------------------


def test_rtmlib_has_four_kinds_of_three_sizes() -> None:
    sizes = ("lightweight", "balanced", "performance")
    kinds = ("body", "body26", "wholebody", "rtmo")
    assert set(NAMES) == {f"{kind}-{size}" for kind in kinds for size in sizes}
    for name in NAMES:
        roles = [weight.purpose for weight in REGISTRY.of_engine(f"rtmlib:{name}")]
        assert len(roles) == (1 if name.startswith("rtmo") else 2)


@pytest.mark.parametrize("name", NAMES)
def test_rtmlib_without_its_files_says_what_brings_them(name: str) -> None:
    with pytest.raises(WeightsError) as caught:
        resolve_skeletons(f"rtmlib:{name}")
    line = str(caught.value)
    assert "\n" not in line
    for weight in REGISTRY.of_engine(f"rtmlib:{name}"):
        assert weight.name in line and weight.file in line
        assert weight.url is not None and weight.url in line
    assert "`videofer weights fetch " in line


def test_an_unknown_rtmlib_model_is_refused() -> None:
    with pytest.raises(
        WeightsError, match="unknown rtmlib model 'body-huge'; known: body-balanced, body-light"
    ):
        resolve_skeletons("rtmlib:body-huge")


def test_rtmlib_models_run_from_a_folder_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks stand in for the files; so their published hashes are taken out."""
    unhashed = Registry(replace(weight, sha256=None) for weight in REGISTRY)
    for module in ("weights.locate", "skeletons.rtmlib_models"):
        monkeypatch.setattr(f"preprocessing.{module}.REGISTRY", unhashed)
    pose, person = (
        next(w for w in REGISTRY.of_engine("rtmlib:body26-performance") if w.name.startswith(start))
        for start in ("rtmpose", "yolox")
    )
    simcc_model(tmp_path / pose.file, joints=26)
    rtmdet_model(tmp_path / person.file, [[50.0, 40, 100, 140, 0.9]], [0])
    choice = resolve_skeletons("rtmlib:body26-performance", tmp_path, layout="halpe26")
    assert choice.name == "rtmlib:body26-performance"
    assert {role: Path(file.path).name for role, file in choice.weights.items()} == {
        "pose": pose.file, "person": person.file,
    }  # fmt: skip
    assert choice.reason == "rtmpose-x-halpe26 with yolox-x"
    engine = build_skeletons(choice)
    assert engine is not None and engine.layout == "halpe26"
    assert engine.name == engine.provenance["name"] == "rtmlib:body26-performance"
    bodies = engine.detect(spot(75, 90, sigma=20), 0, 0.0, None)
    np.testing.assert_allclose(bodies.boxes_xyxy, [[50, 40, 100, 140]], atol=0.01)  # 640 wide as the picture
    assert LAYOUTS[engine.layout].num_joints == bodies.keypoints.shape[1]
