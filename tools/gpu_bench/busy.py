"""What the machine says of its GPU and of the CPU time of our processes, while something runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_MS = 200
KINDS = {
    "ray::Worker": "workers",
    "ray::DetectorActor": "device process",
    "raylet": "Ray",
    "gcs_server": "Ray",
}
"""Of processes, by what their command begins with (without its folder); ours is the driver."""


@dataclass
class GpuSamples:
    """What nvidia-smi said, over all GPUs: percent in which a kernel ran, and MiB in use."""

    utilisation: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    @property
    def mean_share(self) -> float | None:
        """None without a GPU."""
        return sum(self.utilisation) / len(self.utilisation) / 100 if self.utilisation else None


@contextmanager
def gpu_samples() -> Iterator[GpuSamples]:
    """Sampled while the block runs, complete after it; nothing where there is no nvidia-smi."""
    samples = GpuSamples()
    program = shutil.which("nvidia-smi")
    if program is None:
        yield samples
        return
    asked = ["--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits"]
    with tempfile.TemporaryFile("w+") as output:  # a pipe would be full some time
        command = [program, *asked, "-lms", str(SAMPLE_MS)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        try:
            yield samples
        finally:
            process.terminate()
            process.wait()
            output.seek(0)
            for line in output:
                read_sample(line, samples)


def read_sample(line: str, samples: GpuSamples) -> None:
    """Add one line of nvidia-smi, `87, 1024`; one that is cut off or says [N/A] is left out."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        samples.utilisation.append(float(parts[0]))
        samples.memory_mib.append(float(parts[1]))


def cpu_seconds() -> dict[str, float]:
    """CPU time so far of this process ("driver") and of all that it started, by kind."""
    children: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            children.setdefault(int(fields[1]), []).append(int(folder.name))
            seconds[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    total: dict[str, float] = defaultdict(float, driver=seconds[os.getpid()])
    waiting = list(children.get(os.getpid(), []))
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        total[kind_of(pid)] += seconds[pid]
    return dict(total)


def kind_of(pid: int) -> str:
    """workers, device process, Ray, or other."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return "other"
    name = command.rpartition("/")[2]
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), "other")
