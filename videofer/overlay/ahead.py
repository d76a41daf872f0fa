"""An iterator that works ahead on a thread of its own: pictures are decoded while others are drawn."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

_END = object()
_POLL_SECONDS = 0.1


@contextmanager
def ahead(items: Iterator[Item], depth: int) -> Iterator[Iterator[Item]]:
    """The same items in order, up to `depth` of them made before they are asked for.

    What the iterator raises is raised where the item is asked for. At the end of the block the thread is
    gone, and the iterator closed, however much of it was used.
    """
    made: queue.Queue[object] = queue.Queue(depth)
    stop = threading.Event()
    failures: list[BaseException] = []

    def put(item: object) -> bool:
        while not stop.is_set():
            try:
                made.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:
            failures.append(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
            put(_END)

    def take() -> Iterator[Item]:
        while (item := made.get()) is not _END:
            yield item  # type: ignore[misc]
        if failures:
            raise failures[0]

    thread = threading.Thread(target=work, name="videofer-ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stop.set()
        thread.join()
