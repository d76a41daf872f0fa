"""ResNet-18, frame by frame: the published baseline, and the plan that the other trunks follow.

Pictures of few pixels would be all but gone after its first layers. For them there is the stem that is usual
for CIFAR (He et al., CVPR 2016, section 4.2): one 3x3 convolution that keeps every pixel, and no pooling.

Letters in shapes: N clips, K frames, c channels, h w pixels, F features. Frames are flattened clip-major:
(N*K, c, h, w). Layers carry torchvision's names, so that the weights of a ResNet-18 load as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from einops import reduce
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.layout import PointwiseConv2d, for_convolutions

Stem = Literal["imagenet", "cifar"]


def downsampling(in_channels: int, channels: int, stride: int) -> nn.Module | None:
    """The shortcut of a block that changes the shape; None where the block keeps it."""
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(PointwiseConv2d(in_channels, channels, stride), nn.BatchNorm2d(channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, each frame for itself."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsampling(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(M, c_in, h, w) -> (M, c, h/stride, w/stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return F.relu(y, inplace=True)


class ResNet18Trunk(nn.Module):
    """Clips in, one feature vector a clip out: the mean of its frames' features, which knows no order."""

    def __init__(self, width: int = 64, stem: Stem = "imagenet") -> None:
        super().__init__()
        self.num_features = 8 * width
        self.keeps_pixels = stem == "cifar"
        kernel, stride = (3, 1) if self.keeps_pixels else (7, 2)
        self.conv1 = nn.Conv2d(3, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(width, BasicBlock)
        initialize(self)

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """frames: (N*K, 3, H, W) float, clip-major -> (N, 8*width)."""
        return reduce(self.maps(frames), "(n k) c h w -> n c", "mean", k=num_frames)

    def maps(self, pictures: Tensor) -> Tensor:
        """(M, 3, H, W) -> the last stage's (M, 8*width, H/32, W/32), with the stem for CIFAR H/8, W/8."""
        x = for_convolutions(pictures)
        if self.keeps_pixels:
            x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        else:
            x = stem(x, self.conv1, self.bn1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return x

    def load_resnet18(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of a ResNet-18 (torchvision's names); its `fc` is left out. Raises ValueError."""
        load_by_name(self, state_dict)


def stem(pictures: Tensor, conv: nn.Module, bn: nn.Module) -> Tensor:
    """(M, 3, H, W) -> (M, width, H/4, W/4)."""
    # The activation after pooling: the same numbers and gradients as before it, on a quarter of the pixels.
    return F.relu(F.max_pool2d(bn(conv(pictures)), 3, stride=2, padding=1), inplace=True)


def stages(width: int, block: Callable[[int, int, int], nn.Module]) -> list[nn.ModuleList]:
    """The four stages of two blocks; `block` makes one from channels in, channels out and stride."""
    made, in_channels = [], width
    for channels, stride in ((width, 1), (2 * width, 2), (4 * width, 2), (8 * width, 2)):
        made.append(nn.ModuleList([block(in_channels, channels, stride), block(channels, channels, 1)]))
        in_channels = channels
    return made


def initialize(trunk: nn.Module) -> None:
    """Random weights of the convolutions that keep the variance of the gradient."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def load_by_name(trunk: nn.Module, state_dict: Mapping[str, Tensor], keep: str | None = None) -> None:
    """Copy the values of the same names into `trunk`, but for its own names that contain `keep`.

    Raises ValueError that names the first layer that is missing or has another shape; nothing is copied then.
    """
    own = {
        name: value
        for name, value in trunk.state_dict().items()
        if not name.endswith("num_batches_tracked") and (keep is None or keep not in name)
    }
    for name, value in own.items():
        if name not in state_dict:
            raise ValueError(f"not a ResNet-18: it has no {name}")
        if state_dict[name].shape != value.shape:
            shape = tuple(state_dict[name].shape)
            raise ValueError(f"{name} has shape {shape}, this trunk needs {tuple(value.shape)}")
    for name, value in own.items():
        value.copy_(state_dict[name])
