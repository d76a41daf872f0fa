"""The network of a mmpose config as `preprocessing.network` wants one: pictures of persons in, joints out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.batches import Batches
from preprocessing.blob import Normaliser
from preprocessing.device import CPU, Device, require_device
from preprocessing.network import Answer, Port, run_one
from preprocessing.skeletons.mmpose_checkpoint import load_checkpoint, put_weights
from preprocessing.skeletons.mmpose_config import (
    dataset_meta,
    first_line,
    joint_names,
    load_config,
    quiet,
    read_config,
    test_transforms,
)
from preprocessing.torch_network import one_thread
from preprocessing.weights import WeightsError

RANDOM_SEED = 0  # of a network without a checkpoint: the same noise in every worker
BATCH = 16  # persons that pass together on a GPU
AS_IS = Normaliser()
"""mmpose's own preprocessor normalises: the network takes 8-bit pictures."""


@dataclass(frozen=True)
class MmposeModel:
    """Opens the network of a config. Fulfils `preprocessing.network.OpensNetwork`."""

    config: Path
    checkpoint: Path | None  # None: random weights

    def __call__(self, device: Device) -> MmposeNetwork:
        """See `OpensNetwork`."""
        return MmposeNetwork(self.config, self.checkpoint, device)

    def __str__(self) -> str:
        return self.config.stem


class MmposeNetwork:
    """A config's network with its preprocessor, flip test and decoding. Fulfils `Network`.

    In: (H, W, 3) uint8 RGB, a person cut out as mmpose's affine step does. Out: `keypoints` (1, joints, 2)
    float32, where (0, 0) and (W, H) are the corners of the padded box, and `scores` (1, joints) float32.

    On the CPU persons pass one by one, on one thread: a batch is no faster there. On a GPU they pass in
    batches of one size, filled up with black: see `preprocessing.batches`.
    """

    def __init__(
        self, config_path: Path, checkpoint: Path | None, device: Device = CPU, batch: int | None = None
    ) -> None:
        """checkpoint: None for random weights. batch: persons that pass together, by default as said above.

        WeightsError in one line where config and checkpoint make no network of single persons.
        """
        self._device = require_device(device)
        self._batches = Batches(batch or (1 if self._device == CPU else BATCH))
        facts = read_config(config_path)
        self._size_wh, joints = facts.size_wh, facts.joints
        config = load_config(config_path)
        self._meta = dataset_meta(config)
        assert self._meta is not None, "read_config has seen it"
        self._model = _build(config, config_path)
        if checkpoint is not None:
            put_weights(self._model, load_checkpoint(checkpoint), checkpoint, joint_names(self._meta))
        self._model.to(self._device)
        steps = test_transforms(config)
        place = [type(step).__name__ for step in steps].index("TopdownAffine")
        self._steps_after_affine = steps[place + 1 :]

        width, height = self._size_wh
        self.inputs = [Port("image", ("N", 3, height, width))]
        self.outputs = [Port("keypoints", ("N", len(joints), 2)), Port("scores", ("N", len(joints)))]
        try:
            points, _ = run_one(self, np.zeros((height, width, 3), np.uint8), AS_IS)
        except Exception as error:  # the network of a config that does not fit itself fails in any way
            raise WeightsError(f"{config_path.name} does not run: {first_line(error)}") from error
        if points.shape != (1, len(joints), 2):
            raise WeightsError(
                f"{config_path.name} is no config for single persons in single pictures: "
                f"it makes {list(points.shape)}, its data set has {len(joints)} joints"
            )

    def run_batch(
        self, images_rgb: Sequence[np.ndarray], normalise: Normaliser, outputs: Sequence[str] | None = None
    ) -> list[Answer]:
        """See `Network.run_batch`."""
        assert normalise == AS_IS, "mmpose's own preprocessor normalises"
        height, width = self._size_wh[::-1]

        def compute(some: Sequence[np.ndarray], size: int) -> list[Answer]:
            filling = [np.zeros((height, width, 3), np.uint8)] * (size - len(some))
            return self._infer([*some, *filling])[: len(some)]

        answers = self._batches.run(images_rgb, compute)
        order = [port.name for port in self.outputs]
        return [[answer[order.index(name)] for name in outputs or order] for answer in answers]

    def _infer(self, images_rgb: Sequence[np.ndarray]) -> list[Answer]:
        import torch
        from mmengine.dataset import pseudo_collate

        with quiet(), torch.inference_mode(), one_thread():
            batch = pseudo_collate([self._pack(image) for image in images_rgb])
            samples = self._model.test_step(batch)
        found = [sample.pred_instances for sample in samples]
        return [[_array(one.keypoints)[:1, :, :2], _array(one.keypoint_scores)[:1]] for one in found]

    def _pack(self, image_rgb: np.ndarray) -> Any:
        """What the rest of mmpose's pipeline makes of a crop, as if its affine step had made it."""
        size = np.array(self._size_wh, np.float32)
        results: Any = {
            **(self._meta or {}),
            "img": np.ascontiguousarray(image_rgb[..., ::-1]),
            "ori_shape": image_rgb.shape[:2],
            "img_shape": image_rgb.shape[:2],
            "input_size": self._size_wh,
            "input_center": size / 2,
            "input_scale": size,
            "bbox": np.array([[0, 0, *size]], np.float32),
            "bbox_score": np.ones(1, np.float32),
        }
        for step in self._steps_after_affine:
            results = step(results)
        return results


def _build(config: Any, path: Path) -> Any:
    """The model with random weights that are the same every time."""
    import torch

    with quiet(), torch.random.fork_rng(devices=[]):
        from mmpose.apis import init_model

        torch.manual_seed(RANDOM_SEED)
        try:
            return init_model(config, device=CPU)
        except Exception as error:  # what a config asks for may be missing in any way
            raise WeightsError(
                f"mmpose cannot build the network of {path.name}: {first_line(error)}"
            ) from error


def _array(values: Any) -> np.ndarray:
    """mmpose's decoders give arrays, some of its heads tensors."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values, np.float32)
