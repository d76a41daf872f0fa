"""Runs probes in a child process, and goes on with a new one where a probe crashes it or does not end."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from preprocessing.stage.threads import THREAD_VARIABLES
from videofer.doctor.findings import Finding

TIMEOUT_SECONDS = 120.0  # a cold import of torch from a slow disk takes 30


def run_probes(
    labels: Sequence[str],
    *,
    quick: bool,
    on_start: Callable[[str], None] = lambda label: None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Iterator[tuple[str, Finding]]:
    """(label, finding) in the order of the labels; `on_start` hears which one is under way.

    Engines have one thread, as in a worker, and nothing is downloaded.
    """
    waiting = list(labels)
    while waiting:
        with tempfile.TemporaryFile() as complaints:
            child = _start(waiting, complaints, quick=quick)
            try:
                while waiting:
                    on_start(waiting[0])
                    answer = _next_line(child, timeout_seconds)
                    if not answer:
                        yield waiting[0], _died(child, waiting[0], complaints, timeout_seconds)
                        waiting.pop(0)
                        break
                    yield waiting.pop(0), Finding(**json.loads(answer))
            finally:
                _end(child)


def _start(labels: Sequence[str], complaints: IO[bytes], *, quick: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "videofer.doctor.probes", *(["--quick"] if quick else []), *labels]
    environment = {**os.environ, **THREAD_VARIABLES, "VIDEOFER_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    ours = str(Path(__file__).resolve().parents[2])  # the same videofer, be it installed or not
    environment["PYTHONPATH"] = os.pathsep.join([ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        start_new_session=True,  # what it starts, Ray for one, ends with it
    )


def _next_line(child: subprocess.Popen[bytes], timeout_seconds: float) -> bytes:
    """The next answer; b"" where the child ended or nothing came in time."""
    assert child.stdout is not None
    deadline, line = time.monotonic() + timeout_seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return b""
            block = os.read(child.stdout.fileno(), 1)
            if not block:
                return b""
            line += block
    return line


def _died(
    child: subprocess.Popen[bytes], label: str, complaints: IO[bytes], timeout_seconds: float
) -> Finding:
    name = label.partition("/")[2]
    try:
        code = child.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return Finding(name, "broken", f"gave no answer in {timeout_seconds:.0f} s")
    complaints.seek(0)
    said = complaints.read().decode("utf-8", "replace").strip().splitlines()
    last = f": {said[-1].strip()}" if said else ""
    how = f"crashed with {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return Finding(name, "broken", f"{how}{last}"[:300])


def _end(child: subprocess.Popen[bytes]) -> None:
    """Also of what the child started: it is the leader of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()
