"""The published SISTCM face model, ported without improvements: the benchmark's reference.

Written here from a description of the published program, not copied from it. It does at every step what that
program does: frames run frame-major, clips are put together and taken apart by loops over frames into buffers
of ones that are made on the CPU, each view is permuted, copied and convolved by itself, all of it in float32
and channels first. What the published program computes and throws away is left out: the third view, and the
attention over views. Where it is wrong it is put right: all K frames are copied, not the first two.

`tools/bench_train.py` times it, and a test holds our trunk to its numbers. Names of layers are the same as in
`videofer.models.sistcm` and `videofer.models.tlstm`, so that weights can be copied by name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PortBlock(nn.Module):
    """One residual block on frames (K*N, c, h, w), frame-major: all clips' first frames, then all second."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        num_clips, channels, height, width = len(y) // num_frames, y.shape[1], y.shape[2], y.shape[3]
        clips = torch.ones(num_clips, channels, num_frames, height, width).to(y.device)
        for t in range(num_frames):
            clips[:, :, t] = y[t * num_clips : (t + 1) * num_clips]

        a = clips.permute(0, 1, 3, 4, 2).contiguous()
        a = a.reshape(num_clips, channels, height, width * num_frames)
        a = self.relu(self.bn2(self.conv2(a)))
        a = a.reshape(num_clips, channels, height, width, num_frames).permute(0, 1, 4, 2, 3)

        b = clips.permute(0, 1, 4, 3, 2).contiguous()
        b = b.reshape(num_clips, channels, width, height * num_frames)
        b = self.relu(self.bn2(self.conv2(b)))
        b = b.reshape(num_clips, channels, width, height, num_frames).permute(0, 1, 4, 3, 2)

        merged = (a + b).contiguous()
        out = torch.ones(num_frames * num_clips, channels, height, width).to(y.device)
        for t in range(num_frames):
            out[t * num_clips : (t + 1) * num_clips] = merged[:, :, t]
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class PortTrunk(nn.Module):
    """Clips (N, 3, K, H, W) -> (N, 8*width)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.ModuleList([PortBlock(width, width, 1), PortBlock(width, width, 1)])
        self.layer2 = nn.ModuleList([PortBlock(width, 2 * width, 2), PortBlock(2 * width, 2 * width, 1)])
        self.layer3 = nn.ModuleList([PortBlock(2 * width, 4 * width, 2), PortBlock(4 * width, 4 * width, 1)])
        self.layer4 = nn.ModuleList([PortBlock(4 * width, 8 * width, 2), PortBlock(8 * width, 8 * width, 1)])
        self.pool = nn.AdaptiveAvgPool3d(1)

    def forward(self, clips: Tensor) -> Tensor:
        num_clips, _, num_frames, height, width = clips.shape
        frames = clips.permute(2, 0, 1, 3, 4).contiguous().reshape(-1, 3, height, width)  # frame-major
        x = self.maxpool(self.relu(self.bn1(self.conv1(frames))))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x, num_frames)
        pooled = torch.ones(num_clips, x.shape[1], num_frames, x.shape[2], x.shape[3]).to(x.device)
        for t in range(num_frames):
            pooled[:, :, t] = x[t * num_clips : (t + 1) * num_clips]
        return self.pool(pooled).flatten(1)  # type: ignore[no-any-return]


class PortFaceModel(nn.Module):
    """Trunk and two-stream LSTM. Three outputs: mean class probability, logits of both LSTMs."""

    def __init__(self, num_classes: int, width: int = 64, hidden: tuple[int, int] = (1024, 512)) -> None:
        super().__init__()
        self.trunk = PortTrunk(width)
        self.dropout = nn.Dropout(0.5)
        self.clip_head = nn.Linear(8 * width, num_classes)
        self.feature_lstm = nn.LSTM(8 * width, hidden[0], batch_first=True)
        self.feature_head = nn.Linear(hidden[0], num_classes)
        self.emotion_lstm = nn.LSTM(num_classes, hidden[1], batch_first=True)
        self.emotion_head = nn.Linear(hidden[1], num_classes)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """clips (B, C, 3, K, H, W) -> three of (B, n)."""
        num_samples, num_clips = clips.shape[:2]
        features = self.trunk(clips.permute(1, 0, 2, 3, 4, 5).flatten(0, 1))  # clip-major: c*B + b
        features = features.reshape(num_clips, num_samples, -1).permute(1, 0, 2)
        guesses = self.clip_head(self.dropout(features)).softmax(dim=-1)
        emotion, _ = self.emotion_lstm(guesses)
        feature, _ = self.feature_lstm(features)
        return guesses.mean(dim=1), self.emotion_head(emotion[:, -1]), self.feature_head(feature[:, -1])

    def loss(self, clips: Tensor, label: Tensor) -> Tensor:
        """The published sum of three cross-entropies; the first one takes a second softmax."""
        return torch.stack([nn.functional.cross_entropy(output, label) for output in self(clips)]).sum()
