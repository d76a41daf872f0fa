"""Where torch engines compute: the processor, or one GPU. Chosen by the driver, given to every engine.

A `Device` is a name that torch knows as well: "cpu", or "cuda:N" for the N-th GPU that the process sees. An
engine never looks for a GPU itself: what runs where is the driver's affair (`--gpu`), see
`preprocessing.network.Place`.
"""

from __future__ import annotations

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
