"""The machine itself: cores, memory, shared memory, disks, FFmpeg. Standard library only.

In a container the limits of the container count, not what the host has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from preprocessing.quantities import as_bytes
from preprocessing.stage.cluster import usable_cores
from videofer.doctor.findings import Finding

LITTLE_MEMORY = 4e9  # a worker takes about 0.5 GB, Ray itself 1 GB
LITTLE_SHARED_MEMORY = 1e9  # Docker gives 64 MB unless it is asked for more
LITTLE_DISK = 2e9
BUSY = 0.5  # load per core
CGROUP = Path("/sys/fs/cgroup")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Ray keeps its objects
MEMINFO = Path("/proc/meminfo")


def examine_machine() -> list[Finding]:
    """Cores, memory, shared memory, disk and FFmpeg."""
    folders = [("disk here", Path.cwd()), ("disk of temporary files", Path(tempfile.gettempdir()))]
    return [
        cores(CGROUP),
        load(os.getloadavg()[0], usable_cores()),
        memory(MEMINFO, CGROUP),
        shared_memory(SHARED_MEMORY),
        *(disk(name, folder) for name, folder in folders),
        ffmpeg(),
    ]


def cores(cgroup: Path) -> Finding:
    """Cores that this process may use, and the share of them that a container grants."""
    usable, quota = usable_cores(), _number(cgroup / "cpu.max")
    if quota is None:
        return Finding("cores", "ok", str(usable), figures={"cores": usable})
    period = float((cgroup / "cpu.max").read_text().split()[1])
    granted = quota / period
    figures: dict[str, float | int | str] = {"cores": usable, "granted": granted}
    if granted >= usable:
        return Finding("cores", "ok", str(usable), figures=figures)
    return Finding(
        "cores",
        "note",
        f"{usable}, of which the container grants {granted:g}",
        f"--workers {max(1, int(granted))} for preprocess and train",
        figures,
    )


def load(running: float, num_cores: int) -> Finding:
    """How many processes want to run. running: the system's average over a minute."""
    figures: dict[str, float | int | str] = {"load": round(running, 2)}
    if running < BUSY * num_cores:
        return Finding("load", "ok", f"{running:.1f}", figures=figures)
    seen = f"{running:.1f} on {num_cores} cores: busy, the speeds are too low"
    return Finding("load", "note", seen, figures=figures)


def memory(meminfo: Path, cgroup: Path) -> Finding:
    """Memory of the machine or the container, and what of it is free."""
    try:
        sizes = {
            match[1]: 1024 * int(match[2])
            for match in re.finditer(r"^(\w+): +(\d+) kB", meminfo.read_text(), re.MULTILINE)
        }
        total, free = sizes["MemTotal"], sizes["MemAvailable"]
    except (OSError, KeyError):
        return Finding("memory", "note", "unknown on this system")
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is not None and used is not None and limit < total:
        total, free = int(limit), min(free, int(limit - used))
    return Finding(
        "memory",
        "ok" if total >= LITTLE_MEMORY else "note",
        f"{as_bytes(total)}, {as_bytes(free)} of it free",
        "" if total >= LITTLE_MEMORY else "--workers 1, and a small batch_size in recipes",
        {"total_bytes": total, "free_bytes": free},
    )


def shared_memory(folder: Path) -> Finding:
    """Where processes of Ray and loaders of torch hand each other arrays."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return Finding("shared memory", "note", f"no {folder}: Ray uses the disk instead, which is slow")
    enough = usage.total >= LITTLE_SHARED_MEMORY
    return Finding(
        "shared memory",
        "ok" if enough else "note",
        f"{as_bytes(usage.total)}, {as_bytes(usage.free)} of it free",
        "" if enough else "Ray is slow with so little; in Docker: docker run --shm-size=4g",
        {"total_bytes": usage.total, "free_bytes": usage.free},
    )


def disk(name: str, folder: Path) -> Finding:
    """Free space where a folder lies."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(name, "broken", f"{folder}: {error.strerror}", needed=True)
    enough = free >= LITTLE_DISK
    return Finding(
        name,
        "ok" if enough else "note",
        f"{as_bytes(free)} free at {folder}",
        "" if enough else "free some space before a run; --out and $TMPDIR may name another disk",
        {"free_bytes": free, "folder": str(folder)},
    )


def ffmpeg() -> Finding:
    """The system's FFmpeg. Only torchcodec needs it: PyAV and decord bring their own."""
    program = shutil.which("ffmpeg")
    if program is None:
        seen = "none in the system; torchcodec needs it"
        return Finding("FFmpeg", "absent", seen, "apt-get install ffmpeg, or: conda install 'ffmpeg<9'")
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("FFmpeg", "broken", f"{program} does not run: {type(error).__name__}")
    version = re.match(r"ffmpeg version (\S+)", answer.stdout)
    if version is None:
        return Finding("FFmpeg", "broken", f"{program} does not say its version", "apt-get install ffmpeg")
    seen = f"{version[1]} at {program}"
    return Finding("FFmpeg", "ok", seen, figures={"version": version[1], "program": program})


def _number(path: Path) -> float | None:
    """The first number of a file of the kernel; None where there is no file, or no limit (`max`)."""
    try:
        first = path.read_text().split()[0]
    except (OSError, IndexError):
        return None
    return float(first) if re.fullmatch(r"[\d.]+", first) else None


def system_name() -> str:
    """Linux 6.1.0 x86_64."""
    names = os.uname()
    return f"{names.sysname} {names.release} {names.machine}"
