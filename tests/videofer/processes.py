"""Runs a function in several processes of one gloo group, as training does, without Ray."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from videofer.training.place import Place


def run_together(
    num_processes: int, folder: Path, function: Callable[..., Any], *arguments: Any
) -> list[Any]:
    """Calls `function(place, *arguments)` in each process; the results by rank. folder: where they meet.

    Function, arguments and results must be picklable, tensors as arrays.
    """
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    meeting = folder / "meeting"
    meeting.unlink(missing_ok=True)
    processes = [
        context.Process(target=_run, args=(rank, num_processes, meeting, results, function, arguments))
        for rank in range(num_processes)
    ]
    for process in processes:
        process.start()
    try:
        found = dict(results.get() for _ in processes)
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    for rank in range(num_processes):
        assert not isinstance(found[rank], _Error), found[rank].text
    return [found[rank] for rank in range(num_processes)]


class _Error:
    def __init__(self, text: str) -> None:
        self.text = text


def _run(
    rank: int, num_processes: int, meeting: Path, results: Any, function: Callable[..., Any], arguments: Any
) -> None:
    torch.set_num_threads(1)
    try:
        torch.distributed.init_process_group(
            "gloo", init_method=meeting.as_uri(), rank=rank, world_size=num_processes
        )
        result = function(
            Place(rank=rank, num_processes=num_processes, device=torch.device("cpu")), *arguments
        )
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    except Exception:
        result = _Error(traceback.format_exc())
    results.put((rank, result))
