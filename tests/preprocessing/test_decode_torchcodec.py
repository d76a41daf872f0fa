"""torchcodec and decord as guests: what is said where they cannot be used, the GPU, and their libraries."""

from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.decode import DECODERS, FASTEST, decoder_for, decord_engine, torchcodec_engine
from preprocessing.decode.torchcodec_engine import TorchCodecDecoder, why_unloadable
from preprocessing.engines import build_engines, require_decoder, resolve_engines
from preprocessing.pipeline import process_segment
from preprocessing.probe import probe
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.devices import DECODING_SHARE, decoding_share
from preprocessing.types import InputError, Source
from preprocessing.weights import WeightsError
from tests.container_zoo import ZOO
from tests.decoders import engine_param
from tests.videos import numbered_picture, write_video

REFUSAL = """Could not load libtorchcodec. Likely causes:
          1. FFmpeg is not properly installed in your environment. We support
             versions 4, 5, 6, 7, 8, and 9, and we attempt to load libtorchcodec
             for each of those versions.
[start of libtorchcodec loading traceback]
FFmpeg version 9:
Traceback (most recent call last):
  File "torch/_ops.py", line 1509, in load_library
    ctypes.CDLL(path)
OSError: {nine}

The above exception was the direct cause of the following exception:

OSError: Could not load this library: torchcodec/libtorchcodec_core9.so

FFmpeg version 5:
Traceback (most recent call last):
OSError: {five}

OSError: Could not load this library: torchcodec/libtorchcodec_core5.so
[end of libtorchcodec loading traceback]."""
"""What torchcodec 0.17 says where it cannot be loaded, shortened."""
MISSING = "libavutil.so.{}: cannot open shared object file: No such file or directory"

torchcodec_here = pytest.mark.skipif(
    DECODERS["torchcodec"].usable() is not None, reason=str(DECODERS["torchcodec"].usable())
)


def video(path: Path) -> Source:
    return Source(path, path.name, "video")


def test_no_ffmpeg_is_said_with_what_mends_it() -> None:
    why = why_unloadable(REFUSAL.format(nine=MISSING.format(61), five=MISSING.format(57)))
    assert why is not None
    assert why.startswith("torchcodec finds no FFmpeg of this system: apt-get install ffmpeg")
    assert "conda install -c conda-forge ffmpeg" in why
    assert "\n" not in why


@pytest.mark.parametrize(
    "cause",
    ["torchcodec/libtorchcodec_core5.so: undefined symbol: aoti_torch_x", "libnppicc.so.13: cannot open"],
)
def test_another_cause_is_not_blamed_on_ffmpeg(cause: str) -> None:
    why = why_unloadable(REFUSAL.format(nine=MISSING.format(61), five=cause))
    assert why is not None
    assert why.startswith(f"torchcodec cannot be loaded ({cause}): pip install 'torchcodec>=0.12'")


def test_a_complaint_about_the_input_is_none_about_the_installation() -> None:
    assert why_unloadable("Failed to open input buffer: Invalid data found when processing input") is None


@pytest.mark.parametrize(("engine", "package"), [("decord", "decord2"), ("torchcodec", "torchcodec")])
def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch, engine: str, package: str) -> None:
    for module in (decord_engine, torchcodec_engine):
        monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(
        WeightsError,
        match=rf"^decoder '{engine}' is not usable: {package} is not installed: pip install '?{package}",
    ):
        resolve_engines(decoder=engine)


def test_auto_is_the_fastest_and_always_usable() -> None:
    assert resolve_engines(decoder="auto").decoder == FASTEST
    assert DECODERS[FASTEST].usable() is None


@torchcodec_here
def test_decoding_on_the_gpu_is_torchcodec_s_alone() -> None:
    assert resolve_engines(decoder="torchcodec", gpu=True).decoder == "torchcodec:cuda"
    assert resolve_engines(decoder="torchcodec", gpu=False).decoder == "torchcodec"
    assert resolve_engines(decoder="decord", gpu=True).decoder == "decord"


@torchcodec_here
def test_a_worker_without_a_gpu_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    choices = resolve_engines(decoder="torchcodec", gpu=True, faces_name="precropped", pose="none")
    with pytest.raises(
        WeightsError, match=r"^decoder 'torchcodec:cuda' is not usable by this worker: no cuda:0: "
    ):
        require_decoder(choices)
    require_decoder(resolve_engines(decoder="torchcodec", faces_name="precropped", pose="none"))


@given(num_gpus=st.integers(1, 16), num_workers=st.integers(1, 512))
def test_workers_that_decode_on_a_gpu_fit_beside_its_process(num_gpus: int, num_workers: int) -> None:
    """Ray fills one GPU after the other: all workers find room beside the processes of networks."""
    share = decoding_share(num_gpus, num_workers)
    assert share > 0
    assert math.floor(DECODING_SHARE / share + 1e-9) * num_gpus >= num_workers
    assert 1 - DECODING_SHARE > 0.5, "two processes of networks would lie on one GPU"


class FakeGpu:
    """torchcodec's reader on the processor, that says where it was asked to decode."""

    asked: list[str] = []  # noqa: RUF012

    def __init__(self, source: Any, *, device: str, **options: Any) -> None:
        self.asked.append(device)
        self._reader = importlib.import_module("torchcodec.decoders").VideoDecoder(
            source, device="cpu", **options
        )
        self.cpu_fallback = "Video not supported" if "mpeg4" in str(source) else ""

    def __len__(self) -> int:
        return len(self._reader)

    def get_frames_in_range(self, start: int, stop: int) -> SimpleNamespace:
        batch = self._reader.get_frames_in_range(start, stop)
        return SimpleNamespace(data=OnDevice(batch.data), pts_seconds=OnDevice(batch.pts_seconds))


class OnDevice:
    """A tensor that must be fetched before numpy can have it."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def cpu(self) -> Any:
        return self._tensor


@torchcodec_here
@pytest.mark.parametrize(("name", "warnings"), [("h264.mp4", []), ("mpeg4.avi", ["Video not supported"])])
def test_frames_come_from_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, warnings: list[str]
) -> None:
    """The device is asked for, its pictures are fetched, and where it could not decode that is a warning."""
    monkeypatch.setattr(torchcodec_engine, "reader_class", lambda: FakeGpu)
    monkeypatch.setattr(FakeGpu, "asked", [])
    source = video(ZOO[name](tmp_path / name))
    decoder = DECODERS["torchcodec:cuda"].build(None)
    frames = list(decoder.frames(source, probe(source)))
    assert FakeGpu.asked == ["cuda:0"]
    assert decoder.name == "torchcodec:cuda"
    assert decoder.warnings == [f"not decoded on the GPU: {why}" for why in warnings]
    assert len(frames) == 10
    error = frames[3].rgb_patch(0, 0, 64, 48).astype(int) - numbered_picture(3)
    assert np.abs(error).mean() < 5  # of 255; MPEG-4 at its own quality


@pytest.mark.parametrize("engine", [engine_param("torchcodec:cuda")])
def test_a_real_gpu_gives_the_same_frames(tmp_path: Path, engine: str) -> None:
    source = video(write_video(tmp_path / "a.mp4", size_wh=(640, 360), pts=range(250, 290)))
    facts = probe(source)
    ours = list(decoder_for("video", "pyav").frames(source, facts))
    theirs = list(decoder_for("video", engine).frames(source, facts))
    assert [frame.pts for frame in theirs] == [frame.pts for frame in ours]
    for mine, other in zip(ours, theirs, strict=True):
        error = np.abs(mine.rgb_patch(0, 0, 640, 360).astype(int) - other.rgb_patch(0, 0, 640, 360))
        assert error.mean() < 3


@torchcodec_here
def test_small_batches_give_the_same_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = video(
        write_video(tmp_path / "a.mp4", pts=range(20), codec_options={"bf": "2", "preset": "medium"})
    )
    facts = probe(source)
    expected = [frame.rgb_patch(0, 0, 64, 48) for frame in TorchCodecDecoder().frames(source, facts)]
    for size in (1, 7):
        monkeypatch.setattr(torchcodec_engine, "MAX_BATCH", size)
        found = [frame.rgb_patch(0, 0, 64, 48) for frame in TorchCodecDecoder().frames(source, facts)]
        np.testing.assert_array_equal(found, expected)


@torchcodec_here
def test_other_frames_than_the_container_s_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If torchcodec numbered the frames otherwise, pictures would stand at wrong times."""

    class Skips(FakeGpu):
        def get_frames_in_range(self, start: int, stop: int) -> Any:
            return self._reader.get_frames_in_range(start // 2, stop // 2)

    monkeypatch.setattr(torchcodec_engine, "reader_class", lambda: Skips)
    monkeypatch.setattr(torchcodec_engine, "MAX_BATCH", 2)
    source = video(write_video(tmp_path / "a.mp4"))
    frames = TorchCodecDecoder().frames(source, probe(source))
    with pytest.raises(InputError, match=r"^torchcodec's times differ from the container's by 0\.0"):
        list(frames)


@torchcodec_here
def test_what_it_refuses_is_decoded_by_the_default(tmp_path: Path) -> None:
    """With a warning, with the name of the one that did it, and with what is there of a damaged file."""
    spec = PreprocessSpec(faces="precropped", decoder="torchcodec")
    engines = build_engines(resolve_engines(decoder="torchcodec", faces_name="precropped", pose="none"))
    store = Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")
    writer = ShardWriter(store.path, codec="jpeg", crop_size=112)
    for name, damage in (("mirrored.mp4", None), ("cut_off.mkv", "the file is cut off")):
        outcome = process_segment(video(ZOO[name](tmp_path / name)), name, spec, engines, writer)
        reason = damage or "torchcodec does not mirror pictures"
        assert f"decoded by pyav, because torchcodec failed: {reason}" in outcome.warnings
        assert outcome.provenance["decoder"] == "pyav"
        assert (outcome.damage is None) == (damage is None)
    writer.seal()


SUMS_BEHIND_DECORD = """
import sys
from preprocessing.decode.decord_engine import load_decord
decord = load_decord()
assert len(decord.VideoReader(sys.argv[1], ctx=decord.cpu(0), num_threads=1)) == 10
import torch
weights = torch.rand(8, 3, 3, 3)
assert torch.nn.functional.conv2d(torch.rand(1, 3, 64, 64), weights).shape == (1, 8, 62, 62)
assert (torch.ones(200, 200) @ torch.ones(200, 200) == 200).all()
"""
PYAV_BEHIND_DECORD = """
import sys
sys.modules["av"] = sys  # preprocessing imports PyAV first, which hides what is tested here
from preprocessing.decode.decord_engine import load_decord
load_decord()
del sys.modules["av"]
import av
with av.open(sys.argv[1]) as container:
    assert len(list(container.decode(video=0))) == 10
"""


def run_alone(script: str, path: Path, **environment: str) -> str:
    """A process of its own; what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


def test_torch_sums_behind_decord(tmp_path: Path) -> None:
    """As it comes decord loads NVBLAS for all, and torch crashes at its first sum."""
    assert "NVBLAS" not in run_alone(SUMS_BEHIND_DECORD, write_video(tmp_path / "a.mp4"))


@pytest.mark.skipif(sys.platform != "linux", reason="only the GNU loader tells what it binds")
def test_pyav_keeps_its_own_ffmpeg_behind_decord(tmp_path: Path) -> None:
    told = run_alone(PYAV_BEHIND_DECORD, write_video(tmp_path / "a.mp4"), LD_DEBUG="bindings")
    bindings = [
        line.partition(" to ") for line in told.splitlines() if "/av.libs/" in line.partition(" to ")[0]
    ]
    assert len(bindings) > 1000
    assert [where for _, _, where in bindings if "/decord2.libs/libav" in where] == []
