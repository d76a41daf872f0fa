"""The parts of the mmpose engine that need no mmpose: geometry, safe checkpoints, what is said without it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.align import apply_warp
from preprocessing.skeletons import resolve_skeletons
from preprocessing.skeletons.layouts import COCO17, HALPE26
from preprocessing.skeletons.mmpose_checkpoint import load_checkpoint, put_weights
from preprocessing.skeletons.mmpose_config import TopDownConfig, published_checkpoint
from preprocessing.skeletons.mmpose_engine import padded_box, usable, warp_of
from preprocessing.weights import WeightsError

CONFIG = TopDownConfig(size_wh=(192, 256), padding=1.25, is_udp=False, joints=COCO17.joints)
UDP = TopDownConfig(size_wh=(192, 256), padding=1.25, is_udp=True, joints=COCO17.joints)


# --- geometry ----------------------------------------------------------------------------------------


def test_box_is_widened_to_the_aspect_then_padded() -> None:
    assert padded_box(np.array([100, 100, 140, 180]), CONFIG) == (82.5, 90, 157.5, 190)  # 60 x 80, padded
    assert padded_box(np.array([100, 100, 160, 110]), CONFIG) == (92.5, 55, 167.5, 155)


coordinate = st.floats(-500, 2000)
size = st.floats(1, 1500)


@given(coordinate, coordinate, size, size, st.sampled_from([CONFIG, UDP]))
def test_warp_puts_the_first_centre_on_the_edge_of_the_box(
    x: float, y: float, width: float, height: float, config: TopDownConfig
) -> None:
    x0, y0, x1, y1 = area = padded_box(np.array([x, y, x + width, y + height]), config)
    assert (x1 - x0) / (y1 - y0) == pytest.approx(0.75)
    corners = apply_warp(warp_of(area, config), np.array([[x0, y0], [x1, y1]]))
    last = (191.5, 255.5) if config.is_udp else (192.5, 256.5)
    np.testing.assert_allclose(corners, [(0.5, 0.5), last], atol=1e-6)


def test_joints_of_another_data_set_go_to_coco() -> None:
    crowdpose = (*COCO17.joints[5:], "top_head", "neck")  # no face
    config = TopDownConfig((192, 256), 1.25, False, crowdpose)
    keypoints = np.random.default_rng(0).random((2, 14, 3), np.float32)
    stored = config.to_layout(keypoints)
    np.testing.assert_array_equal(stored[:, 5:], keypoints[:, :12])
    assert (stored[:, :5] == 0).all()
    assert TopDownConfig((192, 256), 1.25, False, HALPE26.joints).layout == HALPE26


# --- without mmpose ----------------------------------------------------------------------------------


@pytest.mark.skipif(usable() is None, reason="mmpose is installed here")
def test_without_mmpose_one_line_says_how_to_get_it() -> None:
    assert usable() == "mmpose is not installed: `make mmpose` builds and installs mmpose"
    with pytest.raises(WeightsError) as caught:
        resolve_skeletons("mmpose:rtmpose-t,random")
    assert str(caught.value) == f"mmpose:rtmpose-t,random is not usable: {usable()}"


def test_mmcv_without_operators_is_not_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mmpose", "mmdet", "mmengine", "mmcv", "xtcocotools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert usable() == "mmcv is installed without its operators: `pip uninstall mmcv`, then `make mmpose`"
    (tmp_path / "mmcv" / "_ext.cpython-311-x86_64-linux-gnu.so").touch()
    assert usable() is None


def test_published_weights_stand_in_the_metafile(tmp_path: Path) -> None:
    (tmp_path / "net.yml").write_text(
        "Models:\n- Config: configs/a/net.py\n  Weights: https://example.org/net-01234567.pth\n"
        "- Config: configs/a/untrained.py\n"
    )
    assert published_checkpoint(tmp_path / "net.py") == "https://example.org/net-01234567.pth"
    assert published_checkpoint(tmp_path / "untrained.py") is None
    assert published_checkpoint(tmp_path / "other.py") is None


# --- checkpoints -------------------------------------------------------------------------------------


def net() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))


def save(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("place", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
def test_checkpoint_with_arrays_of_either_numpy(tmp_path: Path, place: bytes) -> None:
    meta = {"sigmas": np.arange(3.0), "count": np.float64(2), "on": np.array([True])}
    here = save(tmp_path / "here.pth", {"state_dict": net().state_dict(), "meta": meta})
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(here) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                assert content.count(b"numpy._core.multiarray") == 2
                content = content.replace(b"numpy._core.multiarray", place)
            target.writestr(name, content)
    loaded = load_checkpoint(path)
    np.testing.assert_array_equal(loaded["meta"]["sigmas"], [0, 1, 2])
    assert loaded["meta"]["count"] == 2
    put_weights(net(), loaded, path, ())


def test_bare_weights_and_those_of_several_gpus_fit(tmp_path: Path) -> None:
    source, target = net(), net()
    state = source.state_dict()
    bare = save(tmp_path / "bare.pth", state)
    put_weights(target, load_checkpoint(bare), bare, ())
    torch.testing.assert_close(target.state_dict(), state)
    parallel = save(
        tmp_path / "parallel.pth",
        {"state_dict": {f"module.{name}": 2 * tensor for name, tensor in state.items()}},
    )
    put_weights(target, load_checkpoint(parallel), parallel, ())
    torch.testing.assert_close(target.state_dict()["0.weight"], 2 * state["0.weight"])


class Bomb:
    """What a pickle runs when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_of_a_checkpoint_is_run(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "bomb.pth"
    content = {"state_dict": net().state_dict(), "meta": Bomb(tmp_path / "trace")}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"holds more than weights \(posix.mkdir\).*publish_model.py"
    ) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no checkpoint of torch"),
        (b"<html>not found</html>", "is no checkpoint of torch"),
        (b"PK\x03\x04 and then it broke off", "is no checkpoint of torch"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.zeros(3)])
def test_checkpoints_without_weights(tmp_path: Path, content: Any) -> None:
    with pytest.raises(WeightsError, match="it has no state_dict"):
        load_checkpoint(save(tmp_path / "x.pth", content))


def test_weights_must_fill_the_network(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = net().state_dict()
    lacking = {name: tensor for name, tensor in state.items() if name != "1.bias"}
    other_shape = state | {"0.bias": torch.zeros(5)}
    for weights, message in (
        (lacking, "it lacks 1 of its tensors, 1.bias the first"),
        (other_shape, "does not fit the config: size mismatch for 0.bias"),
    ):
        with pytest.raises(WeightsError, match=message) as caught:
            put_weights(net(), {"state_dict": weights}, tmp_path / "x.pth", ())
        assert "\n" not in str(caught.value)
    put_weights(net(), {"state_dict": state | {"2.bias": torch.zeros(5)}}, tmp_path / "x.pth", ())
    assert "x.pth has 1 tensors that the config has no place for, 2.bias the first" in caplog.text


def test_versions_of_parts_stay_with_the_weights(tmp_path: Path) -> None:
    """By them mmpose tells old names of tensors from new ones."""

    class Versioned(torch.nn.Linear):
        _version = 7
        seen: ClassVar[list[int | None]] = []

        def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *rest: Any) -> None:
            self.seen.append(metadata.get("version"))
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    path = save(tmp_path / "x.pth", {"state_dict": Versioned(2, 2).state_dict()})
    put_weights(Versioned(2, 2), load_checkpoint(path), path, ())
    assert Versioned.seen == [7]
