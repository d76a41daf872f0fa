"""How much of a GPU was used: time in which it computed, pictures and batches. Plain data for reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class NetworkUsage:
    """What one network did. busy_seconds: of its own batches, from the pictures to the answers."""

    name: str
    num_pictures: int
    num_batches: int
    busy_seconds: float

    @property
    def mean_batch(self) -> float:
        """Pictures a batch, 0 where there was none."""
        return self.num_pictures / self.num_batches if self.num_batches else 0.0

    def __add__(self, other: NetworkUsage) -> NetworkUsage:
        return NetworkUsage(
            self.name,
            self.num_pictures + other.num_pictures,
            self.num_batches + other.num_batches,
            self.busy_seconds + other.busy_seconds,
        )


@dataclass(frozen=True)
class DeviceUsage:
    """What the process on one device did.

    busy_seconds: in which at least one batch was under way, with its way to the device and back. Where two
    networks compute at once the time counts once, so this is no more than the time that passed.
    """

    device: str  # "cuda:0", with the node's address where it is another's
    busy_seconds: float
    networks: list[NetworkUsage] = field(default_factory=list)
    num_restarts: int = 0  # times that the process died and came back; what it last did then may be missing

    @property
    def num_pictures(self) -> int:
        return sum(each.num_pictures for each in self.networks)

    @property
    def num_batches(self) -> int:
        return sum(each.num_batches for each in self.networks)

    @property
    def mean_batch(self) -> float:
        """Pictures a batch over all networks, 0 where there was none."""
        return self.num_pictures / self.num_batches if self.num_batches else 0.0

    def __add__(self, other: DeviceUsage) -> DeviceUsage:
        """Of a process and the one that came in its place."""
        networks = {each.name: each for each in self.networks}
        for each in other.networks:
            networks[each.name] = networks[each.name] + each if each.name in networks else each
        return DeviceUsage(
            self.device,
            self.busy_seconds + other.busy_seconds,
            list(networks.values()),
            self.num_restarts + other.num_restarts,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DeviceUsage:
        """Raises KeyError or TypeError where it is none."""
        return cls(**{**data, "networks": [NetworkUsage(**each) for each in data["networks"]]})


class BusyClock:
    """Seconds in which at least one block was open. For several threads."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._num_open, self._since, self._seconds = 0, 0.0, 0.0

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A block that counts."""
        with self._lock:
            if self._num_open == 0:
                self._since = self._clock()
            self._num_open += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_open -= 1
                if self._num_open == 0:
                    self._seconds += self._clock() - self._since

    @property
    def seconds(self) -> float:
        """So far; a block that is open counts up to now."""
        with self._lock:
            return self._seconds + (self._clock() - self._since if self._num_open else 0.0)
