"""Weights of a ResNet-18 from elsewhere, by torchvision's names, for a trunk's `load_resnet18`.

A pickle can run any code when it is opened. A .pth file is one, so it is opened by torch's restricted reader,
which knows tensors and plain containers and refuses everything else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cache.errors import UserError

IMAGENET = "imagenet"
SUFFIXES = (".safetensors", ".pth", ".pt")


def resnet18_weights(source: str) -> dict[str, Tensor]:
    """Weights by name, on the CPU.

    source: "imagenet" for torchvision's ResNet-18, downloaded once into torch's cache (never where
    $VIDEOFER_OFFLINE is set), or a .safetensors, .pth or .pt file. Raises UserError.
    """
    if source == IMAGENET:
        return _imagenet()
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise UserError(f"pretrained must be {IMAGENET!r} or a file {', '.join(SUFFIXES)}, not {source!r}")
    if not path.is_file():
        raise UserError(f"there is no file {path} with pretrained weights")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _imagenet() -> dict[str, Tensor]:
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if not cached.is_file() and os.environ.get("VIDEOFER_OFFLINE", "0") not in ("", "0"):
        raise UserError(
            f"pretrained {IMAGENET!r} is not at {cached}, and $VIDEOFER_OFFLINE forbids downloading: "
            "give a file by training.pretrained_trunk, or null for none"
        )
    try:
        content = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True, map_location="cpu"
        )
    except Exception as error:  # of the download or, as below, of the file
        raise UserError(
            f"pretrained {IMAGENET!r} could not be had from {weights.url} or {cached}: {_line(error)}"
        ) from error
    return _tensors(content, cached)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a safetensors file: {_line(error)}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever the damaged bytes lead it to
        raise UserError(f"{path} holds more than weights, or is damaged, and is not opened") from error
    return _tensors(content, path)


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, which may stand under `state_dict` as many training programs write it."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path} does not hold a state dict, which is names and tensors")
    return dict(content)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
