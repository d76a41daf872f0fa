"""Workers as spawned child processes of this one: for a single video, which needs no Ray."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from preprocessing.engines import EngineChoices
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import Handle, Job, Reply, Vitals, WorkerLostError

VITALS_SECONDS = 0.5


def _serve(
    requests: Connection,
    vitals: Connection,
    store_dir: Path,
    spec: PreprocessSpec,
    choices: EngineChoices,
) -> None:
    """The child: answer requests until the pipe closes, and give signs of life from a second thread."""
    import threading

    from preprocessing.stage.worker import Worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    worker = Worker(store_dir, spec, choices)

    def live() -> None:
        while True:
            try:
                vitals.send(worker.vitals())
            except OSError:
                os._exit(1)  # the driver is gone
            time.sleep(VITALS_SECONDS)

    threading.Thread(target=live, daemon=True).start()
    while True:
        try:
            job = requests.recv()
        except EOFError:
            return
        requests.send(worker.seal() if job is None else worker.process(job))


class ChildHandle:
    """One child process."""

    def __init__(self, process: BaseProcess, requests: Connection, vitals: Connection) -> None:
        self._process, self.requests, self.signs = process, requests, vitals
        self._newest: Vitals | None = None

    def submit(self, job: Job | None) -> None:
        with contextlib.suppress(OSError):  # it died; reply() says so
            self.requests.send(job)

    def seal(self) -> None:
        self.submit(None)

    def reply(self) -> Reply | None:
        try:
            if not self.requests.poll():
                if not self._process.is_alive() and not self.requests.poll():
                    raise WorkerLostError(_how(self._process))
                return None
            reply = self.requests.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise WorkerLostError(_how(self._process)) from None
        assert isinstance(reply, Reply)
        return reply

    def vitals(self) -> Vitals | None:
        try:
            while self.signs.poll():
                self._newest = self.signs.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise WorkerLostError(_how(self._process)) from None
        return self._newest

    def interrupt(self) -> None:
        """Nothing: a child has a single video, so nothing was finished before it."""

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.requests.close()
        self.signs.close()


class ChildPool:
    """Spawns (never forks: native libraries hold threads and locks) one child a handle."""

    def __init__(self, store_dir: Path, spec: PreprocessSpec, choices: EngineChoices) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._arguments = (store_dir, spec, choices)

    def spawn(self) -> ChildHandle:
        ours, theirs = self._context.Pipe()
        our_vitals, their_vitals = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_serve, args=(theirs, their_vitals, *self._arguments), daemon=True
        )
        process.start()
        theirs.close()
        their_vitals.close()
        return ChildHandle(process, ours, our_vitals)

    def wait(self, handles: list[Handle], timeout_seconds: float) -> None:
        pipes = [pipe for h in handles if isinstance(h, ChildHandle) for pipe in (h.requests, h.signs)]
        multiprocessing.connection.wait(pipes, timeout_seconds)

    def close(self) -> None:
        """Nothing is shared between the children."""


def _how(process: BaseProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process ended with status {code}"
