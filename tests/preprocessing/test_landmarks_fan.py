"""FAN: points where the heatmaps have them, in source pixels; the library's own reading is the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing import landmarks
from preprocessing.align import apply_warp, warp_patch
from preprocessing.blob import Normaliser
from preprocessing.landmarks.fan import SIDE, Fan, FanFile, FanLandmarks, place_face
from preprocessing.landmarks.fan_module import STEP, FanPoints, read_peaks, spots
from preprocessing.landmarks.layouts import MIRRORED_68, five_of_68
from preprocessing.network import Answer, Port
from preprocessing.torch_network import TorchNetwork, depth_network, fan_network, missing_package
from preprocessing.weights import EngineChoice, WeightFile, WeightsError

needs_package = pytest.mark.skipif(
    missing_package() is not None, reason="the extra `face-alignment` is not installed"
)


class Picture:
    """A decoded frame as far as landmarks need it."""

    def __init__(self, rgb: np.ndarray) -> None:
        self._rgb = rgb
        self.height, self.width = rgb.shape[:2]

    def aligned_rgb(
        self, warp: np.ndarray, size_wh: tuple[int, int], *, black_outside: bool = False
    ) -> np.ndarray:
        border = cv2.BORDER_CONSTANT if black_outside else cv2.BORDER_REPLICATE
        return warp_patch(self._rgb, warp, size_wh, border=border)


class BrightSpots(torch.nn.Module):
    """As FAN: a list of heatmaps (N, 68, 64, 64). All 68 are the picture's brightness in cells of 4 x 4."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        self.sizes = [*getattr(self, "sizes", []), len(x)]
        maps = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), STEP).expand(-1, 68, -1, -1)
        return [torch.zeros_like(maps), maps]


class At:
    """A place where every model is this network."""

    device = "cpu"

    def __init__(self, module: torch.nn.Module, outputs: Sequence[str] = ("points",)) -> None:
        self._network = TorchNetwork(module, outputs)

    def network(self, model: object) -> TorchNetwork:
        assert isinstance(model, FanFile)
        return self._network


def with_spot(size_wh: tuple[int, int], at_xy: tuple[float, float], radius: float) -> np.ndarray:
    """A dark picture with one soft bright spot."""
    y, x = np.indices(size_wh[::-1]) + 0.5
    distance = (x - at_xy[0]) ** 2 + (y - at_xy[1]) ** 2
    level = 30 + 220 * np.exp(-distance / (2 * radius**2))
    return np.repeat(level[..., None], 3, axis=2).astype(np.uint8)


# --- coordinates -------------------------------------------------------------------------------------


@given(
    x=st.floats(120, 200),
    y=st.floats(90, 150),
    width=st.floats(60, 160),
    height=st.floats(60, 160),
)
def test_a_point_lies_where_the_source_has_it(x: float, y: float, width: float, height: float) -> None:
    """Whatever the box: to half a cell of the heatmap, seen in the source."""
    box = np.array([160 - width / 2, 130 - height / 2, 160 + width / 2, 130 + height / 2])
    warp = place_face(box)
    inside = apply_warp(warp, np.array([x, y]))
    cell = STEP / warp[0, 0]
    picture = with_spot((320, 240), (x, y), radius=cell)
    points = Fan(At(FanPoints(BrightSpots())), Path("any")).in_pictures([picture], [box])
    assert points.shape == (1, 68, 2)
    if inside.min() >= 8 and inside.max() <= SIDE - 8:
        np.testing.assert_allclose(points[0], np.broadcast_to([x, y], (68, 2)), atol=0.55 * cell)


def test_frames_give_what_pictures_give_and_faces_without_a_place_give_nothing() -> None:
    picture = with_spot((320, 240), (150, 120), 3)
    boxes = np.array([[100, 80, 200, 190], [np.nan] * 4, [90, 70, 210, 200]], np.float32)
    fan = Fan(At(FanPoints(BrightSpots())), Path("any"))
    expected = fan.in_pictures([picture, picture], [boxes[0], boxes[2]])
    engine = FanLandmarks.__new__(FanLandmarks)
    engine._fan = fan
    frame = Picture(picture)
    five = np.full((3, 5, 2), np.nan, np.float32)
    found = engine.locate([frame, frame, frame], boxes, five)  # type: ignore[list-item]
    np.testing.assert_array_equal(found[[0, 2]], expected)
    assert np.isnan(found[1]).all()
    assert engine.locate([], np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32)).shape == (
        0,
        68,
        2,
    )


def test_the_square_is_the_one_that_face_alignment_cuts() -> None:
    utils = pytest.importorskip("face_alignment.utils", reason="the extra `face-alignment` is not installed")
    x0, y0, x1, y1 = 100.0, 60.0, 180.0, 170.0
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2 - 0.12 * (y1 - y0)])
    scale = (x1 - x0 + y1 - y0) / utils.REFERENCE_SCALE
    warp = place_face(np.array([x0, y0, x1, y1]))
    for point in ([0, 0], [128, 128], [256, 256], [37, 201]):
        theirs = utils.transform(point, centre, scale, 256.0, invert=True)  # cut off to whole pixels
        ours = (np.array(point) - warp[:, 2]) / warp[0, 0]
        assert (np.abs(ours - theirs.numpy()) <= 1).all()


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_peaks_are_read_as_face_alignment_reads_them(seed: int) -> None:
    utils = pytest.importorskip("face_alignment.utils", reason="the extra `face-alignment` is not installed")
    maps = np.random.default_rng(seed).normal(size=(2, 68, 64, 64)).astype(np.float32)
    maps[0, 0] = 0
    maps[0, 0, 0, 63] = 1  # in a corner, where there is no neighbour to lean to
    best = maps.reshape(2, 68, -1).argmax(-1)
    expected, _ = utils._get_preds_fromhm.py_func(maps, best.copy())
    points = read_peaks(torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(points[..., :2], expected * STEP)
    np.testing.assert_array_equal(points[..., 2], maps.reshape(2, 68, -1).max(-1))


def test_each_picture_passes_twice_and_the_flipped_one_is_mirrored_back() -> None:
    class OnePoint(torch.nn.Module):
        """Heatmaps are the picture's brightness; the first eight see its left half only."""

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            maps = torch.nn.functional.avg_pool2d(x.mean(1, keepdim=True), STEP).repeat(1, 68, 1, 1)
            maps[:, :8, :, 32:] = 0  # one side of the jaw is not seen on the right
            return [maps]

    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[:, :, 100:104, 40:44] = 1.0
    picture[:, :, 60:64, 200:204] = 0.8
    (points,) = FanPoints(OnePoint())(picture)
    assert MIRRORED_68[0] == 16
    # Point 0, right half unseen: 1 at the left; flipped it is read as point 16, which sees both.
    np.testing.assert_allclose(points[0, 0, :2], [42, 102])
    assert points[0, 0, 2] == pytest.approx(1.0)
    # Point 16: the straight picture shows 1 at the left; in the flipped one point 0 does not see it.
    np.testing.assert_allclose(points[0, 16, :2], [202, 62])
    assert points[0, 16, 2] == pytest.approx(0.8)


def test_spots_are_those_that_the_depth_network_knows() -> None:
    utils = pytest.importorskip("face_alignment.utils", reason="the extra `face-alignment` is not installed")
    points = np.random.default_rng(0).uniform(10, SIDE - 10, (68, 2)).astype(np.float32)
    expected = np.stack([utils.draw_gaussian(np.zeros((SIDE, SIDE), np.float32), xy, 2) for xy in points])
    np.testing.assert_allclose(spots(torch.from_numpy(points)[None])[0], expected, atol=1e-6)


def test_five_landmarks_are_the_middle_of_the_eyes_the_nose_and_the_mouth() -> None:
    points = np.zeros((2, 68, 2), np.float32)
    points[:, 36:42] = [10, 20]
    points[:, 36] = [4, 20]
    points[:, 42:48] = [30, 20]
    points[:, 30], points[:, 48], points[:, 54] = [20, 30], [12, 40], [28, 41]
    five = five_of_68(points)
    assert five.shape == (2, 5, 2)
    np.testing.assert_allclose(five[1], [[9, 20], [30, 20], [20, 30], [12, 40], [28, 41]])


# --- real networks with weights of chance ------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """FAN and its depth network, as their publishers save them."""
    folder = tmp_path_factory.mktemp("fan")
    torch.manual_seed(0)
    torch.save(fan_network().state_dict(), folder / "fan.pth.tar")
    depth = {f"module.{name}": tensor for name, tensor in depth_network().state_dict().items()}
    torch.save({"state_dict": depth, "epoch": 49, "arch": "resnet"}, folder / "depth.pth.tar")
    return folder / "fan.pth.tar", folder / "depth.pth.tar"


@needs_package
def test_the_networks_of_face_alignment_are_loaded_and_run(files: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), (320, 240))
    box = np.array([100, 80, 200, 190], np.float32)
    opened = FanFile(*files)("cpu")
    assert [port.name for port in opened.outputs] == ["points", "depths"]

    class Opened:
        device = "cpu"

        def network(self, model: object) -> TorchNetwork:
            return opened

    (points,) = Fan(Opened(), *files).in_pictures([picture], [box])
    assert points.shape == (68, 3)
    assert np.isfinite(points).all()

    # The same by the library's own modules, one after the other.
    warp = place_face(box)
    crop = warp_patch(picture, warp, (SIDE, SIDE), border=cv2.BORDER_CONSTANT)
    x = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
    fan, depth = fan_network(), depth_network()
    fan.load_state_dict(torch.load(files[0], weights_only=True))
    state = torch.load(files[1], weights_only=True)["state_dict"]
    depth.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    utils = pytest.importorskip("face_alignment.utils")
    with torch.inference_mode():
        maps = fan.eval()(x)[-1] + utils.flip(fan(utils.flip(x))[-1], is_label=True)
        places, _ = utils._get_preds_fromhm.py_func(maps.numpy(), maps.flatten(2).argmax(-1).numpy())
        places = torch.from_numpy(places) * 4
        expected = depth.eval()(torch.cat([x, spots(places)], 1)).numpy()[0]
    np.testing.assert_allclose(apply_warp(warp, points[:, :2]), places[0], atol=0.01)
    np.testing.assert_allclose(points[:, 2] * warp[0, 0], expected, rtol=1e-3, atol=1e-4)


def test_points_in_space_need_both_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    picture, box = np.zeros((20, 30, 3), np.uint8), np.array([1, 2, 9, 9], np.float32)
    with pytest.raises(WeightsError, match="videofer weights fetch fan3d fan3d-depth` gets 3DFAN4"):
        landmarks.points_3d([picture], [box])
    there = tmp_path / "3DFAN4-7835d9f11d.pth.tar"
    monkeypatch.setattr(
        "preprocessing.landmarks.fan.find", lambda name, weights_dir: there if name == "fan3d" else None
    )
    with pytest.raises(WeightsError, match="videofer weights fetch fan3d-depth` gets depth-2a464da4ea"):
        landmarks.points_3d([picture], [box])


@needs_package
def test_points_in_space_are_those_of_both_networks(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "preprocessing.landmarks.fan.find", lambda name, weights_dir: files[name == "fan3d-depth"]
    )
    picture, box = with_spot((160, 120), (80, 60), 5), np.array([40, 30, 120, 100], np.float32)
    points = landmarks.points_3d([picture], [box])
    assert points.shape == (1, 68, 3) and np.isfinite(points).all()


@needs_package
def test_files_of_other_networks_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds other weights than those of FAN$"):
        FanFile(files[1])("cpu")
    with pytest.raises(WeightsError, match="holds other weights than those of FAN's depth network"):
        FanFile(files[0], files[0])("cpu")
    choice = EngineChoice("fan", {"landmarks": WeightFile.of(files[1])})
    with pytest.raises(WeightsError, match=r"holds other weights than those of FAN$"):
        landmarks.build(choice)


@pytest.mark.parametrize(("name", "file"), [("fan", "2DFAN4-11f355bf06"), ("fan3d", "3DFAN4-7835d9f11d")])
def test_weights_that_lack_are_named(name: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match=f"videofer weights fetch {name}` gets {file}.pth.tar") as caught:
        landmarks.resolve(name)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("preprocessing.torch_network.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=f"landmarks '{name}' are not usable: .*pip install"):
        landmarks.resolve(name)


def test_neighbours_change_nothing() -> None:
    pictures = [with_spot((320, 240), (140 + 7 * n, 120 + 3 * n), 4) for n in range(5)]
    boxes = [np.array([100.0, 80, 200, 190 + n]) for n in range(5)]
    fan = Fan(At(FanPoints(BrightSpots())), Path("any"))
    together = fan.in_pictures(pictures, boxes)
    for n in range(5):
        np.testing.assert_array_equal(fan.in_pictures(pictures[n : n + 1], boxes[n : n + 1])[0], together[n])
    assert fan.in_pictures([], []).shape == (0, 68, 2)


class Recorded:
    """Answers what it was told."""

    def __init__(self, answer: Answer) -> None:
        self.inputs, self.outputs = [Port("image", ("N", 3, SIDE, SIDE))], [Port("points", ("N",))]
        self._answer = answer

    def run_batch(
        self, images: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        return [self._answer for _ in images]


def test_sfd_takes_its_five_landmarks_from_fan() -> None:
    from preprocessing.faces.sfd import SFD, STRIDES

    points = np.zeros((68, 3), np.float32)
    points[36:42, :2], points[42:48, :2] = [80, 100], [170, 100]
    points[30, :2], points[48, :2], points[54, :2] = [128, 140], [95, 180], [160, 180]
    answer: Answer = []
    for stride in STRIDES:
        h, w = -(-96 // stride), -(-128 // stride)
        classes = np.stack([np.full((h, w), 5.0), np.full((h, w), -5.0)]).astype(np.float32)
        if stride == 16:
            classes[:, 2, 3] = [-3, 3]  # one face: cell of row 2, column 3
        answer += [classes[None], np.zeros((1, 4, h, w), np.float32)]
    detector = SFD.__new__(SFD)
    detector._min_score = 0.5
    detector._network = Recorded(answer)
    fan = Fan.__new__(Fan)
    fan._network = Recorded([points[None]])
    detector._fan = fan
    pictures = [np.zeros((96, 128, 3), np.uint8)] * 2
    first, second = detector.detect(pictures)
    for found in (first, second):
        np.testing.assert_allclose(found.boxes_xyxy, [[24, 8, 88, 72]])
        assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-6)))
        warp = place_face(found.boxes_xyxy[0])
        expected = [[80, 100], [170, 100], [128, 140], [95, 180], [160, 180]]
        np.testing.assert_allclose(apply_warp(warp, found.landmarks_xy[0]), expected, atol=1e-3)
