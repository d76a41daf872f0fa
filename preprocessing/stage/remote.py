"""Networks in another process, as a worker sees them: the place that `DetectorActor` is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preprocessing.blob import Normaliser
from preprocessing.device import Device
from preprocessing.network import Answer, Model, Port

MAX_SENT = 32  # pictures of one worker that wait there: 32 of 512x288 are 14 MB of shared memory
RETRIES = 3  # of a request whose process dies over it
RESTART_SECONDS = 45.0  # for a process to come back: less than a worker may be silent
POLL_SECONDS = 0.2


class PlaceLostError(Exception):
    """The process that runs the networks is gone and does not come back. One line for the user."""


@dataclass(frozen=True)
class There:
    """The process behind an actor. Fulfils `preprocessing.network.Place`."""

    actor: Any
    device: Device

    def network(self, model: Model) -> RemoteNetwork:
        """See `Place.network`."""
        return RemoteNetwork(self.actor, model)


class RemoteNetwork:
    """Fulfils `preprocessing.network.Network` by asking the actor.

    A worker waits for its answers, so what it has under way there is bounded by `MAX_SENT`. Should the
    process die, Ray starts it again and asks again; a request over which it dies every time fails.
    """

    inputs: list[Port]
    outputs: list[Port]

    def __init__(self, actor: Any, model: Model) -> None:
        self._actor, self._model = actor, model
        self.inputs, self.outputs = self._ask(actor.open, model)

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`. Raises PlaceLostError; RuntimeError where the process dies of it."""
        answers: list[Answer] = []
        for start in range(0, len(images_rgb), MAX_SENT):
            sent = list(images_rgb[start : start + MAX_SENT])
            wanted = None if outputs is None else tuple(outputs)
            answers += self._ask(self._actor.run, self._model, sent, normalise, wanted)
        return answers

    def _ask(self, method: Any, *arguments: Any) -> Any:
        """The actor's answer, or its error as if it had been raised here."""
        import ray

        for _ in range(1 + RETRIES):
            try:
                return ray.get(method.remote(*arguments))
            except ray.exceptions.RayTaskError as error:
                raise (error.cause if isinstance(error.cause, Exception) else error) from None
            except ray.exceptions.RayActorError:
                self._wait_until_back()
        raise RuntimeError(DIED_OFTEN)

    def _wait_until_back(self) -> None:
        """Until the process answers again. Ray's own retries would count those that fail meanwhile."""
        import ray

        limit = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                ray.get(self._actor.usage.remote())
                return
            except ray.exceptions.RayActorError as error:
                is_dead = isinstance(error, ray.exceptions.ActorDiedError)  # for good
                if is_dead or time.monotonic() > limit:
                    raise PlaceLostError(f"{GONE}: {_last_line(error)}") from None
            time.sleep(POLL_SECONDS)


GONE = "the process that holds the GPU is gone"
DIED_OFTEN = f"the process that holds the GPU died {RETRIES + 1} times over it"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
