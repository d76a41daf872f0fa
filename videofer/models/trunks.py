"""The trunks of a face model: which one a configuration means, and what it may ask of it.

A trunk is a module with `num_features`, F, and `forward(frames, num_frames)` that takes (N*K, 3, H, W) float
frames, those of a clip one after another, and returns (N, F).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from videofer.models import arm, cnn
from videofer.models.arm import ARMTrunk
from videofer.models.cnn import CNNTrunk
from videofer.models.descriptors import Descriptor, DescriptorBranch
from videofer.models.resnet import ResNet18Trunk
from videofer.models.sistcm import SISTCMTrunk
from videofer.models.tiled import TiledTrunk
from videofer.models.vgg import VGG19Trunk

if TYPE_CHECKING:
    from videofer.models.face import FaceConfig

Trunk = Literal["sistcm", "resnet18", "tiled", "cnn", "vgg", "vgg19", "arm"]

PLANS = {"cnn": cnn.CNN, "vgg": cnn.VGG}
WITH_STEM = ("resnet18", "arm")

AnyTrunk = SISTCMTrunk | ResNet18Trunk | TiledTrunk | CNNTrunk | VGG19Trunk | ARMTrunk
LikeResNet18 = SISTCMTrunk | ResNet18Trunk | TiledTrunk | ARMTrunk
"""Those that take the weights of a ResNet-18."""


def make_trunk(config: FaceConfig) -> AnyTrunk:
    """With random weights."""
    width = config.width
    match config.trunk:
        case "sistcm":
            return SISTCMTrunk(width, config.view_merge, config.spatial_view)
        case "resnet18":
            return ResNet18Trunk(width, config.stem)
        case "tiled":
            return TiledTrunk(width, config.end_kernel)
        case "cnn" | "vgg":
            return CNNTrunk(PLANS[config.trunk], width, config.input_size, _branch(config))
        case "vgg19":
            return VGG19Trunk(width)
        case "arm":
            return ARMTrunk(width, config.input_size, config.stem)


def _branch(config: FaceConfig) -> Callable[[int], DescriptorBranch] | None:
    if config.descriptor == "none":
        return None
    return partial(DescriptorBranch, config.descriptor, mean=config.mean, std=config.std)


def takes_resnet18(config: FaceConfig) -> bool:
    """Whether the trunk has the layers of a ResNet-18, all of them."""
    return config.trunk in ("sistcm", "resnet18", "tiled", "arm") and config.stem == "imagenet"


def check_trunk(config: FaceConfig) -> None:
    """ValueError where the settings do not fit the trunk, or each other."""
    trunk, side = config.trunk, config.input_size
    if trunk not in get_args(Trunk):
        *others, last = get_args(Trunk)
        raise ValueError(f"trunk must be {', '.join(others)} or {last}, not {trunk!r}")
    if config.view_merge not in ("sum", "constants", "attention"):
        raise ValueError(f"view_merge must be sum, constants or attention, not {config.view_merge!r}")
    if trunk != "sistcm" and (config.view_merge != "sum" or config.spatial_view):
        raise ValueError(f"view_merge and spatial_view are for trunk sistcm only, not {trunk}")
    if config.end_kernel != 0 and (config.end_kernel < 0 or config.end_kernel % 2 == 0):
        raise ValueError(f"end_kernel must be odd, or 0 for none, not {config.end_kernel}")
    if trunk != "tiled" and config.end_kernel != 0:
        raise ValueError(f"end_kernel is for trunk tiled only, not {trunk}")
    if config.stem not in ("imagenet", "cifar"):
        raise ValueError(f"stem must be imagenet or cifar, not {config.stem!r}")
    if trunk not in WITH_STEM and config.stem != "imagenet":
        raise ValueError(f"stem {config.stem} is for the trunks {' and '.join(WITH_STEM)} only, not {trunk}")
    if config.descriptor not in get_args(Descriptor):
        raise ValueError(f"descriptor must be none, sift or dense_sift, not {config.descriptor!r}")
    if trunk not in PLANS and config.descriptor != "none":
        raise ValueError(f"descriptor {config.descriptor} is for the trunks cnn and vgg only, not {trunk}")
    if trunk in PLANS and cnn.maps_side(PLANS[trunk], side) < 1:
        raise ValueError(f"input_size {side} is too small for trunk {trunk}: nothing is left of the picture")
    if trunk == "arm" and math.isqrt(config.width) ** 2 != config.width:
        raise ValueError(
            f"trunk arm needs a width that is a square number, like 16 or 64, not {config.width}"
        )
    if trunk == "arm" and arm.maps_side(side, config.stem) < 3:
        raise ValueError(
            f"input_size {side} is too small for trunk arm: the last maps must have a side of at least 3, "
            f"which takes {2 * (8 if config.stem == 'cifar' else 32) + 1} pixels with the stem {config.stem}"
        )
