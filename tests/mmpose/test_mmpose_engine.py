"""mmpose for real: a config whose weights are made by hand, so that its joints are known, and RTMPose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from preprocessing.decode.frames import PixelFrame
from preprocessing.network import Here, run_one
from preprocessing.skeletons import estimate, resolve_skeletons
from preprocessing.skeletons.layouts import COCO17, WHOLEBODY133
from preprocessing.skeletons.mmpose_config import (
    dataset_meta,
    load_config,
    locate_config,
    published_checkpoint,
    read_config,
)
from preprocessing.skeletons.mmpose_engine import MmposePose, padded_box, resolve_mmpose, usable, warp_of
from preprocessing.skeletons.mmpose_network import AS_IS, MmposeModel, MmposeNetwork
from preprocessing.weights import EngineChoice, WeightFile, WeightsError
from tests.mmpose.spot_net import COLOUR_OF_JOINT, by_inference_topdown, spots, write_config, write_weights

pytestmark = [pytest.mark.mmpose, pytest.mark.usefixtures("one_thread")]

RTMPOSE = "rtmpose-t_8xb256-420e_coco-256x192"
PLACES = np.array([[300.25, 180.5], [352.0, 260.75], [310.5, 330.0]])
BOX = np.array([[230, 120, 420, 380]], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mmpose")


@pytest.fixture(scope="module")
def spot_engine(folder: Path) -> MmposePose:
    config = write_config(folder / "spot.py")
    return MmposePose(resolve_mmpose(f"{config},{write_weights(config, folder / 'spot.pth')}"))


@pytest.fixture(scope="module")
def rtmpose() -> MmposePose:
    return MmposePose(resolve_mmpose(f"{RTMPOSE},random"))


@pytest.fixture(scope="module")
def photograph() -> PixelFrame:
    from skimage.data import astronaut

    return PixelFrame(np.ascontiguousarray(astronaut()), 0, 1)


def test_mmpose_is_usable_here() -> None:
    assert usable() is None


# --- coordinates -------------------------------------------------------------------------------------


def test_joints_lie_where_the_spots_are(spot_engine: MmposePose) -> None:
    keypoints = spot_engine.read(spots(PLACES), BOX)
    assert keypoints.shape == (1, 17, 3) and keypoints.dtype == np.float32
    assert spot_engine.layout == COCO17
    # A heatmap cell is 5.4 pixels of the picture; DARK's refinement finds the middle of a round spot.
    np.testing.assert_allclose(keypoints[0, :, :2], PLACES[COLOUR_OF_JOINT], atol=0.5)
    assert (keypoints[0, :, 2] > 0.9).all() and (keypoints[..., 2] <= 1).all()


def test_a_box_at_the_edge_of_the_picture(spot_engine: MmposePose) -> None:
    places = np.array([[12.0, 20.0], [40.0, 90.0], [25.0, 150.0]])
    keypoints = spot_engine.read(
        spots(places, width=320, height=200), np.array([[0, 0, 70, 200]], np.float32)
    )
    np.testing.assert_allclose(keypoints[0, :, :2], places[COLOUR_OF_JOINT], atol=0.5)


def test_each_person_has_the_own_joints(spot_engine: MmposePose) -> None:
    """Several boxes of one picture, in one call and one by one: the same to the last bit."""
    boxes = np.concatenate([BOX, BOX + [[60, 10, 60, 10]], BOX - [[40, 0, 40, 0]]]).astype(np.float32)
    frame = spots(PLACES)
    together = spot_engine.read(frame, boxes)
    assert together.shape == (3, 17, 3)
    for row in range(3):
        np.testing.assert_array_equal(spot_engine.read(frame, boxes[row : row + 1])[0], together[row])
        np.testing.assert_allclose(together[row, :, :2], PLACES[COLOUR_OF_JOINT], atol=0.5)
    assert spot_engine.read(frame, boxes[:0]).shape == (0, 17, 3)


def test_estimate_takes_it_by_name(spot_engine: MmposePose, folder: Path) -> None:
    picture = spots(PLACES).rgb_patch(0, 0, 640, 480)
    keypoints = estimate(picture, BOX, f"mmpose:{folder / 'spot.py'},{folder / 'spot.pth'}")
    np.testing.assert_array_equal(keypoints, spot_engine.read(spots(PLACES), BOX))


def test_a_box_without_a_size_is_no_error(spot_engine: MmposePose) -> None:
    assert np.isfinite(spot_engine.read(spots(PLACES), np.array([[100, 100, 100, 100]], np.float32))).all()


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("flip", [False, True])
def test_same_as_inference_on_the_whole_picture(folder: Path, udp: bool, flip: bool) -> None:
    config = write_config(folder / f"udp{udp}_flip{flip}.py", udp=udp, flip=flip)
    checkpoint = write_weights(config, folder / f"udp{udp}_flip{flip}.pth")
    keypoints = MmposePose(resolve_mmpose(f"{config},{checkpoint}")).read(spots(PLACES), BOX)
    expected = by_inference_topdown(MmposeNetwork(config, checkpoint)._model, spots(PLACES), BOX)
    np.testing.assert_allclose(keypoints[..., :2], expected[..., :2], atol=0.05)
    np.testing.assert_allclose(keypoints[..., 2], expected[..., 2], atol=0.01)


def test_rtmpose_sees_what_it_sees_in_the_whole_picture(photograph: PixelFrame) -> None:
    """Random weights: no joints to speak of, but scores that follow every pixel."""
    box = np.array(
        [[120.3, 20.6, 330.2, 240.9]], np.float32
    )  # small: a larger one is shrunk without aliasing
    facts, network = read_config(locate_config(RTMPOSE)), MmposeNetwork(locate_config(RTMPOSE), None)
    warp = warp_of(padded_box(box[0], facts), facts)
    _, scores = run_one(network, photograph.aligned_rgb(warp, facts.size_wh, black_outside=True), AS_IS)
    expected = by_inference_topdown(network._model, photograph, box)
    assert expected[..., 2].std() > 0.05
    np.testing.assert_allclose(scores, expected[..., 2], rtol=0.01)


# --- batches -----------------------------------------------------------------------------------------


def test_persons_of_many_frames_go_together(rtmpose: MmposePose, photograph: PixelFrame) -> None:
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (256, 192, 3), np.uint8) for _ in range(5)]
    network = Here().network(MmposeModel(locate_config(RTMPOSE), None))
    alone = [run_one(network, crop, AS_IS) for crop in crops]
    together = network.run_batch(crops, AS_IS)
    assert [port.shape for port in network.outputs] == [("N", 17, 2), ("N", 17)]
    for one, other in zip(alone, together, strict=True):
        assert [array.shape for array in one] == [(1, 17, 2), (1, 17)]
        for array, twin in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, twin)
    (scores,) = network.run_batch(crops[:1], AS_IS, ["scores"])[0]
    np.testing.assert_array_equal(scores, alone[0][1])


def test_a_result_does_not_depend_on_its_neighbours_in_a_batch(rtmpose: MmposePose) -> None:
    """In batches of one size, as on a GPU, whatever goes together; and as one by one but for last digits."""
    rng = np.random.default_rng(1)
    crops = [rng.integers(0, 256, (256, 192, 3), np.uint8) for _ in range(5)]
    network = MmposeNetwork(locate_config(RTMPOSE), None, batch=4)
    together = network.run_batch(crops, AS_IS)
    one_by_one = MmposeNetwork(locate_config(RTMPOSE), None)
    for crop, answer in zip(crops, together, strict=True):
        for array, alone in zip(answer, run_one(network, crop, AS_IS), strict=True):
            np.testing.assert_array_equal(array, alone)
        np.testing.assert_allclose(answer[1], run_one(one_by_one, crop, AS_IS)[1], rtol=1e-4)


# --- layouts -----------------------------------------------------------------------------------------


def test_whole_body_has_its_own_layout() -> None:
    facts = read_config(locate_config("rtmpose-m_8xb64-270e_coco-wholebody-256x192"))
    assert facts.layout == WHOLEBODY133 and len(facts.joints) == 133


def test_other_bodies_are_stored_as_coco(folder: Path) -> None:
    """MPII has no face: its joints stand where COCO-17 has them, the others are absent."""
    config = write_config(folder / "mpii.py", dataset="MpiiDataset", joints=16)
    engine = MmposePose(resolve_mmpose(f"{config},{write_weights(config, folder / 'mpii.pth')}"))
    keypoints = engine.read(spots(PLACES), BOX)[0]
    assert engine.layout == COCO17 and keypoints.shape == (17, 3)
    mpii = read_config(config).joints
    for joint, (x, y, score) in zip(COCO17.joints, keypoints, strict=True):
        if joint in mpii:
            np.testing.assert_allclose([x, y], PLACES[mpii.index(joint) % 3], atol=0.5)
        else:
            assert (x, y, score) == (0, 0, 0)
    assert {"nose", "left_eye"}.isdisjoint(mpii)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("rtmpose-m_8xb256-210e_hand5-256x256", "finds no bodies: 21 joints (wrist, thumb1, "),
        ("td-hm_hrnet-w32_8xb64-210e_animalpose-256x256", "finds no bodies: 20 joints"),
        ("rtmo-s_8xb32-600e_coco-640x640", "is no top-down config: its test pipeline cuts out no persons"),
        ("rtmpose-t_coco", "no such config of mmpose, neither a file nor one of its 4"),
        ("nowhere.py", "no such config of mmpose"),
    ],
)
def test_configs_of_other_things_are_refused_in_one_line(config: str, message: str) -> None:
    with pytest.raises(WeightsError) as caught:
        resolve_skeletons(f"mmpose:{config},random")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    if config == "rtmpose-t_coco":
        assert RTMPOSE in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = dict(", "is no config that mmpose can read"),
        ("a = 1", "is no config that mmpose can read"),
        (None, "mmpose cannot build the network"),
    ],
)
def test_broken_configs_are_refused_in_one_line(folder: Path, text: str | None, message: str) -> None:
    path = folder / "broken.py"
    if text is None:
        write_config(path)
        text = path.read_text().replace('"ResNet"', '"NoSuchNet"')
    path.write_text(text)
    with pytest.raises(WeightsError) as caught:
        resolve_skeletons(f"mmpose:{path},random")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_joints_and_data_set_must_agree(folder: Path) -> None:
    config = write_config(folder / "fifteen.py", joints=15)
    with pytest.raises(WeightsError, match=r"it makes \[1, 15, 2\], its data set has 17 joints"):
        resolve_skeletons(f"mmpose:{config},random")


# --- weights -----------------------------------------------------------------------------------------


def test_random_weights_say_so(rtmpose: MmposePose, caplog: pytest.LogCaptureFixture) -> None:
    choice = resolve_mmpose(f"{RTMPOSE},random")
    assert choice.name == f"mmpose:{RTMPOSE},random"
    assert choice.provenance()["reason"] == "RANDOM WEIGHTS, as asked for: the joints are noise"
    assert "RANDOM WEIGHTS" in caplog.text
    frame = spots(PLACES)
    np.testing.assert_array_equal(MmposePose(choice).read(frame, BOX), rtmpose.read(frame, BOX))


def test_provenance_names_config_and_checkpoint_by_hash(spot_engine: MmposePose, folder: Path) -> None:
    choice = resolve_mmpose(f"{folder / 'spot.py'},{folder / 'spot.pth'}")
    assert EngineChoice.from_json(choice.to_json()) == choice
    stored = choice.provenance()
    assert stored["name"] == "mmpose:spot" and str(folder) not in str(stored)
    assert {role: file["file"] for role, file in stored["weights"].items()} == {
        "config": "spot.py",
        "checkpoint": "spot.pth",
    }
    assert stored["weights"]["checkpoint"]["sha256"] == WeightFile.of(folder / "spot.pth").sha256


def test_a_checkpoint_is_found_in_the_folder_of_weights(spot_engine: MmposePose, folder: Path) -> None:
    choice = resolve_mmpose(f"{folder / 'spot.py'},spot.pth", folder)
    assert Path(choice.weights["checkpoint"].path) == folder / "spot.pth"
    with pytest.raises(WeightsError, match=r"no such checkpoint: nowhere.pth"):
        resolve_mmpose(f"{folder / 'spot.py'},nowhere.pth", folder)


def test_published_weights_are_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        resolve_mmpose(RTMPOSE, tmp_path)
    url = published_checkpoint(locate_config(RTMPOSE))
    assert url is not None and f"`videofer weights fetch {url} --accept-license` gets them" in str(
        caught.value
    )
    (tmp_path / url.rpartition("/")[2]).write_bytes(b"something else")
    with pytest.raises(
        WeightsError, match="is not the published file: its SHA-256 does not start with e613ba3f"
    ):
        resolve_mmpose(RTMPOSE, tmp_path)


def test_a_config_of_ones_own_needs_a_checkpoint(folder: Path) -> None:
    config = write_config(folder / "own.py")
    with pytest.raises(WeightsError, match=r"mmpose publishes no weights for own.py: name a checkpoint"):
        resolve_mmpose(str(config))


@pytest.mark.parametrize("text", ["", ",x.pth", f"{RTMPOSE},", f"{RTMPOSE},a,b,c"])
def test_other_forms_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(WeightsError, match="is not of the form mmpose:CONFIG"):
        resolve_mmpose(text)


def test_weights_of_another_network_are_refused(folder: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "spot.py")
    good = torch.load(write_weights(config, tmp_path / "good.pth"), weights_only=True)
    meta = {
        "dataset_meta": {"dataset_name": "lions", "num_keypoints": 2, "keypoint_id2name": {0: "a", 1: "b"}}
    }
    torch.save(good | {"meta": meta}, tmp_path / "lions.pth")
    del good["state_dict"]["head.final_layer.bias"]
    torch.save(good, tmp_path / "part.pth")
    torch.save({"state_dict": {"head.final_layer.bias": torch.zeros(3)}}, tmp_path / "shape.pth")
    for name, message in (
        ("lions.pth", "it finds the 2 joints of lions, the config's data set has 17"),
        ("part.pth", "it lacks 1 of its tensors, head.final_layer.bias the first"),
        ("shape.pth", "does not fit the config: size mismatch for head.final_layer.bias"),
    ):
        with pytest.raises(WeightsError, match=message) as caught:
            resolve_skeletons(f"mmpose:{config},{tmp_path / name}")
        assert "\n" not in str(caught.value)


def test_a_checkpoint_with_arrays_in_its_meta(folder: Path, tmp_path: Path) -> None:
    """As mmpose publishes them: what the data set is stands beside the weights, with arrays of NumPy."""
    config = write_config(tmp_path / "spot.py")
    meta = dataset_meta(load_config(config))
    assert meta is not None and isinstance(meta["dataset_keypoint_weights"], np.ndarray)
    checkpoint = write_weights(
        config, tmp_path / "spot.pth", meta={"dataset_meta": meta, "epoch": np.float64(3)}
    )
    keypoints = MmposePose(resolve_mmpose(f"{config},{checkpoint}")).read(spots(PLACES), BOX)
    np.testing.assert_allclose(keypoints[0, :, :2], PLACES[COLOUR_OF_JOINT], atol=0.5)
