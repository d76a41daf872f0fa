"""Where work runs side by side: the cores of this machine, and Ray, started here or found at an address."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cache.errors import UserError

SLEEPING_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of workers: threads that wait must sleep. Where several processes share the cores, those that
spin for each other made a training step of 0.03 s take 10 s."""

_DIRECT = {"RAY_max_direct_call_object_size": str(1 << 20)}
"""Bytes that go with a call; a larger object goes through the object store. At Ray's own 100 kB that took
twice the time, of the caller and of all cores, for one picture that a worker sends to a GPU."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has where it is bound to some."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ray_runs() -> bool:
    """Whether this process is connected to a Ray already, which `start_ray` would then use."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def start_ray(address: str | None, num_cpus: int | None = None) -> bool:
    """Connect to a cluster, or start Ray here. False if it ran already: then it is not ours to stop.

    num_cpus: what a Ray started here hands out; by default what Ray itself counts. UserError where there is
    no cluster at `address`.
    """
    for name, value in (_QUIET | _DIRECT if address is None else _QUIET).items():
        os.environ.setdefault(name, value)
    guessed_token = (
        address is not None
        and "ray" not in sys.modules
        and "RAY_AUTH_MODE" not in os.environ
        and _has_token()
    )
    if guessed_token:
        os.environ["RAY_AUTH_MODE"] = "token"  # Ray reads it once, when it is imported
    import ray

    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        for name, value in SLEEPING_THREADS.items():  # workers inherit it
            os.environ.setdefault(name, value)
        # "local": without it Ray looks for a cluster all the same, and fails where it finds one.
        try:
            ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **options)
        except Exception as error:  # Ray raises no class of its own when its processes do not come up
            raise UserError(f"Ray did not start on this machine: {_one_line(error)}") from error
        return True
    _check_answers(address)
    try:
        ray.init(address=address, runtime_env={"env_vars": SLEEPING_THREADS}, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster at {address}: {_one_line(error)}") from error
    if guessed_token and not _actors_live():
        ray.shutdown()
        raise UserError(
            f"the Ray cluster at {address} was started without tokens, this machine has one: "
            "set RAY_AUTH_MODE=disabled, the same on all machines"
        )
    return True


@contextmanager
def running_ray(address: str | None, num_cpus: int | None = None) -> Iterator[None]:
    """`start_ray` for the length of a block, after which only a Ray of our own is stopped."""
    ours = start_ray(address, num_cpus)
    try:
        yield
    finally:
        if ours:
            import ray

            ray.shutdown()


def _actors_live() -> bool:
    """Whether an actor answers: a cluster without tokens accepts a client with one, and ends its actors."""
    import ray

    class Echo:
        def echo(self) -> bool:
            return True

    echo: Any = ray.remote(Echo)
    try:
        return bool(ray.get(echo.options(num_cpus=0).remote().echo.remote()))
    except ray.exceptions.RayActorError:
        return False


def _has_token() -> bool:
    """Whether `ray start` on this machine asks its clients for a token.

    It does from the first time on that Ray was used here, which leaves one; clients do not show it unasked.
    """
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").is_file()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _check_answers(address: str) -> None:
    """UserError where nobody listens: Ray itself would try for many minutes."""
    place = re.fullmatch(r"(?:ray://)?([^:/\[\]]+):(\d{1,5})", address)
    if place is None:
        return  # "auto", or what Ray alone understands
    try:
        socket.create_connection((place[1], int(place[2])), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster answers at {address}: {error}") from None
