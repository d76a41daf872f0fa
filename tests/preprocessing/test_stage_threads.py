"""A worker's libraries use one thread."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from preprocessing.stage.threads import THREAD_VARIABLES, one_thread_environment

LOADED = """
import numpy, cv2, os
from threadpoolctl import threadpool_info
from preprocessing.stage.threads import pin_threads
pin_threads()
(numpy.ones((300, 300)) @ numpy.ones((300, 300)))
print([pool["num_threads"] for pool in threadpool_info()], cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"])
"""


def test_a_process_that_is_started_inside_has_one_thread() -> None:
    pytest.importorskip("threadpoolctl")
    with one_thread_environment():
        result = subprocess.run(
            [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60
        )
    threads, opencv, variable = result.stdout.replace("[", "").split("] ")[0], *result.stdout.split()[-2:]
    assert set(threads.split(", ")) <= {"1"}
    assert (opencv, variable) == ("1", "1")


def test_torch_that_is_loaded_is_pinned() -> None:
    code = (
        "import torch; torch.set_num_threads(3); from preprocessing.stage.threads import pin_threads\n"
        "pin_threads(); print(torch.get_num_threads())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "1"


def test_this_process_keeps_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with pytest.raises(ValueError, match="inside"), one_thread_environment():
        assert {name: os.environ[name] for name in THREAD_VARIABLES} == THREAD_VARIABLES
        raise ValueError("inside")
    assert dict(os.environ) == before
