"""Test-time augmentation: a model sees each window several times, a little changed; answers are averaged.

    mirror    the window as it is, and mirrored: face and body
    shifts    both of them also with the face moved into each corner by SHIFT of its side (of 48 pixels: by 2,
              the ten crops of 44 pixels that are common for FER2013)

It costs as many times the work as there are views, so figures with it are given beside those without and
never in their place. The temperature is that of single views: a mean of several is less sure.

Letters in shapes: B samples, C clips, K frames, S side in pixels, L instants, J joints, n classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from preprocessing.skeletons.layouts import mirror_order
from videofer.checkpoint import TrainedModel
from videofer.data.dataset import SampleDataset
from videofer.data.examples import Example, TrackReader
from videofer.evaluation.calibration import HEADS, IDENTITY
from videofer.evaluation.predict import Batch, run_outputs
from videofer.evaluation.table import EvaluationError, tta_columns

Views = Literal["mirror", "shifts"]
SHIFT = 0.04
WORDS: dict[Views, str] = {
    "mirror": "2 views: as it is, mirrored",
    "shifts": "10 views: as it is and moved into 4 corners, each also mirrored",
}

View = Callable[[Batch], Batch]


def predict_views(
    loaded: TrainedModel, reader: TrackReader, examples: Sequence[Example], views: Views
) -> dict[str, np.ndarray]:
    """Columns of the prediction table: each head's probabilities (N,) with test-time augmentation.

    EvaluationError where the views are not known, or cannot be made of the model's input.
    """
    changes = make_views(loaded, views)
    dataset = SampleDataset(
        reader, examples, loaded.spec, training=False, windows=loaded.recipe.data.eval_windows
    )
    windows = run_outputs(partial(averaged, loaded, changes), dataset)
    intervals = windows.intervals(IDENTITY, len(examples))
    return {
        name: intervals.probs[head][:, place]
        for head in loaded.heads
        for place, name in enumerate(tta_columns(head, loaded.labels))
    }


def averaged(loaded: TrainedModel, changes: Sequence[View], batch: Batch) -> dict[str, Tensor]:
    """A batch's log-probabilities (B, n) as `complete` gives them, calibrated and averaged over its views."""
    parts, has = [], {}
    with torch.inference_mode():
        for change in changes:
            outputs = loaded.outputs(change(batch))
            has = {name: outputs[name] for name in ("has_face", "has_body")}
            parts.append(loaded.calibration.apply(outputs))
        mean = {
            head: torch.stack([part[head] for part in parts]).logsumexp(dim=0) - math.log(len(parts))
            for head in HEADS
        }
    return {**mean, **has}


def make_views(loaded: TrainedModel, views: Views) -> list[View]:
    """What is done to a batch for each view; the first one changes nothing."""
    if views not in get_args(Views):
        raise EvaluationError(f"views must be {' or '.join(get_args(Views))}, not {views!r}")
    mirror = None
    if loaded.spec.use_body:
        order = mirror_order(str(loaded.contract["skeleton"]))
        if order is None:
            raise EvaluationError(
                f"mirroring the skeletons of {loaded.path} ({loaded.contract['skeleton']}) is not known: it "
                "can only be evaluated without test-time augmentation"
            )
        mirror = torch.tensor(order)
    corners = [(0, 0)] if views == "mirror" else [(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    return [
        partial(changed, down=down, right=right, mirrored=mirrored, mirror=mirror)
        for down, right in corners
        for mirrored in (False, True)
    ]


def changed(batch: Batch, *, down: int, right: int, mirrored: bool, mirror: Tensor | None) -> Batch:
    """The batch moved by SHIFT in the given direction (-1, 0 or 1), then mirrored.

    frames (B, C, K, S, S, 3); beyond the edge it repeats. keypoints (B, L, J, 3) are mirrored within the
    sample's own bounds and not moved: positions in a picture mean nothing to the body's model.
    """
    new: dict[str, Tensor] = dict(batch)
    if "frames" in batch:
        frames = batch["frames"]
        side = frames.shape[3]
        step, at = max(1, round(SHIFT * side)), torch.arange(side)
        rows = (at - down * step).clamp(0, side - 1)
        columns = (at - right * step).clamp(0, side - 1)
        columns = columns.flip(0) if mirrored else columns
        new["frames"] = frames[:, :, :, rows][:, :, :, :, columns]
    if "keypoints" in batch and mirrored and mirror is not None:
        new["keypoints"] = _mirrored(batch["keypoints"], mirror)
    return new


def _mirrored(keypoints: Tensor, mirror: Tensor) -> Tensor:
    """(B, L, J, 3) x, y, score; what is not seen stays zero."""
    x, unseen = keypoints[..., 0], keypoints[..., 2] <= 0
    low = x.masked_fill(unseen, math.inf).amin(dim=(1, 2), keepdim=True)
    high = x.masked_fill(unseen, -math.inf).amax(dim=(1, 2), keepdim=True)
    flipped = torch.cat([(low + high - x)[..., None], keypoints[..., 1:]], dim=-1)
    return flipped.masked_fill(unseen[..., None], 0.0)[:, :, mirror]
