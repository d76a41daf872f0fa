"""Asks questions of spawned children under a watchdog: a hostile file costs its child, never the caller."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from preprocessing.stage.threads import one_thread_environment
from preprocessing.stage.worker import rss_bytes

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Lost:
    """In place of an answer: the child died over the question, or was ended."""

    reason: str


@dataclass(frozen=True)
class Limits:
    """When a child is ended."""

    answer_seconds: float
    start_seconds: float = 60.0
    max_rss_bytes: int = 4 << 30


@dataclass
class _Child:
    process: BaseProcess
    pipe: Connection
    since: float
    question: int | None = None
    ready: bool = False


def ask_all(
    make: Callable[[], Callable[[Any], Any]],
    questions: Sequence[Any],
    *,
    num_children: int,
    limits: Limits,
    until: float = float("inf"),
    together: bool = False,
) -> Iterator[tuple[int, Any | Lost]]:
    """(index of the question, answer or Lost), as they come.

    make: picklable; called in each child, what it returns answers the questions. until: time.monotonic()
    after which nothing more is asked; what is under way is abandoned. together: nobody is asked before all
    have started. Raises RuntimeError, one line, where the children cannot start.
    """
    context = multiprocessing.get_context("spawn")
    waiting = deque(range(len(questions)))
    children: list[_Child] = []

    def spawn() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        with one_thread_environment():
            process.start()
        theirs.close()
        children.append(_Child(process, ours, time.monotonic()))

    def end(child: _Child) -> None:
        children.remove(child)
        child.process.kill()
        child.process.join()
        child.pipe.close()

    try:
        for _ in range(min(num_children, len(questions))):
            spawn()
        while (waiting or any(child.question is not None for child in children)) and time.monotonic() < until:
            multiprocessing.connection.wait([child.pipe for child in children], POLL_SECONDS)
            for child in tuple(children):
                answer = _look(child, limits)
                if isinstance(answer, Lost) and not child.ready:
                    raise RuntimeError(answer.reason)
                if answer is not None and child.ready and child.question is not None:
                    yield child.question, answer
                    child.question = None
                    if isinstance(answer, Lost):
                        end(child)
                        if waiting:
                            spawn()
                        continue
                child.ready = child.ready or answer is not None
            if together and not all(child.ready for child in children):
                continue
            for child in children:
                if waiting and child.ready and child.question is None:
                    child.question, child.since = waiting.popleft(), time.monotonic()
                    with contextlib.suppress(OSError):  # it died; the next look says so
                        child.pipe.send(questions[child.question])
    finally:
        for child in tuple(children):
            end(child)


def _look(child: _Child, limits: Limits) -> Any | Lost | None:
    """An answer, why the child is lost, or None where there is nothing to say."""
    if child.ready and child.question is None:
        return None
    try:
        if child.pipe.poll():
            return child.pipe.recv()
    except (EOFError, OSError):
        child.process.join(5)
        return Lost(_how(child.process))
    allowed = limits.answer_seconds if child.ready else limits.start_seconds
    if time.monotonic() - child.since > allowed:
        return Lost(f"no answer in {allowed:.0f} s")
    if child.process.pid is not None and rss_bytes(child.process.pid) > limits.max_rss_bytes:
        return Lost(f"used more than {limits.max_rss_bytes / 2**30:.1f} GiB of memory")
    return None


def _serve(pipe: Connection, make: Callable[[], Callable[[Any], Any]]) -> None:
    """The child: say that it is ready, then answer until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    try:
        answer = make()
    except Exception as error:
        pipe.send(Lost(" ".join(f"{type(error).__name__}: {error}".split())))
        return
    pipe.send("ready")
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(answer(question))
        except Exception as error:  # one question must not end the others
            pipe.send(Lost(" ".join(f"{type(error).__name__}: {error}".split())))
            return


def _how(process: BaseProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        return f"the process that read it was ended by {signal.Signals(-code).name}"
    return f"the process that read it ended with status {code}"
