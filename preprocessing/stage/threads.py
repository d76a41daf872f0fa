"""One thread a worker: as many workers as cores run side by side, and threads of theirs would only fight.

Each library has its own switch. Decoders and ONNX Runtime are told where they are opened: the thread count
of libavcodec in decode/container.py, that of decord in its reader, that of a session in onnx_session.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

THREAD_VARIABLES = {
    **dict.fromkeys(
        (
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
        ),
        "1",
    ),
    "OMP_WAIT_POLICY": "PASSIVE",  # should a library have threads all the same: waiting ones sleep
}
"""Environment of a worker. OpenMP and BLAS libraries read it when they are loaded, and never again."""


@contextmanager
def one_thread_environment() -> Iterator[None]:
    """Processes that are started inside have THREAD_VARIABLES; this one is as before afterwards."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(THREAD_VARIABLES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def pin_threads() -> None:
    """Called first in a worker: what is loaded already works on one thread, what comes later will, too."""
    import cv2

    os.environ.update(THREAD_VARIABLES)
    cv2.setNumThreads(1)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)
