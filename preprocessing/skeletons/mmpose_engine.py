"""Skeletons by mmpose: any of its top-down configs, through its public API. `make mmpose` installs it.

On the command line: `mmpose:CONFIG[,CHECKPOINT[,PERSON.onnx]]`. CONFIG is a path, or the name of a config
that comes with mmpose; CHECKPOINT a path, or a file in a folder of weights. Without one it is the file that
mmpose publishes for its config. PERSON finds the boxes, as for `onnx:`; without it a picture is one person.

mmpose's own test pipeline cuts persons out of the whole picture. Here the crop is made from the frame, of
which only its pixels are converted, onto the very pixels that mmpose's affine step gives. The rest of its
pipeline, its preprocessor, network, flip test and decoding run as they are.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from preprocessing.network import HERE, Place
from preprocessing.skeletons.mmpose_config import (
    TopDownConfig,
    locate_config,
    published_checkpoint,
    read_config,
)
from preprocessing.skeletons.mmpose_network import AS_IS, MmposeModel
from preprocessing.types import Frame
from preprocessing.weights import EngineChoice, WeightFile, WeightsError, find, named, sha256_of
from preprocessing.weights.order import from_address

logger = logging.getLogger(__name__)

FORM = "mmpose:CONFIG[,CHECKPOINT[,PERSON.onnx]]"
RANDOM = "random"
"""Named as the checkpoint: the network as it is before any training. Its joints are noise."""


def usable() -> str | None:
    """None where mmpose is installed with all that it needs; else one line that says what is missing."""
    for name in ("mmpose", "mmdet", "mmengine", "mmcv", "xtcocotools", "pkg_resources"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # no origin: only a folder of that name lies about
            return f"{name} is not installed: `make mmpose` builds and installs mmpose"
        if name == "mmcv" and not list(Path(spec.origin).parent.glob("_ext*")):
            return "mmcv is installed without its operators: `pip uninstall mmcv`, then `make mmpose`"
    return None


def resolve_mmpose(text: str, weights_dir: Path | None = None) -> EngineChoice:
    """The choice for what follows `mmpose:` on the command line. WeightsError in one line.

    That config, checkpoint and joints belong together is seen when the network is opened.
    """
    lack = usable()
    if lack is not None:
        raise WeightsError(f"mmpose:{text} is not usable: {lack}")
    config_name, *others = (part.strip() for part in text.split(","))
    if not config_name or len(others) > 2 or not all(others):
        raise WeightsError(f"skeleton engine 'mmpose:{text}' is not of the form {FORM}")
    config = locate_config(config_name)
    files = {"config": WeightFile.of(config)}
    name, reason = f"mmpose:{config.stem}", "top-down config of mmpose"
    if others[:1] == [RANDOM]:
        name, reason = f"{name},{RANDOM}", "RANDOM WEIGHTS, as asked for: the joints are noise"
        logger.warning("%s: %s", name, reason)
    else:
        files["checkpoint"] = WeightFile.of(_locate_checkpoint(config, others[:1], weights_dir))
    if others[1:]:
        files["person"] = WeightFile.of(named(others[1], "person model", weights_dir))
    return EngineChoice(name, files, reason)


class MmposePose:
    """A pose model: boxes of one frame in, keypoints out."""

    def __init__(self, choice: EngineChoice, place: Place = HERE) -> None:
        config = choice.weights["config"].checked()
        checkpoint = choice.weights.get("checkpoint")
        self._config = read_config(config)
        self.layout = self._config.layout
        self._network = place.network(
            MmposeModel(config, checkpoint.checked() if checkpoint is not None else None)
        )

    def read(self, frame: Frame, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Keypoints (N, J, 3) float32 in source pixels, of the person in each box (N, 4); scores in [0, 1].

        Zeros for joints of the layout that the config does not find.
        """
        areas = [padded_box(box, self._config) for box in boxes_xyxy]
        crops = [
            frame.aligned_rgb(warp_of(area, self._config), self._config.size_wh, black_outside=True)
            for area in areas
        ]
        keypoints = np.zeros((len(boxes_xyxy), len(self._config.joints), 3), np.float32)
        for row, (points, scores) in enumerate(self._network.run_batch(crops, AS_IS)):
            x0, y0, x1, y1 = areas[row]
            share = points[0] / self._config.size_wh  # (joints, 2) of the padded box
            keypoints[row, :, :2] = (x0, y0) + share * (x1 - x0, y1 - y0)
            keypoints[row, :, 2] = scores[0].clip(0, 1)
        return self._config.to_layout(keypoints)


def padded_box(box_xyxy: np.ndarray, config: TopDownConfig) -> tuple[float, float, float, float]:
    """The box about the same centre, widened to the input's aspect and padded, as mmpose does it."""
    x0, y0, x1, y1 = (float(value) for value in box_xyxy)
    aspect = config.size_wh[0] / config.size_wh[1]
    width, height = max(x1 - x0, 1.0), max(y1 - y0, 1.0)
    half_w = max(width, height * aspect) * config.padding / 2
    half_h = half_w / aspect
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - half_w, y - half_h, x + half_w, y + half_h


def warp_of(area_xyxy: tuple[float, float, float, float], config: TopDownConfig) -> np.ndarray:
    """(2, 3): the padded box onto the input, both with pixel centres at halves.

    mmpose counts pixels by their centres: that of the first pixel lies on the padded box's edge.
    """
    x0, y0, x1, y1 = area_xyxy
    width, height = (side - config.is_udp for side in config.size_wh)
    scale_x, scale_y = width / (x1 - x0), height / (y1 - y0)
    return np.array([[scale_x, 0, 0.5 - scale_x * x0], [0, scale_y, 0.5 - scale_y * y0]])


def _locate_checkpoint(config: Path, given: list[str], weights_dir: Path | None) -> Path:
    """The checkpoint that was named, or else the one that mmpose publishes for its own config."""
    if given:
        return named(given[0], "checkpoint", weights_dir)
    url = published_checkpoint(config)
    if url is None:
        raise WeightsError(
            f"mmpose publishes no weights for {config.name}: name a checkpoint, {FORM}; "
            f"`{RANDOM}` is a network without training, its joints are noise"
        )
    published = from_address(url)
    path = find(published.file, weights_dir, download=False)
    if path is None:
        raise WeightsError(
            f"weights of mmpose:{config.stem} are missing: `videofer weights fetch {url} --accept-license` "
            f"gets them; or put {published.file} into --weights-dir or $VIDEOFER_WEIGHTS"
        )
    if published.sha256 is not None and not sha256_of(path).startswith(published.sha256):
        raise WeightsError(
            f"{path} is not the published file: its SHA-256 does not start with {published.sha256}; remove it"
        )
    return path
