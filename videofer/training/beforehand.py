"""What a model learns of its training samples before the first step, by looking and not by steps.

- the vocabulary of a trunk with SIFT: words that its pictures are described by;
- the scaler of a posture network: from where to where each joint moves.

The samples are of the training part alone, as they are, without changes: neither validation nor test are
ever looked at, and each fold of a cross-validation finds its own. One process looks, and all get what it
found; from then on it belongs to the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from videofer.data.dataset import SampleDataset, collate
from videofer.models.body import BodyModel
from videofer.models.model import EmotionModel
from videofer.models.posture import PostureNet
from videofer.recipe import Recipe
from videofer.training.log import LOGGER
from videofer.training.place import Place
from videofer.training.split import TrainingError

MAX_PICTURES = 10_000
"""Drawn where there are more: their some 200,000 points tell as much."""
MAX_BODIES = 2_000
"""Samples, drawn where there are more: of many videos or of all their windows."""


def fit_beforehand(model: EmotionModel, train: SampleDataset, place: Place, recipe: Recipe) -> None:
    """Finds what the model learns before the first step, if it does. A collective call.

    A vocabulary that comes with another run's trunk stays. TrainingError, in all processes, where the samples
    tell too little.
    """
    face, body = model.face, model.body
    if face is not None and face.vocabulary is not None and recipe.training.init_from is None:
        words = face.vocabulary
        _share(
            lambda: face.fit_on(_frames(train).to(face.mean.device), train.seed),
            [words],
            place,
            wrong="the words of SIFT cannot be found",
            done=f"{len(words)} words of SIFT found in training pictures",
        )
    if body is not None and isinstance(body.network, PostureNet):
        network = body.network
        _share(
            lambda: _fit_scaler(body, network, train, recipe.data.eval_windows),
            [network.low, network.scale],
            place,
            wrong="the scale of the joints cannot be found",
            done=f"scale of {network.num_joints} joints found in training samples",
        )


def _share(fit: Callable[[], None], found: Sequence[Tensor], place: Place, *, wrong: str, done: str) -> None:
    """Calls fit, which changes the tensors `found`, in the first process; the others get them from it."""
    began = time.monotonic()
    reason = None
    if place.is_first:
        try:
            fit()
        except ValueError as error:
            reason = str(error)
    has_failed = place.sum(torch.tensor(float(reason is not None), device=place.device))
    if has_failed:
        raise TrainingError(f"{wrong}: {reason or 'see the first process'}")
    for tensor in found:
        if not place.is_first:
            tensor.zero_()
        tensor.copy_(place.sum(tensor))
    LOGGER.info(f"{done}, {time.monotonic() - began:.0f} s")


def _frames(train: SampleDataset) -> Tensor:
    """The first frame that is there of training samples, (N, 1, S, S, 3) uint8; drawn by the data's seed."""
    count = len(train.examples)
    chosen = np.random.default_rng([train.seed, 0x51F7]).permutation(count)[:MAX_PICTURES]
    samples = (train[int(place)] for place in chosen)
    return torch.from_numpy(np.concatenate([one["frames"][one["clip_mask"]][:1, :1] for one in samples]))


def _fit_scaler(body: BodyModel, network: PostureNet, train: SampleDataset, windows: int) -> None:
    """On the training intervals' bodies. windows: of each, evenly spaced."""
    spec = replace(train.spec, use_face=False, use_landmarks=False)
    bodies = SampleDataset(train.reader, train.examples, spec, training=False, windows=windows)
    count = len(bodies)
    chosen = np.random.default_rng([train.seed, 0x905E]).permutation(count)[:MAX_BODIES]
    samples = [one for one in (bodies[int(place)] for place in chosen) if one["body_mask"]]
    if not samples:
        raise ValueError("no training interval shows a body")
    keypoints = collate(samples)["keypoints"].to(network.low.device)
    network.fit_on(*body.places(keypoints))
