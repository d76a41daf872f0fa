"""Is an exported model the model? Numbers on real or random samples, and how long both take.

Letters in shapes: B windows, C clips, K frames a clip, S crop side, L instants, J joints.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from cache.errors import UserError
from cache.reader import StoreReader
from videofer.checkpoint import LoadedModel, TrainedModel
from videofer.data.sampling import SampleSpec, plan, read
from videofer.export.model import ExportedModel

TOLERANCE = 1e-4
"""Largest difference of a probability at which an export counts as the model."""
NUM_WINDOWS = 16
_BATCH = 8
_SECONDS_A_TIMING = 0.2
_MIN_RUNS = 5

Batch = dict[str, Tensor]


class ExportError(UserError, ValueError):
    """A model cannot be exported so. The message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far an exported model is from the eager one, over all windows and heads."""

    num_windows: int
    features: float | None  # largest difference of a clip's features; None without a face
    largest_feature: float | None  # to which that compares
    probabilities: float  # largest difference of a probability, calibrated or not
    same_label: float  # share of the windows and heads where both find the same class likeliest


def compare(eager: LoadedModel, exported: ExportedModel, batches: Sequence[Batch]) -> Agreement:
    """Runs both on the same windows."""
    features, sizes, probabilities, same = [], [], [], []
    for batch in batches:
        if eager.spec.use_face:
            clips = rearrange(batch["frames"], "b c ... -> (b c) ...")
            ours = eager.clip_features(clips)
            features.append(_largest_difference(ours, exported.clip_features(clips)))
            sizes.append(float(ours.abs().max()))
        raw, found = eager.outputs(batch), exported.answers(batch)
        calibrated = eager.predict(batch)
        for head in eager.heads:
            probabilities.append(_largest_difference(raw[head].exp(), found[f"log_{head}"].exp()))
            probabilities.append(_largest_difference(calibrated[head], found[f"p_{head}"]))
            same.append(calibrated[head].argmax(dim=1) == found[f"p_{head}"].argmax(dim=1))
    return Agreement(
        num_windows=sum(len(next(iter(batch.values()))) for batch in batches),
        features=max(features, default=None),
        largest_feature=max(sizes, default=None),
        probabilities=max(probabilities),
        same_label=float(torch.cat(same).double().mean()),
    )


def _largest_difference(a: Tensor, b: Tensor) -> float:
    """Infinite where one is not a number."""
    return float((a.double().cpu() - b.double().cpu()).abs().nan_to_num(nan=torch.inf).max())


def random_batch(spec: SampleSpec, num_windows: int, seed: int = 0, *, all_there: bool = False) -> Batch:
    """Windows of noise, each clip of another colour. Of the last one all is missing, unless `all_there`."""
    rng = torch.Generator().manual_seed(seed)
    batch: Batch = {}
    if spec.use_face:
        shape = (num_windows, spec.num_clips, spec.num_frames, spec.input_size, spec.input_size, 3)
        colours = torch.randint(0, 256, (*shape[:2], 1, 1, 1, 3), generator=rng)
        noise = torch.randint(-60, 61, shape, generator=rng)
        batch["frames"] = (colours + noise).clamp(0, 255).to(torch.uint8)
        batch["clip_mask"] = torch.rand(num_windows, spec.num_clips, generator=rng) < 0.7
    if spec.use_body:
        keypoints = torch.rand(num_windows, spec.body_length, spec.num_joints, 3, generator=rng)
        keypoints[..., :2] *= 300
        batch["keypoints"] = keypoints
        batch["body_mask"] = torch.rand(num_windows, generator=rng) < 0.7
    for name in ("clip_mask", "body_mask"):
        if name in batch:
            batch[name][:1] = True
            batch[name][-1:] = num_windows == 1
            batch[name] |= all_there
    return batch


def odd_batches(spec: SampleSpec, *, vary_frames: bool) -> Iterator[Batch]:
    """Random windows of other sizes than the recipe's: one window, one clip, more clips, instants, frames."""
    yield random_batch(spec, 1, seed=1)
    for num_clips, factor in ((1, 1), (spec.num_clips + 3, 2)):
        odd = replace(
            spec,
            num_clips=num_clips,
            num_frames=factor * spec.num_frames + 1 if vary_frames else spec.num_frames,
            body_length=factor * spec.body_length + 1,
            window_seconds=num_clips * spec.window_seconds,  # so that the clips fit
        )
        yield random_batch(odd, 3, seed=num_clips)


def store_batches(reader: StoreReader, spec: SampleSpec) -> Iterator[Batch]:
    """NUM_WINDOWS windows of a store's persons, spread over persons and time."""
    persons = [(video, person.id) for video in reader.videos() for person in video.persons]
    if not persons:
        raise ExportError(f"{reader.path}: nobody is in it, so it has no samples to check the export on")
    chosen = [persons[i * len(persons) // NUM_WINDOWS] for i in range(NUM_WINDOWS)]
    samples = []
    for number, (video, person_id) in enumerate(chosen):
        track = reader.track(video.key, person_id)
        start, end = float(track.t_start[0]), float(track.t_end[-1])
        t0 = start + max(0.0, end - start - spec.window_seconds) * (number + 0.5) / NUM_WINDOWS
        t1 = t0 + spec.window_seconds if spec.sampling == "interval" else None
        samples.append(read(reader, track, plan(track, t0, spec, t1=t1, still=video.kind == "image"), spec))
    for first in range(0, NUM_WINDOWS, _BATCH):
        part = samples[first : first + _BATCH]
        yield {name: torch.from_numpy(np.stack([sample[name] for sample in part])) for name in part[0]}


def latency(eager: LoadedModel, exported: ExportedModel) -> dict[str, Any]:
    """Median seconds of one clip, one window and a batch of 8 windows, everything there, for both models."""
    batch = random_batch(eager.spec, _BATCH, all_there=True)
    return {
        "threads": torch.get_num_threads(),
        "eager_seconds": _seconds(eager, batch),
        "exported_seconds": _seconds(exported, batch),
    }


def _seconds(model: TrainedModel, batch: Batch) -> dict[str, float]:
    one = {name: value[:1] for name, value in batch.items()}
    seconds = {
        "window": _median_seconds(lambda: model.predict(one)),
        f"batch_of_{_BATCH}": _median_seconds(lambda: model.predict(batch)),
    }
    if model.spec.use_face:
        clip = one["frames"][:, 0]
        seconds = {"clip": _median_seconds(lambda: model.clip_features(clip)), **seconds}
    return seconds


def _median_seconds(call: Callable[[], object]) -> float:
    call()
    times: list[float] = []
    while len(times) < _MIN_RUNS or sum(times) < _SECONDS_A_TIMING:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
