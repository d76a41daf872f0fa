"""Writes tiny ONNX models for tests, without the onnx package: just enough of its protobuf."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Shape = Sequence[int | str]
FLOAT, INT64 = 1, 7


def save_model(
    path: Path,
    *,
    input_shape: Shape,
    outputs: Mapping[str, Shape],
    nodes: Sequence[bytes],
    constants: Mapping[str, np.ndarray],
    input_name: str = "image",
) -> Path:
    """One float input, outputs by name, nodes from `node`, initial values by name (float32 or int64)."""
    graph = b"".join(_field(1, n) for n in nodes) + _field(2, b"g")
    graph += b"".join(_field(5, _tensor(name, value)) for name, value in constants.items())
    graph += _field(11, _value_info(input_name, input_shape, FLOAT))
    for name, shape in outputs.items():
        graph += _field(12, _value_info(name, shape, INT64 if name == "labels" else FLOAT))
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13))
    path.write_bytes(model)
    return path


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **ints: int | Sequence[int]) -> bytes:
    """One operation; attributes are integers or lists of them."""
    content = b"".join(_field(1, name.encode()) for name in inputs)
    content += b"".join(_field(2, name.encode()) for name in outputs) + _field(4, op.encode())
    for name, value in ints.items():
        if isinstance(value, int):
            attribute = _field(3, value) + _field(20, 2)
        else:
            attribute = b"".join(_field(8, item) for item in value) + _field(20, 7)
        content += _field(5, _field(1, name.encode()) + attribute)
    return content


def _tensor(name: str, value: np.ndarray) -> bytes:
    kind = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}[value.dtype]
    dims = b"".join(_field(1, size) for size in value.shape)
    return dims + _field(2, kind) + _field(8, name.encode()) + _field(9, value.tobytes())


def _value_info(name: str, shape: Shape, kind: int) -> bytes:
    dims = b"".join(_field(1, _field(1, d) if isinstance(d, int) else _field(2, d.encode())) for d in shape)
    tensor_type = _field(1, kind) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor_type))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += struct.pack("B", value & 127 | 128)
        value >>= 7
    return out + struct.pack("B", value)
