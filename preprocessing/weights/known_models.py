"""Weights that training starts from."""

from __future__ import annotations

from preprocessing.weights.registry import Weight

MODELS = (
    Weight(
        name="resnet18-imagenet",
        file="resnet18-f37072fd.pth",
        purpose="ResNet-18 trained on ImageNet, to start a trunk from",
        engines=("training.pretrained_trunk=imagenet",),
        licence="BSD-3-Clause",
        commercial=True,
        citation="He et al.: Deep residual learning for image recognition. CVPR 2016",
        url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
        sha256="f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        num_bytes=46_830_571,
    ),
)
