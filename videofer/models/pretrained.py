"""Weights of a ResNet-18 from elsewhere, by torchvision's names, for a trunk's `load_resnet18`.

A pickle can run any code when it is opened. A .pth file is one, so it is opened by torch's restricted reader,
which knows tensors and plain containers and refuses everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cache.errors import UserError
from preprocessing.weights import REGISTRY, find, missing
from preprocessing.weights.check import check
from preprocessing.weights.download import fetch
from preprocessing.weights.locate import download_dir, offline

IMAGENET = "imagenet"
SUFFIXES = (".safetensors", ".pth", ".pt")


def resnet18_weights(source: str) -> dict[str, Tensor]:
    """Weights by name, on the CPU.

    source: "imagenet" for torchvision's ResNet-18, downloaded once (never where $VIDEOFER_OFFLINE is set),
    or a .safetensors, .pth or .pt file. Raises UserError.
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
    """From a folder of weights or torch's own cache; else downloaded as every other file of weights is."""
    weight = REGISTRY.find("resnet18-imagenet")
    assert weight is not None
    cached = Path(torch.hub.get_dir()) / "checkpoints" / weight.file
    path = find(weight.name, download=False)
    if path is None and cached.is_file():
        check(cached, weight)
        path = cached
    if path is None:
        if offline():
            raise UserError(
                f"{missing(weight.name)}; or name another file there, or null for none "
                "($VIDEOFER_OFFLINE forbids downloading)"
            )
        path = fetch(weight, download_dir())
    return _read_pickle(path)


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
