"""What a file of torch.export may hold here, so that opening it runs no code of others.

torch.export.load is not safe: it unpickles example inputs, constants and weights that are marked so, hands
expressions of sizes to sympy, which evaluates them as Python, runs guards, which are Python, builds source
code from names, and finds operators by any dotted name under `torch`. So a file is read as a plain archive
first. It must hold what `plain_archive` leaves in it, and nothing else: raw weights, and a graph of plain
names, of arithmetic in sizes and of the operators below. torch is then given an archive that is made anew
from what was checked.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = "model/"
_PROGRAM = "models/model.json"
_WEIGHTS, _CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
_EXAMPLE = "data/sample_inputs/model.pt"  # a pickle; torch wants it to be there, empty will do
_OTHER_FILES = ("archive_format", "archive_version", "byteorder", ".data/serialization_id", ".data/version")
_RAW_FILE = re.compile(r"data/(weights/weight|constants/tensor)_\d+")

_ANY_SIZE = {"min_val": 2, "max_val": None}  # 2 is torch's word for any; it lets 1 pass
_NAME = re.compile(r"[A-Za-z0-9_.]*")
_ARITHMETIC = re.compile(
    r"(Symbol\('s\d+', positive=True, integer=True\)|Integer\(-?\d{1,12}\)"
    r"|(Add|Mul|Min|Max|FloorDiv|Mod|PythonMod)\(|\)|, )+"
)
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.\w+")
_NUMBER = re.compile(r"-?Infinity|NaN")  # others are no texts
_TREE_TYPES = {None, "builtins.dict", "builtins.tuple"}

OPERATORS = {
    "__and__", "__or__", "_assert_tensor_metadata", "_upsample_bilinear2d_aa", "abs",
    "adaptive_avg_pool2d", "add", "add_", "addcmul", "addmm", "all", "amax", "amin", "any", "arange",
    "argmax", "avg_pool2d", "batch_norm", "bitwise_not", "bmm", "cat", "ceil", "chunk", "clamp",
    "clamp_max", "clamp_min", "clone", "contiguous", "conv1d", "conv2d", "cumsum", "detach", "detach_",
    "div", "div_", "dropout", "einsum", "elu", "eq", "exp", "exp_", "expand", "expand_as", "expm1",
    "flatten", "flip", "floor", "floor_divide", "full", "full_like", "gather", "ge", "gelu",
    "grid_sampler", "group_norm", "gt", "index", "index_select", "instance_norm", "isfinite",
    "layer_norm", "le", "lerp", "lift_fresh_copy", "linalg_vector_norm", "linear", "log", "log1p",
    "log_softmax", "logical_and", "logical_not", "logical_or", "logsumexp", "lstm", "lt", "mT",
    "masked_fill", "masked_fill_", "matmul", "max", "max_pool2d", "maximum", "mean", "min", "minimum",
    "mm", "movedim", "mul", "mul_", "ne", "neg", "new_full", "new_ones", "new_zeros", "numpy_T", "ones",
    "ones_like", "pad", "permute", "pow", "reciprocal", "relu", "relu_", "remainder", "repeat", "reshape",
    "roll", "round", "rsqrt", "rsub", "scalar_tensor", "scatter", "scatter_", "scatter_add",
    "scatter_add_", "select", "sigmoid", "silu", "slice", "softmax", "split", "sqrt", "square", "squeeze",
    "stack", "sub", "sub_", "sum", "swapaxes", "sym_size", "t", "tanh", "tile", "to", "transpose",
    "true_divide", "type_as", "unbind", "unflatten", "unfold", "unsqueeze", "var", "view", "where",
    "zeros", "zeros_like",
}  # fmt: skip
"""Operators of aten that a graph may call: such as compute, and touch neither files nor memory beyond their
tensors (aten has others). What our networks use, and what is likely to come next."""


def plain_archive(data: bytes) -> bytes:
    """An archive of torch.export.save without what it asks of shapes, and without lines of our code."""
    files = _read(io.BytesIO(data))
    program = json.loads(files[_PROGRAM])
    program["guards_code"] = []
    for sizes in program["range_constraints"].values():
        sizes |= _ANY_SIZE
    for node in _nodes(program):
        node["metadata"] = {}
    files[_PROGRAM] = json.dumps(program).encode()
    return _write({name: content for name, content in files.items() if _is_known(name)})


def checked_archive(path: Path) -> bytes:
    """The archive of a file, made anew. ValueError where it holds anything that is not allowed."""
    try:
        files = _read(path)
        if files.pop(_EXAMPLE, b""):
            raise ValueError("its example inputs are a pickle")
        for name in files:
            if not _is_known(name):
                raise ValueError(f"it holds a file {name[:80]!r}")
        for name, check in _CHECKS.items():
            values = json.loads(files[name])
            check(values)
            files[name] = json.dumps(values).encode()
    except (ValueError, KeyError, zipfile.BadZipFile, RecursionError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path.name} is not opened, it is not as we write it: {reason}") from None
    return _write(files)


def _read(file: Path | io.BytesIO) -> dict[str, bytes]:
    """Name below the archive's root -> content. Nothing is compressed, so it is no larger than the file."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed")
        files = {entry.filename.partition("/")[2]: archive.read(entry) for entry in entries}
        if len(files) != len(entries):
            raise ValueError("a file is in it twice")
    return files


def _write(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**files, _EXAMPLE: b""}.items():
            archive.writestr(zipfile.ZipInfo(_ROOT + name), content)  # of a fixed date: equal bytes
    return buffer.getvalue()


def _is_known(name: str) -> bool:
    return name in (_PROGRAM, _WEIGHTS, _CONSTANTS, *_OTHER_FILES) or _RAW_FILE.fullmatch(name) is not None


def _nodes(program: dict[str, Any]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = program["graph_module"]["graph"]["nodes"]
    return nodes


def _check_program(program: dict[str, Any]) -> None:
    if program["guards_code"]:
        raise ValueError("it has guards, which are code")
    del program["torch_version"]  # not a name, and told nobody
    _check_values(program, "")


def _check_payload(config: dict[str, Any]) -> None:
    for name, payload in config["config"].items():
        if payload["use_pickle"] is not False:
            raise ValueError(f"{name} is a pickle")
    _check_values(config, "")


def _check_values(value: Any, key: str) -> None:
    """Every text in nested lists and dicts is a plain name, or what its key allows."""
    if isinstance(value, dict):
        for name, part in value.items():
            _check_text(name, "")
            _check_values(part, name)
    elif isinstance(value, list):
        for part in value:
            _check_values(part, key)
    elif isinstance(value, str):
        _check_text(value, key)


def _check_text(text: str, key: str) -> None:
    if key == "target":
        is_allowed = text == "_operator.mul" or _operator(text) in OPERATORS
    elif key == "expr_str":
        is_allowed = _ARITHMETIC.fullmatch(text) is not None
    elif key == "as_float":
        is_allowed = _NUMBER.fullmatch(text) is not None
    elif key in ("in_spec", "out_spec"):
        _check_tree(json.loads(text)[1])
        return
    else:
        is_allowed = key != "as_operator" and _NAME.fullmatch(text) is not None
    if not is_allowed:
        raise ValueError(f"{key or 'name'} {text[:80]!r}")


def _operator(target: str) -> str:
    """add, of torch.ops.aten.add.Tensor; empty where it is of another kind."""
    found = _ATEN.fullmatch(target)
    return found[1] if found else ""


def _check_tree(tree: dict[str, Any]) -> None:
    """How arguments or results are nested: tuples, and dicts by name."""
    if tree["type"] not in _TREE_TYPES:
        raise ValueError(f"tree of {str(tree['type'])[:80]!r}")
    if tree["context"] is not None:  # keys of a dict
        _check_values(json.loads(tree["context"]), "")
    for child in tree["children_spec"]:
        _check_tree(child)


_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    _PROGRAM: _check_program,
    _WEIGHTS: _check_payload,
    _CONSTANTS: _check_payload,
}
