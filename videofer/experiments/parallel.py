"""Independent tasks side by side as Ray tasks, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from preprocessing.stage.cluster import SLEEPING_THREADS, running_ray, usable_cores

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """What one of `workers` tasks gets of the machine, or of the cluster."""

    threads: int
    gpus: float  # below 1: several tasks on one


def run_tasks(
    function: Callable[[Task, int | None], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    address: str | None,
) -> Generator[tuple[Task, Result | str], None, None]:
    """Calls function(task, threads) for each task, `workers` at once; yields (task, result) as they finish.

    The result is a str, the reason, where the task's process died. Closing the generator stops what runs.
    """
    import ray

    with running_ray(address, max(usable_cores(), workers)):
        share = fair_share(workers)
        remote = ray.remote(function).options(
            num_cpus=share.threads,
            num_gpus=share.gpus,
            max_retries=0,
            runtime_env={"env_vars": thread_variables(share.threads)},
        )
        waiting = list(reversed(tasks))
        running: dict[Any, Task] = {}
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    task = waiting.pop()
                    running[remote.remote(task, share.threads)] = task
                (done,), _ = ray.wait(list(running), num_returns=1)
                task = running.pop(done)
                try:
                    yield task, ray.get(done)
                except ray.exceptions.RayError as error:
                    yield task, _reason(error)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def fair_share(workers: int) -> Share:
    """Of the Ray that runs: no more threads than its largest node has cores, for a task lives on one."""
    import ray

    total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    largest = max(node["Resources"].get("CPU", 0) for node in nodes if node["Alive"])
    threads = max(1, int(min(total.get("CPU", 1) // workers, largest)))
    gpus = total.get("GPU", 0) / workers
    return Share(threads=threads, gpus=float(int(gpus)) if gpus > 1 else gpus)


def thread_variables(threads: int) -> dict[str, str]:
    """Environment of a task: as many threads as its share, which sleep while they wait for each other."""
    return {"OMP_NUM_THREADS": str(threads), **SLEEPING_THREADS}


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"its process died: {lines[0] if lines else type(error).__name__}"
