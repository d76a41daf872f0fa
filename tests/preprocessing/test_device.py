"""Names of devices, and the one line where torch has none of that name."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import pytest
import torch

from cache.errors import UserError
from preprocessing.device import CPU, FIRST_GPU, as_device, require_device, require_gpu


def test_names_are_those_that_torch_knows() -> None:
    assert as_device("cpu") == CPU
    assert as_device("cuda") == FIRST_GPU == "cuda:0"
    assert as_device("cuda:12") == "cuda:12"
    for name in ("cpu", "cuda:0", "cuda:12"):
        assert str(torch.device(as_device(name))) == name


@pytest.mark.parametrize("text", ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA:0", "cpu ", "cuda:1000"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"unknown device '{re.escape(text)}'; known: cpu, cuda, cuda:N"):
        as_device(text)


def test_the_cpu_is_always_there() -> None:
    assert require_device("cpu") == CPU


def test_a_torch_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(UserError, match=r"^no cuda:0: torch here is built without CUDA"):
        require_device("cuda")


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=r"^no cuda:0: torch finds no GPU"):
        require_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert require_device("cuda:1") == "cuda:1"
    with pytest.raises(UserError, match=r"^no cuda:2: this process sees 2"):
        require_device("cuda:2")


class Driver:
    """CUDA's driver, as far as it is asked: `failed` by its initialisation, else that many GPUs."""

    def __init__(self, number: int, failed: int = 0) -> None:
        self._number, self._failed = number, failed

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return self._failed

    def cuDeviceGetCount(self, pointer: Any) -> int:  # noqa: N802
        pointer._obj.value = self._number
        return 0


def test_a_gpu_that_the_driver_shows_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _library: Driver(1))
    require_gpu()


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (Driver(0), "the driver shows none to this process"),
        (Driver(0, 803), "its driver answers with error 803"),
    ],
)
def test_no_gpu_is_one_line(monkeypatch: pytest.MonkeyPatch, driver: Driver, why: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _library: driver)
    with pytest.raises(UserError, match=rf"^no GPU: {why} \(see `videofer doctor`\)$"):
        require_gpu()


def test_no_driver_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^no GPU: there is no libnone\.so\.1 of a driver"):
        require_gpu("libnone.so.1")
