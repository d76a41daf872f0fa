"""VGG19 with batch normalisation, frame by frame (Simonyan and Zisserman, ICLR 2015; configuration E).

Small pictures leave little after five poolings: 48 pixels one, 112 pixels 3x3. Their mean goes to one linear
layer in place of VGG's three, which hold most of its weights. The convolutions have no bias, as the
normalisation behind each would take it out again.

Letters in shapes: N clips, K frames, c channels, h w pixels. Frames are flattened clip-major: (N*K, c, h, w).
"""

from __future__ import annotations

from einops import reduce
from torch import Tensor, nn
from torch.nn import functional as F

from videofer.models.layout import for_convolutions
from videofer.models.resnet import initialize

STAGES = ((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))
"""Channels, in multiples of the width, and number of convolutions; each stage ends with a pooling."""


class VGG19Trunk(nn.Module):
    """Clips in, one feature vector a clip out: the mean of its frames' features, which knows no order."""

    def __init__(self, width: int = 64) -> None:
        """width: channels of the first stage; 64 is VGG19."""
        super().__init__()
        self.num_features = 8 * width
        self.stages = nn.ModuleList()
        in_channels = 3
        for factor, num_convolutions in STAGES:
            channels = factor * width
            layers: list[nn.Module] = []
            for _ in range(num_convolutions):
                layers.append(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False))
                layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                in_channels = channels
            self.stages.append(nn.Sequential(*layers))
        initialize(self)

    def forward(self, frames: Tensor, num_frames: int) -> Tensor:
        """frames: (N*K, 3, H, W) float, clip-major, H and W at least 32 -> (N, 8*width)."""
        x = for_convolutions(frames)
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)
        return reduce(x, "(n k) c h w -> n c", "mean", k=num_frames)
