"""Reading pickle files that others wrote: plain containers and NumPy arrays, nothing that could run code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from cache.errors import UserError

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *(
        (f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}

_PLAIN_KINDS = "biufcSUmM"  # of numbers, texts and times: neither objects nor records of fields


class UnsafePickleError(UserError, ValueError):
    """The file holds more than data, or is no pickle. One line that names the file."""


class _Unpickler(pickle.Unpickler):
    """Looks up nothing but the makers of NumPy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which is not data")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_plain_pickle(path: Path) -> Any:
    """Dicts, lists, text, numbers and NumPy arrays of numbers. Raises UnsafePickleError for anything else."""
    try:
        value = _Unpickler(io.BytesIO(path.read_bytes())).load()
    except OSError:
        raise
    except Exception as error:  # a broken or hostile pickle may raise anything
        raise UnsafePickleError(
            f"{path} cannot be read as plain data: {error or type(error).__name__}"
        ) from None
    _check(value, path)
    return value


def _check(value: Any, path: Path) -> None:
    """Iterative: a hostile file may nest deeper than the stack.

    A pickled dtype says itself whether it holds objects, so that is not asked: only its kind cannot lie.
    """
    import numpy as np

    seen: set[int] = set()
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict | list | tuple):
            if id(one) not in seen:
                seen.add(id(one))
                todo += [*one.keys(), *one.values()] if isinstance(one, dict) else list(one)
        elif isinstance(one, np.ndarray | np.generic):
            if one.dtype.kind not in _PLAIN_KINDS:
                raise UnsafePickleError(
                    f"{path} cannot be read as plain data: an array holds {one.dtype.kind!r}"
                )
        elif not isinstance(one, str | int | float | bool | bytes | None):
            raise UnsafePickleError(f"{path} cannot be read as plain data: it holds a {type(one).__name__}")
