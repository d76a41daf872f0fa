"""The process that runs networks for all workers: the answers of home, batches across callers, clean errors.

Here on the CPU: what differs on a GPU is ONNX Runtime's provider alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache.errors import UserError
from preprocessing.blob import Normaliser
from preprocessing.network import LocalNetwork
from preprocessing.onnx_session import CPU
from preprocessing.stage.cluster import running_ray
from preprocessing.stage.detector_actor import (
    DetectorActor,
    RemoteNetwork,
    There,
    places_on_gpus,
    require_provider,
)
from preprocessing.weights import WeightsError
from tests.onnx_models import node, save_model

NORMALISE = Normaliser(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))

pytestmark = pytest.mark.ray


def small_model(path: Path) -> Path:
    """Two outputs of a picture of 32x24 pixels."""
    kernel = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
    return save_model(
        path,
        input_shape=("N", 3, 24, 32),
        outputs={"maps": ("N", 5, 6, 8), "peaks": ("N", 5, 6)},
        nodes=[
            node("Conv", ["image", "kernel"], ["maps"], strides=[4, 4]),
            node("ReduceMax", ["maps"], ["peaks"], axes=[3], keepdims=0),
        ],
        constants={"kernel": kernel},
    )


@pytest.fixture(scope="module")
def actor() -> Iterator[Any]:
    import ray

    with running_ray(None, 2):
        yield ray.remote(DetectorActor).options(num_cpus=0, max_concurrency=100).remote(CPU, max_batch=4)


def test_answers_are_those_of_this_process(actor: Any, tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx")
    here, there = LocalNetwork(path), RemoteNetwork(actor, path)
    assert there.inputs == here.inputs and there.outputs == here.outputs
    rng = np.random.default_rng(0)
    _, _, height, width = here.inputs[0].shape
    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(12)]
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda image: there.run(image, NORMALISE), images))
    for image, answer in zip(images, answers, strict=True):
        for ours, theirs in zip(here.run(image, NORMALISE), answer, strict=True):
            assert theirs.shape == ours.shape
            np.testing.assert_allclose(theirs, ours, atol=1e-5)
    name = here.outputs[-1].name
    (named,) = there.run(images[0], NORMALISE, [name])
    np.testing.assert_allclose(named, answers[0][-1], atol=1e-5)


def test_pictures_of_several_callers_share_a_batch(actor: Any, tmp_path: Path) -> None:
    import ray

    path = small_model(tmp_path / "pose.onnx")
    there = RemoteNetwork(actor, path)
    _, _, height, width = there.inputs[0].shape
    before = len(ray.get(actor.batch_sizes.remote()))
    image = np.zeros((height, width, 3), np.uint8)
    ray.get([actor.run.remote(path, image, NORMALISE) for _ in range(40)])
    sizes = ray.get(actor.batch_sizes.remote())[before:]
    assert sum(sizes) == 40 and max(sizes) > 1 and max(sizes) <= 4


def test_a_picture_that_does_not_fit_fails_alone(actor: Any, tmp_path: Path) -> None:
    import ray

    path = small_model(tmp_path / "pose.onnx")
    there = RemoteNetwork(actor, path)
    _, _, height, width = there.inputs[0].shape
    good = actor.run.remote(path, np.zeros((height, width, 3), np.uint8), NORMALISE)
    bad = actor.run.remote(path, np.zeros((height + 1, width, 3), np.uint8), NORMALISE)
    assert len(ray.get(good)) == len(there.outputs)
    with pytest.raises(RuntimeError, match=r"dimensions|Dimension"):
        ray.get(bad)


def test_no_model_is_said_so(actor: Any, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(WeightsError, match="not a usable ONNX model"):
        There(actor).network(tmp_path / "no.onnx")


def test_a_provider_that_is_not_there_is_refused() -> None:
    require_provider(CPU)
    with pytest.raises(UserError, match=r"has no NoSuchProvider .it has .*CPUExecutionProvider"):
        require_provider("NoSuchProvider")


def test_without_a_gpu_the_run_says_so(actor: Any) -> None:
    with pytest.raises(UserError, match="no GPU: Ray found none"):
        places_on_gpus(CPU)


def test_each_gpu_has_a_process_and_needs_its_provider() -> None:
    """In a process of its own: the machine has one GPU there, as far as Ray is told."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ok\n" in done.stdout


SCRIPT = """
import ray
quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
ray.init(address="local", num_cpus=2, num_gpus=1, **quiet)
from cache.errors import UserError
import preprocessing.stage.detector_actor as stage
from preprocessing.stage.detector_actor import GPU, places_on_gpus, require_provider
from preprocessing.onnx_session import CPU
places = places_on_gpus(CPU)
assert next(places) == next(places)
stage.START_SECONDS = 1.0
try:
    places_on_gpus(CPU)
except UserError as error:
    assert str(error) == "no GPU became free within 1 s: other jobs hold them", error
else:
    raise SystemExit("a second process on one GPU")
stage.START_SECONDS = 60.0
del places
try:
    require_provider(GPU)
except UserError:
    try:
        places_on_gpus(GPU)
    except UserError as error:
        assert str(error).startswith("ONNX Runtime here has no CUDAExecutionProvider"), error
    else:
        raise SystemExit("a GPU out of nothing")
print("ok")
"""
