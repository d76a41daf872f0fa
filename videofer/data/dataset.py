"""Labelled intervals of tracks as a torch data set of samples.

Item i of a `SampleDataset` is of example i % num_examples. In training, a random window and random changes
are drawn from (seed, epoch, i): the same wherever and in whatever order items are made; i may go beyond the
length, for further samples of the example. In evaluation, i // num_examples is the window's place among
`windows` evenly spaced ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from videofer.data import sampling
from videofer.data.augmentation import change_body, change_faces, draw_face_change
from videofer.data.crops import CropCache
from videofer.data.examples import Example, TrackReader
from videofer.data.sampling import SamplePlan, SampleSpec
from videofer.recipe import AugmentRecipe


class SampleDataset(Dataset[dict[str, Any]]):
    """Samples of labelled intervals.

    An item is a dict of arrays: what `sampling.read` returns, and `target` (n,) float32 class probabilities,
    `label` () int64 their largest, `weight` () float32, `example` () int64 index into `examples`.
    """

    def __init__(
        self,
        reader: TrackReader,
        examples: Sequence[Example],
        spec: SampleSpec,
        *,
        training: bool,
        windows: int = 1,
        augment: AugmentRecipe | None = None,
        seed: int = 0,
        cache: CropCache | None = None,
    ) -> None:
        """windows: evenly spaced windows of an example in evaluation.

        Interval sampling has one window only, the interval: `windows` is then taken as 1.
        """
        if windows < 1:
            raise ValueError(f"windows must be at least 1, not {windows}")
        assert training or augment is None, "evaluation changes nothing"
        self.reader = reader
        self.examples = list(examples)
        self.spec = spec
        self.training = training
        self.windows = 1 if training or spec.sampling == "interval" else windows
        self.augment = augment
        self.seed = seed
        self.crops: sampling.CropReader = cache if cache is not None else reader
        # In shared memory, so that loader processes that live on see the next epoch.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Call before each training epoch: it draws other windows and changes."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.examples) * self.windows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index < 0 or (index >= len(self) and not self.training):
            raise IndexError(index)
        repeat, place = divmod(index, len(self.examples))
        example = self.examples[place]
        rng = None
        if self.training:
            rng = np.random.Generator(np.random.PCG64([self.seed, int(self._epoch), index]))
        track = self.reader.track(example.key, example.person_id)
        sample = self._plan(track, example, repeat, rng)
        if rng is not None and self.augment is not None:
            arrays = self._read_changed(track, sample, rng, self.augment)
        else:
            arrays = sampling.read(self.crops, track, sample, self.spec)
        return {
            **arrays,
            "target": example.target,
            "label": np.int64(example.label),
            "weight": np.float32(example.weight),
            "example": np.int64(place),
        }

    def _plan(
        self, track: sampling.Track, example: Example, window: int, rng: np.random.Generator | None
    ) -> SamplePlan:
        start, end = example.t_start, example.t_end
        if self.spec.sampling == "interval":
            return sampling.plan(track, start, self.spec, t1=end, still=example.still, rng=rng)
        slack = end - start - self.spec.window_seconds
        if slack <= 0:  # the window is longer than the interval: centred on it
            t0 = start + slack / 2
        elif rng is not None:
            t0 = start + rng.random() * slack
        else:
            t0 = start + (window + 0.5) / self.windows * slack
        return sampling.plan(track, t0, self.spec, still=example.still)

    def _read_changed(
        self, track: sampling.Track, sample: SamplePlan, rng: np.random.Generator, augment: AugmentRecipe
    ) -> dict[str, np.ndarray]:
        """As `sampling.read`, with random changes."""
        spec = self.spec
        mirrored = bool(rng.random() < augment.flip)
        arrays: dict[str, np.ndarray] = {}
        if spec.use_face:
            change = draw_face_change(rng, augment, spec.input_size, mirrored=mirrored)
            kept, size = sample.clip_mask, spec.input_size
            frames = np.zeros((spec.num_clips, 3, spec.num_frames, size, size), dtype=np.uint8)
            if kept.any():
                crops = sampling.read_clips(self.crops, track, sample.rows[kept], spec)
                changed = change_faces(crops.reshape(-1, size, size, 3), change).reshape(crops.shape)
                frames[kept] = changed.transpose(0, 4, 1, 2, 3)
            arrays["frames"] = frames
            arrays["clip_mask"] = kept.copy()
        if spec.use_body:
            keypoints = sampling.read_keypoints(track, sample.body_rows, spec)
            arrays["keypoints"] = change_body(keypoints, rng, augment, mirrored=mirrored)
            arrays["body_mask"] = np.array(sample.has_body)
        return arrays


def collate(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Items -> a batch of tensors with B in front: `frames` (B, C, 3, K, S, S) uint8, and so on."""
    return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}


class EpochSampler(Sampler[int]):
    """The items of one training epoch for one of several processes, drawn from (seed, epoch) alone.

    Every process gets equally many, and no item comes twice: an example drawn again gives another sample.
    """

    def __init__(
        self,
        dataset: SampleDataset,
        num_samples: int | None = None,
        *,
        balanced: bool = False,
        rank: int = 0,
        num_processes: int = 1,
    ) -> None:
        """num_samples: of all processes together; None: one an example. balanced: equally many of a class."""
        assert dataset.training and 0 <= rank < num_processes
        if len(dataset) == 0:
            raise ValueError("there is nothing to train on: no examples")
        self.dataset = dataset
        self.num_samples = num_samples or len(dataset)
        self.balanced = balanced
        self.rank = rank
        self.num_processes = num_processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the data set's epoch as well."""
        self.epoch = epoch
        self.dataset.set_epoch(epoch)

    def __len__(self) -> int:
        return math.ceil(self.num_samples / self.num_processes)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.dataset.seed, 0x5A17, self.epoch])  # not the stream of any item
        total = len(self) * self.num_processes
        num_examples = len(self.dataset.examples)
        drawn = (
            self._balanced(rng, total) if self.balanced else _in_rounds(rng, np.arange(num_examples), total)
        )
        items = drawn + num_examples * _times_before(drawn)
        return iter(items[self.rank :: self.num_processes].tolist())

    def _balanced(self, rng: np.random.Generator, total: int) -> np.ndarray:
        labels = np.array([example.label for example in self.dataset.examples])
        present = np.unique(labels)
        classes = _in_rounds(rng, present, total)
        drawn = np.empty(total, dtype=np.int64)
        for label in present:
            places = np.flatnonzero(classes == label)
            drawn[places] = _in_rounds(rng, np.flatnonzero(labels == label), len(places))
        return drawn


def _in_rounds(rng: np.random.Generator, values: np.ndarray, total: int) -> np.ndarray:
    """`total` of the values: shuffled again and again, each round holding every value once."""
    rounds = [rng.permutation(values) for _ in range(math.ceil(total / len(values)))]
    return np.concatenate(rounds)[:total] if rounds else values[:0]


def _times_before(values: np.ndarray) -> np.ndarray:
    """(m,) -> (m,): how often the value has occurred before this place."""
    order = np.argsort(values, kind="stable")
    first = np.searchsorted(values[order], values[order], side="left")
    times = np.empty(len(values), dtype=np.int64)
    times[order] = np.arange(len(values)) - first
    return times
