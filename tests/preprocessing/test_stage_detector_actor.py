"""The process that runs networks for all workers, in this one: opening, batches across callers, clean errors.

With Ray and its deaths: `test_stage_devices.py`. Here on the CPU: what differs on a GPU is the device's name.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from cache.errors import UserError
from preprocessing.blob import Normaliser
from preprocessing.device import CPU
from preprocessing.network import Answer, BatchedNetwork, Here, LocalNetwork, run_one
from preprocessing.onnx_session import open_session, require_provider
from preprocessing.stage.detector_actor import DetectorActor
from preprocessing.weights import WeightsError
from tests.stage_models import NORMALISE, SIZE_WH, Doomed, pictures, small_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_model(tmp_path / "pose.onnx")


@pytest.mark.parametrize("batch", [1, 3, 4, 16])
def test_batches_are_answers_of_single_pictures(model: Path, batch: int) -> None:
    images = pictures(10)
    here, batched = LocalNetwork(model), BatchedNetwork(model, CPU, batch)
    assert batched.inputs == here.inputs and batched.outputs == here.outputs
    wanted = [run_one(here, image, NORMALISE) for image in images]
    assert_same(here.run_batch(images, NORMALISE), wanted, atol=0)
    assert_same(batched.run_batch(images, NORMALISE), wanted, atol=1e-5)
    (named,) = run_one(batched, images[0], NORMALISE, ["peaks"])
    np.testing.assert_allclose(named, wanted[0][1], atol=1e-5)
    assert batched.run_batch([], NORMALISE) == []


def test_neighbours_do_not_matter_to_the_last_digit(model: Path) -> None:
    """Nor does their number: batches have one size."""
    network = BatchedNetwork(model, CPU, 4)
    first, *others = pictures(9)
    alone = run_one(network, first, NORMALISE)
    for company in ([], others[:1], others[3:6], others, [first, first]):
        assert_same(network.run_batch([*company, first], NORMALISE)[-1:], [alone], atol=0)


def test_an_output_without_the_batch_is_asked_for_one_by_one(tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx", loses_batch=True)
    images = pictures(6)
    found = BatchedNetwork(path, CPU, 4).run_batch(images, NORMALISE)
    assert_same(found, LocalNetwork(path).run_batch(images, NORMALISE), atol=1e-5)


def test_a_file_that_fixes_the_batch_gets_its_size(tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx", batch=1)
    images = pictures(3)
    found = BatchedNetwork(path, CPU, 4).run_batch(images, NORMALISE)
    assert_same(found, LocalNetwork(path).run_batch(images, NORMALISE), atol=0)


def assert_same(found: list[Answer], wanted: list[Answer], atol: float) -> None:
    for theirs, ours in zip(found, wanted, strict=True):
        for array, expected in zip(theirs, ours, strict=True):
            assert array.shape == expected.shape
            np.testing.assert_allclose(array, expected, rtol=0, atol=atol)


def test_pictures_of_several_callers_share_a_batch(model: Path) -> None:
    async def ask() -> tuple[int, float]:
        actor = DetectorActor(CPU, max_batch=4)
        images = pictures(2)
        answers = await asyncio.gather(*(actor.run(model, images, NORMALISE) for _ in range(20)))
        assert all(len(answer) == 2 for answer in answers)
        _, usage = await actor.usage()
        (network,) = usage.networks
        assert network.name == "pose" and network.mean_batch == usage.mean_batch
        assert 0 < usage.busy_seconds <= network.busy_seconds + 1e-6
        return network.num_pictures, network.mean_batch

    num_pictures, mean_batch = asyncio.run(ask())
    assert num_pictures == 40 and 1 < mean_batch <= 4


def test_a_picture_that_does_not_fit_fails_alone(model: Path) -> None:
    async def ask() -> None:
        actor = DetectorActor(CPU)
        (good,) = pictures(1)
        tall = np.zeros((SIZE_WH[1] + 1, SIZE_WH[0], 3), np.uint8)
        answers, error = await asyncio.gather(
            actor.run(model, [good], NORMALISE), actor.run(model, [tall], NORMALISE), return_exceptions=True
        )
        assert isinstance(answers, list) and len(answers[0]) == 2
        assert isinstance(error, RuntimeError) and "imensions" in str(error)

    asyncio.run(ask())


def test_no_model_is_said_so_and_may_come_later(tmp_path: Path) -> None:
    path = tmp_path / "pose.onnx"
    path.write_bytes(b"no model")

    async def ask() -> None:
        actor = DetectorActor(CPU)
        for _ in range(2):
            with pytest.raises(WeightsError, match="not a usable ONNX model"):
                await actor.open(path)
        small_model(path)
        inputs, outputs = await actor.open(path)
        assert [port.name for port in (*inputs, *outputs)] == ["image", "maps", "peaks"]

    asyncio.run(ask())


def test_a_model_is_opened_once_and_on_the_thread_that_runs_it() -> None:
    async def ask() -> None:
        actor = DetectorActor(CPU)
        loader = Doomed("once")
        await asyncio.gather(
            *(actor.open(loader) for _ in range(5)), actor.run(loader, pictures(1), NORMALISE)
        )
        _, usage = await actor.usage()
        assert [network.name for network in usage.networks] == [str(loader)]

    asyncio.run(ask())


def test_a_lost_device_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)

    async def ask() -> None:
        await DetectorActor(CPU).run(Doomed("lost"), pictures(3), NORMALISE)

    with pytest.raises(Ended, match="1"):
        asyncio.run(ask())
    assert "the device is lost, starting anew: CUDA error" in capfd.readouterr().err


def test_onnx_runtime_without_cuda_says_so(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert require_provider(CPU) == "CPUExecutionProvider"
    with pytest.raises(UserError, match=r"has no CUDAExecutionProvider .it has CPUExecutionProvider"):
        open_session(model, "cuda:0")


def test_a_cuda_that_does_not_start_is_no_silent_cpu(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime warns and takes the CPU where its CUDA libraries do not load."""
    import onnxruntime

    asked = []

    class Session:
        def __init__(self, _path: str, _options: object, providers: list[tuple[str, dict[str, str]]]) -> None:
            asked.extend(providers)

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    known = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: known)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(UserError, match="could not start its CUDAExecutionProvider"):
        open_session(model, "cuda:1")
    ((name, settings),) = asked
    assert name == "CUDAExecutionProvider" and settings["device_id"] == "1" and settings["use_tf32"] == "0"


def test_what_opens_a_network_is_told_where(model: Path) -> None:
    assert isinstance(Here().network(model), LocalNetwork)
    assert Here("cuda:3").network(Doomed("tell")).inputs[0].name == "cuda:3"
    assert Normaliser() == Normaliser() and hash(Normaliser()) == hash(Normaliser())  # kinds of pictures
