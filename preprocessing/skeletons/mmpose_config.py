"""Configs of mmpose: where they lie, what they say of their input and joints, and their published weights.

A config is a Python program that mmpose runs: name only configs that you trust.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from preprocessing.skeletons.layouts import COCO17, LAYOUTS, Layout, mapping
from preprocessing.weights import WeightsError

LIMBS = tuple(
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
"""What a skeleton must have to be a body: hands, faces, animals and clothes have other joints."""


@dataclass(frozen=True)
class TopDownConfig:
    """What a top-down config says of the pictures that go in and of the joints that come out."""

    size_wh: tuple[int, int]  # of the input, pixels
    padding: float  # the padded box is so many times the person's
    is_udp: bool  # the outermost pixels' centres, not their edges, lie on the edges of the padded box
    joints: tuple[str, ...]  # as its data set names them

    @property
    def layout(self) -> Layout:
        """The layout in which its joints are stored: one of ours, or COCO-17 for other bodies."""
        return next((layout for layout in LAYOUTS.values() if layout.joints == self.joints), COCO17)

    def to_layout(self, keypoints: np.ndarray) -> np.ndarray:
        """(N, joints, 3) as the network has them -> (N, J, 3) of `layout`; zeros where one is absent."""
        if self.joints == self.layout.joints:
            return keypoints
        own = Layout("mmpose", self.joints, anatomy=self.joints, bones=(), head=(), core=())
        return np.asarray(np.nan_to_num(mapping(own, self.layout)(keypoints)))


def locate_config(name: str) -> Path:
    """The file of a config: a path, or the name of one that comes with mmpose. WeightsError if neither."""
    path = Path(name).expanduser()
    if path.suffix == ".py" and path.is_file():
        return path
    known = {file.stem: file for file in _packaged_configs()}
    stem = name.removesuffix(".py")
    if stem in known:
        return known[stem]
    close = difflib.get_close_matches(stem, known, n=3, cutoff=0.4)
    hint = f"; close to it: {', '.join(close)}" if close else ""
    raise WeightsError(f"no such config of mmpose, neither a file nor one of its {len(known)}: {name}{hint}")


def published_checkpoint(config: Path) -> str | None:
    """Address of the weights that mmpose publishes for one of its own configs, None for other configs."""
    import yaml

    for metafile in sorted(config.parent.glob("*.yml")):
        models = yaml.safe_load(metafile.read_text("utf-8")).get("Models", [])
        for model in models:
            if Path(model["Config"]).name == config.name and "Weights" in model:
                return str(model["Weights"])
    return None


def read_config(path: Path) -> TopDownConfig:
    """What a config says. WeightsError where it is none, or not one of single persons in single pictures."""
    try:
        config, transforms, names = _load(path)
    except Exception as error:  # a config is a program: it may fail in any way
        raise WeightsError(f"{path} is no config that mmpose can read: {first_line(error)}") from error
    by_kind = {type(transform).__name__: transform for transform in transforms}
    affine, box = by_kind.get("TopdownAffine"), by_kind.get("GetBBoxCenterScale")
    if affine is None or box is None:
        raise WeightsError(f"{path.name} is no top-down config: its test pipeline cuts out no persons")
    if names is None:
        raise WeightsError(f"{path.name} does not say which joints it finds: its data set has no metainfo")
    model = config["model"]
    kept = (model.get("test_cfg") or {}).get("output_keypoint_indices") or range(len(names))
    joints = tuple(names[index] for index in kept)
    if not set(LIMBS) <= set(joints):
        raise WeightsError(
            f"{path.name} finds no bodies: {len(joints)} joints ({', '.join(joints[:4])}, ...), without "
            f"{next(joint for joint in LIMBS if joint not in joints)}"
        )
    width, height = affine.input_size
    return TopDownConfig((int(width), int(height)), float(box.padding), bool(affine.use_udp), joints)


def first_line(error: Exception) -> str:
    """The first sentence of what an error says."""
    lines = str(error).strip(" \n'\"").splitlines()
    return lines[0].partition(". ")[0].rstrip(".") if lines else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """mmpose and its parts warn of what only their authors can mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_config(path: Path) -> Any:
    """mmengine's Config of a file."""
    with quiet():
        from mmengine.config import Config

        return Config.fromfile(str(path))


def test_transforms(config: Any) -> list[Any]:
    """The steps that a picture passes in testing, built."""
    with quiet():
        import mmpose.datasets  # noqa: F401  # registers its transforms
        from mmengine.dataset import Compose
        from mmengine.registry import init_default_scope

        init_default_scope(config.get("default_scope", "mmpose"))
        return list(Compose(config.test_dataloader.dataset.pipeline).transforms)


def dataset_meta(config: Any) -> dict[str, Any] | None:
    """What a config says of its data set's joints, as mmpose parses it."""
    with quiet():
        from mmpose.apis.inference import dataset_meta_from_config

        for part in ("train", "test"):
            meta: dict[str, Any] | None = dataset_meta_from_config(config, part)
            if meta is not None:
                return meta
    return None


def joint_names(meta: dict[str, Any]) -> tuple[str, ...]:
    """Names of the joints of a data set, in order."""
    return tuple(str(meta["keypoint_id2name"][index]) for index in range(int(meta["num_keypoints"])))


def _load(path: Path) -> tuple[Any, list[Any], tuple[str, ...] | None]:
    config = load_config(path)
    meta = dataset_meta(config)
    return config, test_transforms(config), joint_names(meta) if meta is not None else None


def _packaged_configs() -> list[Path]:
    spec = find_spec("mmpose")
    assert spec is not None, "asked only where mmpose is installed"
    assert spec.origin is not None
    folder = Path(spec.origin).parent / ".mim" / "configs"
    return [path for path in sorted(folder.rglob("*.py")) if "_base_" not in path.parts]
