"""Kills a process at each of its steps that change the disk, one run a step, and looks at what is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cache.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate")  # audit events, besides opening to write


def num_steps_killed_at(module: str, original: Path) -> int:
    """Runs `change(store)` of a test module on copies of a store, killed at step 1, 2, ... until it is not.

    After each, `check(store, killed)` of the module must find nothing wrong. In another process: it forks.
    """
    code = f"from {module} import change, check; from tests.cache.killing import kill; kill(change, check)"
    command = [sys.executable, "-c", code, str(original)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def kill(change: Callable[[Store], None], check: Callable[[Store, bool], None]) -> None:
    """The loop of `num_steps_killed_at`, inside its process; prints the number of steps."""
    original = Path(sys.argv[1])
    for step in range(1, 1000):
        copy = original.with_name(f"copy{step}")
        shutil.copytree(original, copy)
        child = os.fork()
        if child == 0:
            _die_at(step)
            store = Store.open(copy)
            with store.lock():
                change(store)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check(Store.open(copy), os.WIFSIGNALED(status))
        shutil.rmtree(copy)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            print(step)
            return


def _die_at(step: int) -> None:
    seen = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        flags = arguments[2] if event == "open" else 0
        changes = event in CHANGES or (isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR)))
        seen += changes
        if changes and seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
