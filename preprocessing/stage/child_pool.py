"""Workers as spawned child processes of this one: for a single video, which needs no Ray."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from preprocessing.engines import EngineChoices
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import Handle, Job, Reply, Vitals, WorkerLostError
from preprocessing.stage.threads import one_thread_environment
from preprocessing.stage.usage import DeviceUsage
from preprocessing.stage.worker import new_crash_file, one_line, take_crash

VITALS_SECONDS = 0.5
OWN_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


def _serve(
    requests: Connection,
    signs: Connection,
    store_dir: Path,
    spec: PreprocessSpec,
    choices: EngineChoices,
    crash_file: Path,
) -> None:
    """The child: answer requests until the pipe closes, and give signs of life from a second thread."""
    import threading

    from preprocessing.stage.worker import Worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see `_without_ctrl_c`
    try:
        worker = Worker(store_dir, spec, choices, crash_file)
    except Exception as error:  # the driver shall say why
        signs.send(one_line(error))
        return

    def live() -> None:
        while True:
            try:
                signs.send(worker.vitals())
                if signs.poll(VITALS_SECONDS):
                    signs.recv()
                    worker.interrupt()
            except (EOFError, OSError):
                os._exit(1)  # the driver is gone

    threading.Thread(target=live, daemon=True).start()
    while True:
        try:
            job = requests.recv()
            requests.send(worker.seal() if job is None else worker.process(job))
        except (EOFError, OSError):
            return


class ChildHandle:
    """One child process."""

    def __init__(
        self, process: BaseProcess, requests: Connection, signs: Connection, crash_file: Path
    ) -> None:
        self._process, self.requests, self.signs = process, requests, signs
        self._crash_file = crash_file
        self._newest: Vitals | None = None

    @property
    def awaited(self) -> Connection:
        """Where something comes that the driver waits for."""
        return self.requests if self._newest else self.signs

    def submit(self, job: Job | None) -> None:
        with contextlib.suppress(OSError):  # it died; reply() says so
            self.requests.send(job)

    def seal(self) -> None:
        self.submit(None)

    def reply(self) -> Reply | None:
        try:
            if not self.requests.poll():
                if not self._process.is_alive() and not self.requests.poll():
                    raise self._lost()
                return None
            reply = self.requests.recv()
        except (EOFError, OSError):
            raise self._lost() from None
        assert isinstance(reply, Reply)
        return reply

    def vitals(self) -> Vitals | None:
        try:
            while self.signs.poll():
                newest = self.signs.recv()
                if isinstance(newest, str):
                    raise WorkerLostError(newest, at_start=True)
                self._newest = newest
        except (EOFError, OSError):
            raise self._lost() from None
        return self._newest

    def interrupt(self) -> None:
        with contextlib.suppress(OSError):
            self.signs.send(None)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()
        self.requests.close()
        self.signs.close()
        take_crash(self._crash_file)

    def _lost(self) -> WorkerLostError:
        self._process.join(5)
        crash = take_crash(self._crash_file)
        code = self._process.exitcode
        if code is not None and code < 0:
            how = signal.Signals(-code)
            text = f"the worker process was ended by {how.name}"
            return WorkerLostError(f"{text}: {crash}" if crash else text, crashed=how in OWN_CRASHES)
        return WorkerLostError(crash or f"the worker process ended with status {code}", crashed=bool(crash))


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started inside does not get Ctrl-C before it says what that means to it.

    A terminal sends it to the child as well, while that still imports modules. Ours waits until the end.
    """
    multiprocessing.resource_tracker.ensure_running()  # its start would take the mask off again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ChildPool:
    """Spawns (never forks: native libraries hold threads and locks) one child a handle."""

    def __init__(self, store_dir: Path, spec: PreprocessSpec, choices: EngineChoices) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._arguments = (store_dir, spec, choices)
        self.device_usage: list[DeviceUsage] = []  # each child runs its own networks

    def spawn(self) -> ChildHandle:
        ours, theirs = self._context.Pipe()
        our_signs, their_signs = self._context.Pipe()
        crash_file = new_crash_file(self._arguments[0])
        process = self._context.Process(
            target=_serve, args=(theirs, their_signs, *self._arguments, crash_file), daemon=True
        )
        with one_thread_environment(), _without_ctrl_c():
            process.start()
        theirs.close()
        their_signs.close()
        return ChildHandle(process, ours, our_signs, crash_file)

    def wait(self, handles: list[Handle], timeout_seconds: float) -> list[Handle]:
        """Only answers and first signs of life count: later ones come all the time."""
        owners: dict[Connection, Handle] = {h.awaited: h for h in handles if isinstance(h, ChildHandle)}
        if not owners:
            time.sleep(timeout_seconds)
        ready = multiprocessing.connection.wait(list(owners), timeout_seconds)
        return [owners[pipe] for pipe in ready if isinstance(pipe, Connection)]

    def close(self) -> None:
        """Nothing is shared between the children."""
