"""Where and with what a run was trained: RUN/environment.json, an entry for each start of the run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from cache.atomic import atomic_write_text
from preprocessing.stage.cluster import usable_cores
from videofer.training.place import Place

_PACKAGES = ("videofer", "torchvision", "numpy", "pandas", "h5py", "opencv-python-headless", "ray")


def record_environment(out: Path, place: Place, command: Sequence[str], threads: int) -> None:
    """Adds this start to RUN/environment.json."""
    path = out / "environment.json"
    starts = json.loads(path.read_text(encoding="utf-8"))["starts"] if path.is_file() else []
    start = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "commit": code_commit(),
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "device": device_name(place.device),
        "cores": usable_cores(),
        "processes": place.num_processes,
        "threads": threads,
    }
    text = json.dumps({"starts": [*starts, start]}, indent=2, ensure_ascii=False)
    atomic_write_text(path, text + "\n")


def device_name(device: torch.device) -> str:
    """For people: which GPU or processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def code_commit() -> dict[str, Any] | None:
    """The commit of this code and whether files differ from it; None where it is not in a git checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if head is None else {"id": head, "changed": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607  (git is found as the user finds it)
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    versions = {"torch": str(torch.__version__)}  # with its build, which the installer does not know
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if torch.version.cuda is not None:
        versions["cuda"] = torch.version.cuda
    return versions
