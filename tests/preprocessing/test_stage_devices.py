"""Processes that run networks for all workers, as real Ray actors: answers, deaths, usage, a whole run.

On the CPU: Ray is told of a GPU where a test needs one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cache.errors import UserError
from cache.reader import StoreReader
from preprocessing.device import CPU, FIRST_GPU
from preprocessing.engines import EngineChoices
from preprocessing.network import LocalNetwork, run_one
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.cluster import running_ray
from preprocessing.stage.devices import Devices
from preprocessing.stage.remote import MAX_SENT, PlaceLostError, There
from preprocessing.stage.report import RunReport, text_of
from preprocessing.stage.run import preprocess
from preprocessing.stage.totals import Totals
from preprocessing.weights import EngineChoice, WeightFile, WeightsError
from tests.stage_models import NORMALISE, Doomed, pictures, small_model
from tools.gpu_bench.busy import kind_of

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with running_ray(None, 2):
        yield


@pytest.fixture
def devices() -> Iterator[Devices]:
    devices = Devices(CPU)
    yield devices
    devices.close()


@pytest.fixture
def place(devices: Devices) -> There:
    place = next(devices.places())
    assert isinstance(place, There)
    return place


def test_answers_are_those_of_this_process(place: There, tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx")
    here, there = LocalNetwork(path), place.network(path)
    assert there.inputs == here.inputs and there.outputs == here.outputs
    images = pictures(12)
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda image: run_one(there, image, NORMALISE), images))
    for image, answer in zip(images, answers, strict=True):
        for ours, theirs in zip(run_one(here, image, NORMALISE), answer, strict=True):
            assert theirs.shape == ours.shape
            np.testing.assert_allclose(theirs, ours, atol=1e-5)
    (named,) = run_one(there, images[0], NORMALISE, ["peaks"])
    np.testing.assert_allclose(named, answers[0][1], atol=1e-5)


def test_many_pictures_go_in_bounded_messages(place: There, devices: Devices, tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx")
    images = pictures(2 * MAX_SENT + 1)
    answers = place.network(path).run_batch(images, NORMALISE, ["peaks"])
    for answer, alone in zip(
        answers, LocalNetwork(path).run_batch(images, NORMALISE, ["peaks"]), strict=True
    ):
        np.testing.assert_allclose(answer[0], alone[0], atol=1e-5)
    (usage,) = devices.usage()
    assert usage.num_pictures == len(images) and usage.num_batches >= 3 and usage.num_restarts == 0
    assert usage.device == CPU and usage.busy_seconds > 0


def test_errors_come_as_if_raised_here(place: There, tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(WeightsError, match=r"^[^\n]*not a usable ONNX model[^\n]*$"):
        place.network(tmp_path / "no.onnx")
    there = place.network(small_model(tmp_path / "pose.onnx"))
    with pytest.raises(RuntimeError, match=r"dimensions|Dimension"):
        run_one(there, np.zeros((7, 7, 3), np.uint8), NORMALISE)
    assert len(run_one(there, pictures(1)[0], NORMALISE)) == 2


def test_what_a_dead_process_owed_is_asked_again(place: There, devices: Devices, tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx")
    there, doomed = place.network(path), place.network(Doomed("dies", tmp_path / "died"))
    images = pictures(4)
    there.run_batch(images, NORMALISE)
    _ = devices.usage()  # so much is known of the first process
    assert len(doomed.run_batch(images, NORMALISE)) == 4
    for answer, alone in zip(
        there.run_batch(images, NORMALISE), LocalNetwork(path).run_batch(images, NORMALISE), strict=True
    ):
        np.testing.assert_allclose(answer[0], alone[0], atol=1e-5)
    (usage,) = devices.usage()
    assert usage.num_restarts == 1
    assert {network.name.partition("(")[0]: network.num_pictures for network in usage.networks} == {
        "pose": 8,
        "Doomed": 4,
    }


def test_a_request_that_always_kills_it_fails_and_no_other(place: There, tmp_path: Path) -> None:
    there, doomed = place.network(small_model(tmp_path / "pose.onnx")), place.network(Doomed("dies"))
    with pytest.raises(RuntimeError, match="the process that holds the GPU died 4 times over it"):
        doomed.run_batch(pictures(1), NORMALISE)
    assert len(run_one(there, pictures(1)[0], NORMALISE)) == 2


def test_a_process_that_is_gone_for_good_is_said_so(place: There, devices: Devices, tmp_path: Path) -> None:
    there = place.network(small_model(tmp_path / "pose.onnx"))
    devices.close()
    with pytest.raises(PlaceLostError, match=r"^the process that holds the GPU is gone: "):
        for _ in range(200):  # it ends in its own time
            there.run_batch(pictures(1), NORMALISE)
            time.sleep(0.1)


def test_engines_that_cannot_be_had_are_known_before_any_work(devices: Devices, tmp_path: Path) -> None:
    path = small_model(tmp_path / "pose.onnx")
    none = EngineChoice("none")
    embedder = EngineChoice("onnx", {"embedding": WeightFile.of(path)})
    with pytest.raises(WeightsError, match="is no face embedding"):
        devices.load(EngineChoices("pyav", EngineChoice("precropped"), none, appearance=embedder))


def test_without_a_gpu_the_run_says_so() -> None:
    with pytest.raises(UserError, match="no GPU: Ray found none"):
        Devices(FIRST_GPU)


def test_each_gpu_has_a_process() -> None:
    """In a process of its own: the machine has one GPU there, as far as Ray is told."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ok\n" in done.stdout


SCRIPT = """
import ray
quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
ray.init(address="local", num_cpus=2, num_gpus=1, **quiet)
from cache.errors import UserError
from cache.reader import StoreReader
import preprocessing.stage.devices as stage
devices = stage.Devices("cuda:0")
places = devices.places()
assert next(places) == next(places)
assert [usage.device for usage in devices.usage()] == ["cuda:0"]
stage.START_SECONDS = 1.0
try:
    stage.Devices("cuda:0")
except UserError as error:
    assert str(error) == "no GPU became free within 1 s: other jobs hold them", error
else:
    raise SystemExit("a second process on one GPU")
print("ok")
"""


ENGINES = {
    "faces": {"faces": "yunet"},
    "all": {
        "faces": "yunet",
        "landmarks": "mesh",
        "pose": "onnx:tinypose_256x192.onnx,rtmdet_nano_person_end2end.onnx",
    },
}


@pytest.mark.parametrize("engines", ENGINES)
def test_a_run_stores_what_workers_alone_would(tmp_path: Path, shared_data: Path, engines: str) -> None:
    """Bit for bit, from two videos at once; and its report tells how busy the process was."""
    videos = [shared_data / "videos" / name for name in ("neutral_to_smile.mp4", "street_bodies.mp4")]
    spec = PreprocessSpec.model_validate(ENGINES[engines])
    reports: list[RunReport] = []
    stores: list[dict[str, np.ndarray]] = []
    for name, device in (("here", None), ("there", CPU)):
        out = tmp_path / name
        preprocess(
            videos,
            out,
            spec,
            weights_dir=shared_data / "weights",
            num_workers=2,
            device=device,
            on_end=reports.append,
        )
        stores.append(content_of(out))
    assert stores[0].keys() == stores[1].keys() and stores[0]
    for key, value in stores[0].items():
        np.testing.assert_array_equal(value, stores[1][key], err_msg=key)
    alone, together = reports
    assert alone.devices == [] and together.num_failed == 0
    (usage,) = together.devices
    assert usage.num_pictures > 10 and 0 < usage.busy_seconds < together.work_seconds
    assert f"{usage.num_pictures} pictures in batches of {usage.mean_batch:.1f}" in text_of(together)


class Killer:
    """Ends the process that runs the networks as soon as videos are at work."""

    def __init__(self) -> None:
        self.num_killed = 0

    def hashing(self, num_done: int, num_sources: int) -> None: ...

    def note(self, message: str) -> None: ...

    def working(self, totals: Totals) -> None:
        if self.num_killed or not totals.media_seconds_under_way:
            return
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and kind_of(int(folder.name)) == "device process":
                self.num_killed += 1
                os.kill(int(folder.name), signal.SIGKILL)


def test_a_run_outlives_the_death_of_the_process(tmp_path: Path, shared_data: Path) -> None:
    """In the middle of two videos, with a network that is no ONNX file: nobody is blamed, nothing is lost."""
    names = ("people_walking_one_by_one.mp4", "interview_one_face.mp4")
    videos = [shared_data / "videos" / name for name in names]
    spec = PreprocessSpec(faces="mtcnn", pose="none")
    reports: list[RunReport] = []
    killer = Killer()
    preprocess(videos, tmp_path / "alone", spec, num_workers=2)
    preprocess(
        videos,
        tmp_path / "killed",
        spec,
        num_workers=2,
        device=CPU,
        progress=killer,
        on_end=reports.append,
    )
    assert killer.num_killed == 1
    assert reports[0].num_failed == 0 and reports[0].num_workers_lost == 0
    assert reports[0].devices[0].num_restarts <= 1  # unknown, where it died before it was first asked
    alone, killed = content_of(tmp_path / "alone"), content_of(tmp_path / "killed")
    assert alone.keys() == killed.keys() and alone
    for key, value in alone.items():
        np.testing.assert_array_equal(value, killed[key], err_msg=key)


def content_of(store: Path) -> dict[str, np.ndarray]:
    """All columns of all persons and their crops, by video, person and name."""
    reader = StoreReader(store)
    content = {}
    for video in reader.videos():
        for person in video.persons:
            track = reader.track(video.key, person.id)
            columns = {name: value for name, value in vars(track).items() if not name.startswith("_")}
            columns["crops"] = reader.read_crops(track, np.flatnonzero(track.has_crop))
            content |= {f"{video.key} {person.id} {name}": columns[name] for name in columns}
    return content
