"""Networks of face-alignment as files of torch weights, behind the same seam as ONNX files.

Only the network classes of face-alignment are used: its own way around them loads from its own folders,
loops over single pictures and cells, and drops the landmarks that its detectors find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preprocessing.batches import Batches
from preprocessing.blob import Normaliser
from preprocessing.device import CPU, Device
from preprocessing.network import Answer, Port
from preprocessing.weights import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

INSTALL = "pip install --no-deps face-alignment numba llvmlite tqdm"
"""Not with all that it asks for: that holds a second OpenCV, see docs/install.md."""
BATCH = 16  # pictures that pass together on a GPU


@dataclass(frozen=True)
class Architecture:
    """How a network is made, and what it gives."""

    make: Callable[[], nn.Module]
    outputs: tuple[str, ...]  # names of the tensors that it gives


def _blazeface() -> nn.Module:
    from face_alignment.detection.blazeface.net_blazeface import BlazeFace

    module: nn.Module = BlazeFace()
    return module


def _s3fd() -> nn.Module:
    from face_alignment.detection.sfd.net_s3fd import s3fd

    module: nn.Module = s3fd()
    return module


def _retinaface() -> nn.Module:
    from face_alignment.detection.retinaface.net_retinaface import RetinaFace

    module: nn.Module = RetinaFace()
    return module


def fan_network() -> nn.Module:
    """Four stacked hourglasses, each with heatmaps of its own: a list of (N, 68, 64, 64)."""
    from face_alignment.models import FAN

    module: nn.Module = FAN(4)
    return module


def depth_network() -> nn.Module:
    """How deep points lie, of a picture and a heatmap for each point: (N, 71, 256, 256) -> (N, 68)."""
    from face_alignment.models import ResNetDepth

    module: nn.Module = ResNetDepth()
    return module


ARCHITECTURES = {
    "blazeface": Architecture(_blazeface, ("boxes", "logits")),
    "s3fd": Architecture(_s3fd, tuple(f"{part}_{step}" for step in range(6) for part in ("class", "box"))),
    "retinaface": Architecture(_retinaface, ("boxes", "scores", "landmarks")),
}


@dataclass(frozen=True)
class TorchFile:
    """A network by its file of weights and its architecture. Fulfils `preprocessing.network.OpensNetwork`."""

    path: Path
    architecture: str  # of ARCHITECTURES

    def __call__(self, device: Device) -> TorchNetwork:
        """See `OpensNetwork`."""
        known = ARCHITECTURES[self.architecture]
        module = load_module(self.path, known.make, self.architecture)
        return TorchNetwork(module, known.outputs, device)

    def __str__(self) -> str:
        return self.architecture


class TorchNetwork:
    """Fulfils `preprocessing.network.Network`.

    On the CPU pictures pass one by one, on one thread: a batch is no faster there. On a GPU they pass in
    batches of one size, filled up with black: see `preprocessing.batches`.
    """

    def __init__(
        self, module: nn.Module, outputs: Sequence[str], device: Device = CPU, batch: int | None = None
    ) -> None:
        """module: (N, 3, H, W) float -> several tensors, N first, which `outputs` names.

        batch: pictures that pass together; None for 1 on the CPU and BATCH on a GPU.
        """
        self._module = module.to(device).eval().requires_grad_(False)
        self._device = device
        self._batches = Batches(batch or (1 if device == CPU else BATCH))
        self.inputs = [Port("image", ("N", 3, "H", "W"))]
        self.outputs = [Port(name, ("N",)) for name in outputs]
        self._place = {name: n for n, name in enumerate(outputs)}

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`."""

        def compute(some: Sequence[np.ndarray], size: int) -> list[Answer]:
            filling = np.zeros((size - len(some), *some[0].shape), np.uint8)
            arrays = self._compute(np.concatenate([np.stack(some), filling]), normalise)
            return [[array[n : n + 1] for array in arrays] for n in range(len(some))]

        answers = self._batches.run(images_rgb, compute)
        if outputs is None:
            return answers
        return [[answer[self._place[name]] for name in outputs] for answer in answers]

    def _compute(self, images_rgb: np.ndarray, normalise: Normaliser) -> list[np.ndarray]:
        """(N, H, W, 3) uint8 -> all outputs. The pixels travel to the device as they are, 8 bits each."""
        import torch

        with torch.inference_mode(), one_thread(), _exact(self._device):
            pixels = torch.from_numpy(images_rgb).to(self._device).permute(0, 3, 1, 2).float()
            if normalise.bgr:
                pixels = pixels.flip(1)
            mean, std = (
                torch.tensor(values, device=self._device).view(1, 3, 1, 1)
                for values in (normalise.mean, normalise.std)
            )
            return [tensor.cpu().numpy() for tensor in self._module((pixels - mean) / std)]


def missing_package() -> str | None:
    """Why there are no networks of face-alignment here, and what mends it; None where there are."""
    if find_spec("face_alignment") is None:
        return f"face-alignment is not installed: `{INSTALL}`"
    return None


def load_module(path: Path, make: Callable[[], nn.Module], what: str) -> nn.Module:
    """A network with the weights of a file. WeightsError in one line if they are none of it.

    Files are loaded without running code that they may hold; one that needs that is refused.
    """
    reason = missing_package()
    if reason is not None:
        raise WeightsError(reason)
    module = make()
    try:
        module.load_state_dict(_state_of(_read(path)))
    except (RuntimeError, AttributeError, TypeError) as error:  # other names, shapes, or no table of tensors
        raise WeightsError(f"{path} holds other weights than those of {what}") from error
    return module


def _read(path: Path) -> Any:
    import pickle

    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} holds more than weights, or is no file of torch: not loaded") from error
    except (RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{path} is damaged, or no file of torch") from error


def _state_of(content: Any) -> dict[str, Tensor]:
    """The table of tensors in a checkpoint, without the prefix that training on several GPUs leaves."""
    table = content.get("state_dict", content)
    return {name.removeprefix("module."): tensor for name, tensor in table.items()}


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread inside the block only: training in the same process keeps its own number."""
    import torch

    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


@contextmanager
def _exact(device: Device) -> Iterator[None]:
    """Full float32 and one way of computing on a GPU, inside the block only."""
    import torch

    if device == CPU:
        yield
        return
    with torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
        yield
