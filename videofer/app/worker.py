"""One thread that analyses the waiting videos, one after the other."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from cache.errors import UserError
from videofer.app.library import Item, Library

Analyse = Callable[[Path, Path, Callable[[str, float], None]], str]
"""(video, folder of the item, report(stage, share)) -> name of the report."""


class Cancelled(KeyboardInterrupt):
    """The video was deleted, or the app ends. As Ctrl-C: the stage then gives up in good order."""


class Worker:
    """Takes what waits in the library, the oldest first."""

    def __init__(self, library: Library, analyse: Analyse) -> None:
        self._library, self._analyse = library, analyse
        self._changed = threading.Condition()
        self._current: str | None = None
        self._cancelled = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="analysis", daemon=True)

    def start(self) -> None:
        """Begin with what waits."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 30.0) -> None:
        """End; what is under way waits for the next start."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def wake(self) -> None:
        """Something new waits."""
        with self._changed:
            self._changed.notify_all()

    def forget(self, item_id: str) -> None:
        """Delete a video with all that was made of it, also while it is being analysed."""
        with self._changed:
            if self._current == item_id:
                self._cancelled = True  # its files go when the thread has let go of them
                self._library.hide(item_id)
                return
        self._library.delete(item_id)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            self._work(item)
            with self._changed:
                self._current = None
                cancelled = self._cancelled
            if cancelled:
                self._library.discard(item.id)

    def _next(self) -> Item | None:
        """The oldest that waits, as soon as there is one; None when the app ends."""
        with self._changed:
            while not self._stopped:
                waiting = [item for item in self._library.items() if item.state == "waiting"]
                if waiting:
                    self._current, self._cancelled = waiting[-1].id, False
                    return waiting[-1]
                self._changed.wait()
        return None

    def _work(self, item: Item) -> None:
        library = self._library
        library.update(item.id, state="working")
        try:
            report = self._analyse(library.video(item), library.path(item.id), self._reporter(item.id))
        except KeyboardInterrupt:  # Cancelled, or what the stage makes of it
            library.update(item.id, state="waiting", stage="", share=0.0)
        except UserError as error:
            library.update(item.id, state="failed", reason=str(error))
        except Exception as error:  # one video must not stop all others
            traceback.print_exc(file=sys.stderr)
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            library.update(item.id, state="failed", reason=reason)
        else:
            library.update(item.id, state="done", stage="", share=1.0, report=report)

    def _reporter(self, item_id: str) -> Callable[[str, float], None]:
        def report(stage: str, share: float) -> None:
            with self._changed:
                if self._cancelled or self._stopped:
                    raise Cancelled
            self._library.update(item_id, stage=stage, share=round(share, 3))

        return report
