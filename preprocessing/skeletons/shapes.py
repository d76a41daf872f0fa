"""What the shapes of an ONNX file say, and what its name says where they are left free."""

from __future__ import annotations

import re
from pathlib import Path

from preprocessing.network import Network
from preprocessing.skeletons.layouts import OF_MODELS, Layout
from preprocessing.weights import WeightsError


def input_size_wh(network: Network, path: Path, what: str) -> tuple[int, int]:
    """(width, height) of the pictures that a network takes.

    Where its file leaves them free, they are read from the file's name: `..._256x192...` is height by width.
    WeightsError where neither tells. what: the network should be, for the message.
    """
    shape = network.inputs[0].shape
    if len(network.inputs) != 1 or len(shape) != 4 or shape[1] != 3:
        shapes = ", ".join(str(list(port.shape)) for port in network.inputs)
        raise WeightsError(f"{path} is no {what}: input {shapes}, expected one of (N, 3, height, width)")
    height, width = shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        return width, height
    told = re.search(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", path.name)
    if told is None:
        raise WeightsError(
            f"{path} is no {what} of known input size: its input is {list(shape)}, and its name does not "
            "tell height x width, as in pose_256x192.onnx"
        )
    return int(told[2]), int(told[1])


def layout_of(num_joints: int, path: Path) -> Layout:
    """The layout of a model with so many joints. WeightsError where none is known."""
    if num_joints not in OF_MODELS:
        known = ", ".join(f"{number} ({layout.name})" for number, layout in OF_MODELS.items())
        raise WeightsError(f"{path} has {num_joints} joints; known: {known}")
    return OF_MODELS[num_joints]
