"""Batches of one size, and how they shrink where a device's memory does not suffice."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.batches import Batches, is_memory
from preprocessing.blob import Normaliser
from preprocessing.faces.mtcnn import PIXELS, Cascade
from preprocessing.network import Answer, BatchedNetwork, LocalNetwork, Port
from preprocessing.skeletons.mmpose_network import AS_IS, MmposeNetwork
from preprocessing.torch_network import TorchNetwork
from tests import stage_models

NORMALISE = Normaliser()


class Device:
    """Sums pictures, at most `room` at once. Keeps the sizes of the batches that it was asked for."""

    def __init__(self, room: int) -> None:
        self.room, self.sizes = room, list[int]()

    def take(self, size: int) -> None:
        self.sizes.append(size)
        if size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def compute(self, some: Sequence[np.ndarray], size: int) -> list[int]:
        assert 0 < len(some) <= size
        self.take(size)
        return [int(image.sum()) for image in some]


def pictures(number: int, height: int = 4) -> list[np.ndarray]:
    return [np.full((height, 5, 3), n, np.uint8) for n in range(number)]


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 50))
def test_all_are_answered_in_their_order(size: int, room: int, number: int) -> None:
    device, batches = Device(room), Batches(size)
    images = pictures(number)
    assert batches.run(images, device.compute) == [int(image.sum()) for image in images]
    assert device.sizes == sorted(device.sizes, reverse=True), "it never grows again"
    assert all(after in (before, before // 2) for before, after in pairwise(device.sizes))


def test_it_stays_small_for_pictures_of_that_size_only() -> None:
    device, batches = Device(3), Batches(8)
    batches.run(pictures(4), device.compute)
    batches.run(pictures(3), device.compute)
    device.room = 8
    batches.run(pictures(3, height=2), device.compute)
    assert device.sizes == [8, 4, 2, 2, 2, 2, 8]


def test_a_single_picture_that_is_too_much_is_an_error() -> None:
    device = Device(0)
    with pytest.raises(torch.OutOfMemoryError):
        Batches(4).run(pictures(2), device.compute)
    assert device.sizes == [4, 2, 1]


def test_a_size_that_a_file_fixes_stays_and_other_errors_are_not_about_size() -> None:
    device = Device(2)
    with pytest.raises(torch.OutOfMemoryError):
        Batches(4, can_shrink=False).run(pictures(2), device.compute)
    assert device.sizes == [4]

    def fail(_some: Sequence[np.ndarray], size: int) -> list[int]:
        device.sizes.append(size)
        raise ValueError("a bad picture")

    with pytest.raises(ValueError, match="a bad picture"):
        Batches(4).run(pictures(2), fail)
    assert device.sizes == [4, 4]


def test_nothing_of_a_batch_that_failed_is_kept_while_the_next_one_runs() -> None:
    """Its tensors would fill the memory that the smaller one needs."""
    kept: list[weakref.ref[torch.Tensor]] = []

    def compute(some: Sequence[np.ndarray], size: int) -> list[int]:
        tensor = torch.zeros(size)
        gc.disable()  # what is freed is so at once
        assert all(reference() is None for reference in kept)
        kept.append(weakref.ref(tensor))
        if size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [0] * len(some)

    try:
        assert Batches(8).run(pictures(2), compute) == [0, 0]
    finally:
        gc.enable()
    assert len(kept) == 5


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "CUDA error: out of memory",
        "[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 12",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_a_lack_of_memory_is_known_by_its_words(text: str) -> None:
    assert is_memory(RuntimeError(text))
    assert not is_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


# --- the networks --------------------------------------------------------------------------------------


class Mean(torch.nn.Module):
    """The mean of each picture, on a device with little memory."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        self._device.take(len(x))
        return (x.mean((1, 2, 3)),)


def test_a_network_of_torch_shrinks() -> None:
    device = Device(3)
    network = TorchNetwork(Mean(device), ("mean",), batch=16)
    assert [float(answer[0][0]) for answer in network.run_batch(pictures(5), NORMALISE)] == [0, 1, 2, 3, 4]
    assert device.sizes == [16, 8, 4, 2, 2, 2]


def test_an_onnx_file_shrinks(tmp_path: Path) -> None:
    class Session:
        """ONNX Runtime's, with little memory."""

        def __init__(self, session: object) -> None:
            self._session = session

        def run(self, outputs: object, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            (blob,) = feed.values()
            try:
                device.take(len(blob))
            except torch.OutOfMemoryError:
                raise RuntimeError("Failed to allocate memory for requested buffer of size 12") from None
            answer: list[np.ndarray] = self._session.run(outputs, feed)  # type: ignore[attr-defined]
            return answer

    path, device = stage_models.small_model(tmp_path / "pose.onnx"), Device(2)
    images = stage_models.pictures(3)
    network = BatchedNetwork(path, "cpu", 8)
    network._session = Session(network._session)
    wanted = LocalNetwork(path).run_batch(images, NORMALISE)
    for theirs, ours in zip(network.run_batch(images, NORMALISE), wanted, strict=True):
        for array, expected in zip(theirs, ours, strict=True):
            np.testing.assert_allclose(array, expected, rtol=0, atol=1e-5)
    assert device.sizes == [8, 4, 2, 2]


def test_a_network_of_mmpose_shrinks() -> None:
    """Its way with batches, without mmpose: `tests/mmpose` runs the real ones."""
    device = Device(2)

    def infer(images_rgb: Sequence[np.ndarray]) -> list[Answer]:
        device.take(len(images_rgb))
        return [[np.full((1, 1, 2), image[0, 0, 0]), np.ones((1, 1))] for image in images_rgb]

    network = MmposeNetwork.__new__(MmposeNetwork)
    network._size_wh, network._batches = (5, 4), Batches(8)
    network.outputs = [Port("keypoints", ("N", 1, 2)), Port("scores", ("N", 1))]
    network._infer = infer  # type: ignore[method-assign]
    answers = network.run_batch(pictures(3), AS_IS, ["keypoints"])
    assert [float(answer[0][0, 0, 0]) for answer in answers] == [0, 1, 2] and device.sizes == [8, 4, 2, 2]


def test_mtcnn_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fills nothing up: its batches are as large as there are pictures."""
    device = Device(2)
    network = Cascade(batches=True)("cpu")
    detect = network._detect

    def limited(images_rgb: np.ndarray) -> list[Answer]:
        device.take(len(images_rgb))
        return detect(images_rgb)

    monkeypatch.setattr(network, "_detect", limited)
    images = [np.zeros((48, 64, 3), np.uint8)] * 5
    assert len(network.run_batch(images, PIXELS)) == 5
    assert device.sizes == [5, 2, 2, 1]
