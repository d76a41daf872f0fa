"""A real config of mmpose whose weights are made by hand: each joint is the brightest spot of one colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from preprocessing.decode.frames import PixelFrame
from preprocessing.skeletons.mmpose_config import quiet

COLOUR_OF_JOINT = np.arange(17) % 3  # red, green, blue, red, ...

CONFIG = """
default_scope = "mmpose"
codec = dict(type="{codec}", input_size=(192, 256), heatmap_size=(48, 64), sigma=2{codec_options})
model = dict(
    type="TopdownPoseEstimator",
    data_preprocessor=dict(
        type="PoseDataPreprocessor", mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True
    ),
    backbone=dict(type="ResNet", depth=18, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)),
    head=dict(
        type="HeatmapHead", in_channels=64, out_channels={joints}, deconv_out_channels=None,
        loss=dict(type="KeypointMSELoss"), decoder=codec,
    ),
    test_cfg=dict(flip_test={flip}, flip_mode="heatmap", shift_heatmap=False),
)
pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=codec["input_size"], use_udp={udp}),
    dict(type="PackPoseInputs"),
]
test_dataloader = dict(
    dataset=dict(
        type="{dataset}", data_root="none", data_mode="topdown", ann_file="none.json", pipeline=pipeline
    )
)
train_dataloader = val_dataloader = test_dataloader
"""


def write_config(
    path: Path, *, udp: bool = False, flip: bool = False, dataset: str = "CocoDataset", joints: int = 17
) -> Path:
    """A top-down config with heatmaps of 48 x 64 cells: every fourth pixel of the input."""
    codec, options = ("UDPHeatmap", "") if udp else ("MSRAHeatmap", ", unbiased=True")
    path.write_text(
        CONFIG.format(codec=codec, codec_options=options, udp=udp, flip=flip, dataset=dataset, joints=joints)
    )
    return path


def write_weights(config: Path, checkpoint: Path, *, meta: dict[str, Any] | None = None) -> Path:
    """Weights with which each joint's heatmap is the brightness, in [0, 1], of that joint's colour."""
    from preprocessing.skeletons.mmpose_network import MmposeNetwork

    state = MmposeNetwork(config, None)._model.state_dict()
    for name, tensor in state.items():
        if name.endswith(("conv1.weight", "conv2.weight", "head.final_layer.weight", "final_layer.bias")):
            tensor.zero_()  # the blocks' ways round the convolutions carry everything
    state["backbone.conv1.weight"][range(3), range(3), 3, 3] = 1  # the pixel in the middle, colour by colour
    for joint, colour in enumerate(np.arange(len(state["head.final_layer.bias"])) % 3):
        state["head.final_layer.weight"][joint, colour] = 1
    torch.save({"state_dict": state, "meta": meta or {}}, checkpoint)
    return checkpoint


def spots(places_xy: np.ndarray, width: int = 640, height: int = 480, sigma: float = 8.0) -> PixelFrame:
    """Black, with a red, a green and a blue blob at these places (3, 2), pixel centres at halves."""
    rows, cols = np.mgrid[:height, :width] + 0.5
    squared = [(cols - x) ** 2 + (rows - y) ** 2 for x, y in places_xy]
    planes = [255 * np.exp(-distance / (2 * sigma**2)) for distance in squared]
    return PixelFrame(np.stack(planes, axis=2).round().astype(np.uint8), 0, 1)


def by_inference_topdown(model: Any, frame: PixelFrame, boxes: np.ndarray) -> np.ndarray:
    """(N, J, 3) by mmpose's own function, which takes whole pictures and counts from pixel centres."""
    from mmpose.apis import inference_topdown

    picture = cv2.cvtColor(frame.rgb_patch(0, 0, frame.width, frame.height), cv2.COLOR_RGB2BGR)
    with quiet():
        found = [sample.pred_instances for sample in inference_topdown(model, picture, boxes - 0.5)]
    places = np.concatenate([one.keypoints for one in found]) + 0.5
    return np.concatenate([places, np.stack([one.keypoint_scores[0] for one in found])[..., None]], axis=2)
