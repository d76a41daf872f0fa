"""What a model learns of its training pictures before the first step: the vocabulary of its descriptors.

The pictures are training samples as they are, without changes, and no others. One process finds the words,
and all get them; from then on they are part of the weights.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from videofer.data.dataset import SampleDataset
from videofer.models.face import FaceModel
from videofer.models.model import EmotionModel
from videofer.recipe import Recipe
from videofer.training.log import LOGGER
from videofer.training.place import Place
from videofer.training.split import TrainingError

MAX_PICTURES = 10_000
"""Drawn where there are more: their some 200,000 points tell as much."""


def fit_vocabulary(model: EmotionModel, train: SampleDataset, place: Place, recipe: Recipe) -> None:
    """Sets the model's vocabulary, if it has one that did not come with a trunk. A collective call.

    TrainingError, in all processes, where the pictures have too few points.
    """
    face = model.face
    if face is None or face.vocabulary is None or recipe.training.init_from is not None:
        return
    began = time.monotonic()
    reason = _fit(face, train) if place.is_first else None
    has_failed = place.sum(torch.tensor(float(reason is not None), device=place.device))
    if has_failed:
        raise TrainingError(f"the words of SIFT cannot be found: {reason or 'see the first process'}")
    words = face.vocabulary
    if not place.is_first:
        words.zero_()
    words.copy_(place.sum(words))
    LOGGER.info(f"{len(words)} words of SIFT found in training pictures, {time.monotonic() - began:.0f} s")


def _fit(face: FaceModel, train: SampleDataset) -> str | None:
    """Fits on this process's own; why not, where it is not possible."""
    try:
        face.fit_on(_frames(train).to(face.mean.device), train.seed)
    except ValueError as error:
        return str(error)
    return None


def _frames(train: SampleDataset) -> Tensor:
    """The first frame that is there of training samples, (N, 1, S, S, 3) uint8; drawn by the data's seed."""
    count = len(train.examples)
    chosen = np.random.default_rng([train.seed, 0x51F7]).permutation(count)[:MAX_PICTURES]
    samples = (train[int(place)] for place in chosen)
    return torch.from_numpy(np.concatenate([one["frames"][one["clip_mask"]][:1, :1] for one in samples]))
