"""Training in several processes through Ray Train: DDP, by gloo on CPUs and NCCL on GPUs.

Each worker reads the store itself. Rank 0 writes the run folder, which must be on a file system that driver
and workers share; the driver follows the progress there.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from videofer.training.loop import Job, fit
from videofer.training.progress import Event, Progress, append, follow, silent
from videofer.training.runner import Place
from videofer.training.split import TrainingError
from videofer.training.state import STATE_DIR

_EVENTS = "events.jsonl"


def fit_with_ray(job: Job, workers: int, progress: Progress) -> None:
    """Trains in `workers` processes and leaves the finished run folder."""
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")  # read when ray.train is imported
    import torch
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    use_gpu = torch.cuda.device_count() >= workers
    cores = _usable_cores()
    state_dir = job.out / STATE_DIR
    state_dir.mkdir(parents=True, exist_ok=True)
    storage = state_dir / "ray"
    with _ray(), follow(state_dir / _EVENTS, progress):
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"job": job, "threads": max(cores // workers, 1), "use_gpu": use_gpu},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
            run_config=RunConfig(name="run", storage_path=str(storage)),
            torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        )
        try:
            trainer.fit()
        except Exception as error:
            raise _first_cause(error) from error
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    (state_dir / _EVENTS).unlink(missing_ok=True)


def _worker(config: dict[str, Any]) -> None:
    """What each process runs."""
    import ray.train
    import ray.train.torch
    import torch

    from videofer.training.finish import finish

    job: Job = config["job"]
    context = ray.train.get_context()
    torch.set_num_threads(config["threads"])
    place = Place(
        rank=context.get_world_rank(),
        num_processes=context.get_world_size(),
        device=ray.train.torch.get_device() if config["use_gpu"] else torch.device("cpu"),
    )
    events = job.out / STATE_DIR / _EVENTS

    def tell(event: Event) -> None:
        append(events, event)

    fitted = fit(job, place, tell if place.rank == 0 else silent)
    if place.rank == 0:
        finish(job, fitted)


@contextmanager
def _ray() -> Iterator[None]:
    """A Ray of our own, unless the caller has one."""
    import ray

    if ray.is_initialized():
        yield
        return
    # Threads that wait must sleep: where several processes share the cores, those that spin for each other
    # made a step of 0.03 s take 10 s.
    environment = {"env_vars": {"OMP_WAIT_POLICY": "PASSIVE"}}
    ray.init(
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env=environment,
    )
    try:
        yield
    finally:
        ray.shutdown()


def _first_cause(error: Exception) -> Exception:
    """The worker's own error where Ray wraps one."""
    failures = getattr(error, "worker_failures", None) or {}
    causes: list[BaseException] = [failures[rank] for rank in sorted(failures)] or [error]
    for cause in causes:
        inner: BaseException | None = cause
        while inner is not None:
            if isinstance(inner, ValueError):
                return TrainingError(str(inner))
            inner = getattr(inner, "cause", None) or inner.__cause__
    return TrainingError(f"training in several processes failed: {' '.join(str(causes[0]).split())[-300:]}")


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
