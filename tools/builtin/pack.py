"""A run becomes the built-in model: its folder with weights in half precision, name and version.

Weights of convolutions and layers are halved, single numbers a channel (normalisation, biases) stay as they
are: there are few, and running variances may be tiny.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from videofer.builtin import BUILTIN
from videofer.checkpoint import RELEASE, WEIGHTS, json_text, load_checkpoint, read_json

MAX_BYTES = 12_000_000
NOTICE = Path(__file__).with_name("notice.md")
COPIED = ("recipe.yaml", "contract.json", "labels.json", "calibration.json")
KEPT_METRICS = ("num_epochs", "kept_epoch", "num_train", "num_val", "seconds", "threads", "validation")


def pack(run: Path, out: Path, version: str) -> None:
    """Writes the folder without its card. ValueError where the run is no model for it."""
    model = load_checkpoint(run)
    spec = model.spec
    if (spec.num_clips, spec.num_frames, spec.use_body) != (1, 1, False):
        raise ValueError(f"{run} is no model of single frames of a face, as the built-in one is")
    out.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(run / name, out / name)
    (out / WEIGHTS).write_bytes(save(halved(load_file(run / WEIGHTS))))
    (out / "metrics.json").write_text(compact(packed_metrics(read_json(run / "metrics.json"))), "utf-8")
    (out / RELEASE).write_text(json_text({"name": BUILTIN, "version": version}), "utf-8")
    shutil.copyfile(NOTICE, out / "NOTICE.md")
    (out / "README.md").write_text("", "utf-8")  # the card comes when all is measured
    size = sum(path.stat().st_size for path in out.iterdir())
    if size > MAX_BYTES:
        raise ValueError(f"the folder has {size / 1e6:.1f} MB, at most {MAX_BYTES / 1e6:.0f} are shipped")


def halved(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of two axes and more as float16. ValueError where one has values beyond its range."""
    found = {}
    for name, tensor in weights.items():
        found[name] = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        if not torch.isfinite(found[name]).all():
            raise ValueError(f"{name} has values beyond those of half precision")
    return {name: tensor.contiguous() for name, tensor in found.items()}


def packed_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Without the course of training; the pictures trained on stay, by which evaluation refuses them.

    Subjects of a data set without subjects are the pictures themselves, and would say so twice.
    """
    keys = metrics["used"]["keys"]
    return {
        **{name: metrics[name] for name in KEPT_METRICS if name in metrics},
        "used": {"keys": keys, "subjects": {name: [] for name in keys}},
    }


def compact(values: Any) -> str:
    """JSON with a picture's key a line: as small as it can be while differences can be read."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",\n", ":")) + "\n"
