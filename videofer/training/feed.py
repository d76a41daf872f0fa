"""Brings batches to the device: the next one is made and sent while the present step computes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

import torch
from torch import Tensor

Batch = dict[str, Tensor]

_PATIENCE_SECONDS = 0.1  # between looks at whether the reader has gone


class Feed:
    """Iterates over a loader, its batches on the device. `waiting_seconds`: what the steps waited for them.

    On a GPU the copy runs on a stream of its own, from pinned memory (which the loader is asked for).
    in_thread: for a loader without processes of its own; decoding and the network's arithmetic do not hold
    the interpreter.
    """

    def __init__(self, loader: Iterable[Batch], device: torch.device, *, in_thread: bool) -> None:
        self.loader, self.device, self.in_thread = loader, device, in_thread
        self.waiting_seconds = 0.0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[Batch]:
        source = _from_thread(self.loader) if self.in_thread else _from_loader(self.loader)
        with closing(source):
            coming = self._send(source)
            while coming is not None:
                # The device's work on the last batch goes on while the host waits here.
                batch = self._receive(coming)
                yield batch
                coming = self._send(source)

    def _send(self, source: Iterator[Batch]) -> Batch | None:
        """Waits for the next batch and begins to copy it. None at the end."""
        began = time.monotonic()
        batch = next(source, None)
        # A GPU that still computes has not waited.
        if self._stream is None or torch.cuda.current_stream(self.device).query():
            self.waiting_seconds += time.monotonic() - began
        if batch is None or self._stream is None:
            return batch
        with torch.cuda.stream(self._stream):
            return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def _receive(self, batch: Batch) -> Batch:
        if self._stream is not None:
            present = torch.cuda.current_stream(self.device)
            present.wait_stream(self._stream)
            for tensor in batch.values():
                tensor.record_stream(present)
        return batch


def _from_loader(loader: Iterable[Batch]) -> Generator[Batch]:
    yield from loader


def _from_thread(loader: Iterable[Batch]) -> Generator[Batch]:
    """The loader's batches, one of them made ahead by a thread. Its exceptions come out here."""
    made: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=1)  # None: the end
    stop = threading.Event()

    def put(item: Batch | BaseException | None) -> None:
        while not stop.is_set():
            try:
                made.put(item, timeout=_PATIENCE_SECONDS)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for batch in loader:
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="training-feed", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
