"""The GPU: whether torch and ONNX Runtime compute on it, and why not where the machine has one."""

from __future__ import annotations

import re
import time
import warnings
from pathlib import Path

from preprocessing.quantities import as_bytes
from videofer.doctor.findings import Finding

DRIVER = Path("/proc/driver/nvidia/version")
USE_ONNX_GPU = (
    "for ONNX engines too: pip uninstall --yes onnxruntime && "
    "pip install --force-reinstall --no-deps onnxruntime-gpu"
)
MATRIX = 4096  # rows of the product that is timed


def driver_version(path: Path = DRIVER) -> str | None:
    """Of NVIDIA's driver in the kernel; None where there is none."""
    try:
        found = re.search(r"Kernel Module(?: for \S+)?\s+(\d+[.\d]*)", path.read_text())
    except OSError:
        return None
    return found[1] if found else "of unknown version"


def examine_gpu(*, quick: bool) -> Finding:
    """Torch's first GPU, with its speed; or the reason why there is none."""
    import torch

    driver = driver_version()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if not usable:
        return without_gpu(driver, torch.version.cuda, [str(warning.message) for warning in said])
    names = [torch.cuda.get_device_properties(n).name for n in range(torch.cuda.device_count())]
    memory = torch.cuda.get_device_properties(0).total_memory
    seen = f"{len(names)} x {names[0]}, {as_bytes(memory)}, driver {driver or 'not seen'}"
    figures: dict[str, float | int | str] = {
        "count": len(names), "name": names[0], "memory_bytes": memory, "driver": driver or "",
    }  # fmt: skip
    if not quick:
        teraflops = _teraflops()
        seen += f", {teraflops:.0f} TFLOP/s in half precision"
        figures["teraflops"] = round(teraflops, 1)
    if "CUDAExecutionProvider" not in _providers():
        return Finding("GPU", "note", f"{seen}; ONNX Runtime does not use it", USE_ONNX_GPU, figures)
    return Finding("GPU", "ok", seen, "asked for with --gpu", figures)


def without_gpu(driver: str | None, cuda: str | None, warned: list[str]) -> Finding:
    """Why torch sees no GPU. driver: of the kernel; cuda: that torch is built for; None: there is none."""
    if driver is None:
        return Finding("GPU", "absent", "none: no NVIDIA driver here")
    if cuda is None:
        return Finding(
            "GPU",
            "broken",
            f"driver {driver} is here, but this torch is built without CUDA",
            "pip install --force-reinstall torch torchvision",
        )
    why = f": {' '.join(warned[0].split())[:160]}" if warned else ", or a container hides it"
    return Finding(
        "GPU",
        "broken",
        f"driver {driver} is here, but torch, built for CUDA {cuda}, sees no GPU{why}",
        "update the driver, or install a torch for an older CUDA; in Docker: docker run --gpus all",
    )


def _providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError:
        return []
    return list(onnxruntime.get_available_providers())


def _teraflops() -> float:
    """Of one large product of matrices, the best of five."""
    import torch

    factor = torch.randn(MATRIX, MATRIX, device="cuda", dtype=torch.float16)
    best = float("inf")
    for _ in range(5):
        torch.cuda.synchronize()
        start = time.perf_counter()
        factor @ factor
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * MATRIX**3 / best / 1e12
