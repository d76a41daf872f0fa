"""Where torch engines compute: the processor, or one GPU. Chosen by the driver, given to every engine.

A `Device` is a name that torch knows as well: "cpu", or "cuda:N" for the N-th GPU that the process sees. An
engine never looks for a GPU itself: what runs where is the driver's affair (`--gpu`), see
`preprocessing.network.Place`.
"""

from __future__ import annotations

import ctypes
import re

from cache.errors import UserError

Device = str
CPU: Device = "cpu"
FIRST_GPU: Device = "cuda:0"
"""Of those that a process sees. A process that holds one GPU sees no other."""


def as_device(text: str) -> Device:
    """A device by its name; `cuda` is the first GPU. UserError where it is no such name."""
    if text == "cuda":
        return FIRST_GPU
    if not is_device(text):
        raise UserError(f"unknown device {text!r}; known: cpu, cuda, cuda:N")
    return text


def is_device(text: str) -> bool:
    """Whether this is the name of a device, be it here or not."""
    return re.fullmatch(r"cpu|cuda:\d{1,3}", text) is not None


def require_gpu(library: str = "libcuda.so.1") -> None:
    """UserError in one line where this process has no GPU. Takes a moment, and no memory of one.

    library: CUDA's driver, which all engines compute through, whatever they are made with.
    """
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        raise UserError(f"no GPU: there is no {library} of a driver (see `videofer doctor`)") from None
    number = ctypes.c_int(0)
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(number))
    if failed:
        raise UserError(f"no GPU: its driver answers with error {failed} (see `videofer doctor`)")
    if number.value == 0:
        raise UserError("no GPU: the driver shows none to this process (see `videofer doctor`)")


def require_device(device: Device) -> Device:
    """The device, or UserError in one line where torch cannot compute there."""
    device = as_device(device)
    if device == CPU:
        return device
    import torch

    if torch.version.cuda is None:
        raise UserError(f"no {device}: torch here is built without CUDA (see `videofer doctor`)")
    number, num_gpus = int(device.partition(":")[2]), torch.cuda.device_count()
    if number >= num_gpus:
        found = (
            f"this process sees {num_gpus} GPU(s)" if num_gpus else "torch finds no GPU or no driver for it"
        )
        raise UserError(f"no {device}: {found} (see `videofer doctor`)")
    return device
