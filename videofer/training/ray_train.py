"""Training in several processes through Ray Train: gloo on CPUs, NCCL on GPUs.

Each worker reads the store itself. Rank 0 writes the run folder, which must be on a file system that driver
and workers share; the driver follows progress and log there. When a worker dies all of them are started again
and go on from the last state.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache.errors import UserError
from preprocessing.stage.cluster import running_ray, usable_cores
from videofer.training.job import Job
from videofer.training.log import LOGGER, log_path, repeat
from videofer.training.loop import fit
from videofer.training.place import Place
from videofer.training.progress import Event, Progress, append, follow, parse, silent
from videofer.training.split import TrainingError
from videofer.training.state import STATE_DIR

_EVENTS = "events.jsonl"
_REFUSAL = "refusal.json"
_MAX_FAILURES = 3  # of workers, after each of which all go on from the last state


def fit_with_ray(job: Job, workers: int, progress: Progress, address: str | None) -> None:
    """Trains in `workers` processes and leaves the finished run folder. address: see `train`."""
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")  # read when ray.train is imported
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    state_dir = job.out / STATE_DIR
    state_dir.mkdir(parents=True, exist_ok=True)
    storage, events = state_dir / "ray", state_dir / _EVENTS
    for left_over in (events, state_dir / _REFUSAL):
        left_over.unlink(missing_ok=True)
    # Restarted workers find the state of those before; the caller has seen to it that no other one is there.
    job = replace(job, resume=True)

    def tell(text: str) -> None:
        progress(parse(text))

    with running_ray(address), follow(events, tell), follow(log_path(job.out, 0), repeat):
        use_gpu = _available("GPU") >= workers
        if address is None and not use_gpu and _available("CPU") < workers:
            raise TrainingError(f"{workers} workers need a core each, Ray has {_available('CPU')} here")
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"job": job, "use_gpu": use_gpu},
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
            run_config=RunConfig(
                name="run",
                storage_path=str(storage),
                failure_config=FailureConfig(max_failures=_MAX_FAILURES),
            ),
            torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        )
        try:
            trainer.fit()
        except Exception as error:
            raise _refusal(state_dir) or _failure(error) from error
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    refusal = _refusal(state_dir)
    if refusal is not None:
        raise refusal
    events.unlink(missing_ok=True)


def _worker(config: dict[str, Any]) -> None:
    """What each process runs. It may be run again after a failure of any of them."""
    import ray.train
    import ray.train.torch
    import torch

    from videofer.training.finish import finish

    job: Job = config["job"]
    state_dir = job.out / STATE_DIR
    if (state_dir / _REFUSAL).exists():  # the error was no accident: another try would end with it as well
        return
    context = ray.train.get_context()
    place = Place(
        rank=context.get_world_rank(),
        num_processes=context.get_world_size(),
        device=ray.train.torch.get_device() if config["use_gpu"] else torch.device("cpu"),
    )
    # The workers of a machine share its cores.
    torch.set_num_threads(job.threads or max(usable_cores() // context.get_local_world_size(), 1))

    def tell(event: Event) -> None:
        append(state_dir / _EVENTS, event)

    progress = tell if place.is_first else silent
    try:
        finish(job, place, fit(job, place, progress), progress)
    except TrainingError as error:  # in all processes at once: none waits for this one
        _refuse(state_dir, error)
    except (UserError, ValueError) as error:
        _refuse(state_dir, error)
        raise


def _refuse(state_dir: Path, error: Exception) -> None:
    """Notes an error that is the user's to mend, so that the workers are not started again for it."""
    LOGGER.debug(traceback.format_exc())
    (state_dir / _REFUSAL).write_text(json.dumps(str(error)), encoding="utf-8")


def _refusal(state_dir: Path) -> TrainingError | None:
    path = state_dir / _REFUSAL
    if not path.exists():
        return None
    message = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return TrainingError(message)


def _failure(error: Exception) -> TrainingError:
    """Of workers that died again and again."""
    failures = getattr(error, "worker_failures", None) or {}
    causes = [failures[rank] for rank in sorted(failures)] or [error]
    text = " ".join(str(causes[0]).split())[-300:]
    return TrainingError(
        f"training in several processes failed {_MAX_FAILURES + 1} times (go on with it by --resume): {text}"
    )


def _available(resource: str) -> int:
    """Of all machines together."""
    import ray

    return int(ray.cluster_resources().get(resource, 0))  # type: ignore[no-untyped-call]
