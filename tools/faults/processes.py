"""Processes of a run: started, found, killed, and counted afterwards. Linux only, from /proc."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    parent: int
    state: str  # R, S, D, T, Z ...
    command: str  # as it shows itself: Ray workers carry the name of their actor

    @property
    def is_helper(self) -> bool:
        """A process of Ray that holds none of our work."""
        return self.command.startswith(("ray::DashboardAgent", "ray::RuntimeEnvAgent"))


def table() -> list[Process]:
    """All processes that can be seen."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                after_name = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(Process(int(entry.name), int(after_name[1]), after_name[0], text))
    return found


def descendants(root: int) -> list[Process]:
    """Every living process below one, children first. Zombies are dead."""
    children: dict[int, list[Process]] = defaultdict(list)
    for process in table():
        children[process.parent].append(process)
    found: list[Process] = []
    queue = [root]
    while queue:
        below = children[queue.pop(0)]
        found += [process for process in below if process.state != "Z"]
        queue += [process.pid for process in below]
    return found


def actors(root: int) -> list[int]:
    """Processes below a driver that hold one of our workers, also while it starts; none of Ray's own."""
    return [process.pid for process in descendants(root) if process.command.startswith("ray::Worker")]


def kill(pid: int) -> bool:
    """SIGKILL; False where the process is gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_tree(root: int) -> None:
    """SIGKILL for a process and all below it, as a machine that loses power."""
    for process in [*descendants(root), Process(root, 0, "", "")]:
        kill(process.pid)


class Household:
    """Runs programs and knows every process that comes of them, also after its parent died.

    Within the block, processes whose parent dies become children of this one: none can escape a count.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._strangers: set[int] = set()
        self._started: set[int] = set()

    def __enter__(self) -> Household:
        self._strangers = {process.pid for process in descendants(os.getpid())}
        self._become_reaper(True)
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._offspring():
            kill(process.pid)
        self._reap()
        self._become_reaper(False)

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program. Its end is for the caller to wait for."""
        program = subprocess.Popen(command, **options)
        self._started.add(program.pid)
        return program

    def orphans(self, grace_seconds: float, *, helpers: bool) -> tuple[list[Process], float]:
        """Processes that live on when all programs have ended, and how long the last of the others took.

        helpers: count those of Ray's own helpers as well that wait a minute for a lost cluster to come back.
        """
        began = time.monotonic()
        while True:
            self._reap()
            left = [process for process in self._offspring() if helpers or not process.is_helper]
            waited = time.monotonic() - began
            if not left or waited > grace_seconds:
                return left, waited
            time.sleep(0.1)

    def _offspring(self) -> list[Process]:
        return [process for process in descendants(os.getpid()) if process.pid not in self._strangers]

    def _reap(self) -> None:
        """Take the status of adopted processes that ended; those that Popen waits for are left to it."""
        for process in table():
            if process.parent == os.getpid() and process.state == "Z" and process.pid not in self._started:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)

    def _become_reaper(self, on: bool) -> None:
        if self._libc.prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
