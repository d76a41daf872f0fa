"""Labelled intervals of tracks as a torch data set of samples, and the batches of a training epoch.

Item i of a `SampleDataset` is of example i % num_examples. In training, a random window is drawn from
(seed, epoch, i), and so is the item's own `seed`, from which everything further is drawn: an item is the same
wherever and in whatever order items are made; i may go beyond the length, for further samples of the example.
In evaluation, i // num_examples is the window's place among `windows` evenly spaced ones. Item -1 is padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler, default_collate

from videofer.data import sampling
from videofer.data.crops import CropCache
from videofer.data.examples import Example, TrackReader
from videofer.data.sampling import SamplePlan, SampleSpec

PADDING = -1
"""The index of an item that stands for none: all zero, masked, of weight 0."""


class SampleDataset(Dataset[dict[str, Any]]):
    """Samples of labelled intervals.

    An item is a dict of arrays: what `sampling.read` returns, and `target` (n,) float32 class probabilities,
    `label` () int64 their largest, `weight` () float32, `example` () int64 index into `examples`; where the
    examples have them `dimensions` (d,) float32, NaN where not known, and `face_target`, `body_target` (n,)
    float32, all zero where there is nothing to learn; in training also `seed` () int64, for
    `models.noise`.
    """

    def __init__(
        self,
        reader: TrackReader,
        examples: Sequence[Example],
        spec: SampleSpec,
        *,
        training: bool,
        windows: int = 1,
        time_jitter: float = 0.0,
        seed: int = 0,
        cache: CropCache | None = None,
    ) -> None:
        """windows: evenly spaced windows of an example in evaluation.

        Interval sampling has one window only, the interval: `windows` is then taken as 1.
        time_jitter: in training, see `sampling.plan`.
        """
        if windows < 1:
            raise ValueError(f"windows must be at least 1, not {windows}")
        assert training or time_jitter == 0, "evaluation changes nothing"
        self.reader = reader
        self.examples = list(examples)
        self.spec = spec
        self.training = training
        self.windows = 1 if training or spec.sampling == "interval" else windows
        self.time_jitter = time_jitter
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
        if index == PADDING:
            return self._padding()
        if index < 0 or (index >= len(self) and not self.training):
            raise IndexError(index)
        repeat, place = divmod(index, len(self.examples))
        example = self.examples[place]
        rng = np.random.default_rng([self.seed, int(self._epoch), index]) if self.training else None
        seed = {} if rng is None else {"seed": np.int64(rng.integers(2**63))}
        track = self.reader.track(example.key, example.person_id)
        sample = self._plan(track, example, repeat, rng)
        return {
            **sampling.read(self.crops, track, sample, self.spec),
            **seed,
            **({"dimensions": example.dimensions} if len(example.dimensions) else {}),
            **{f"{branch}_target": own for branch, own in example.branch_targets.items()},
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
        return sampling.plan(track, t0, self.spec, still=example.still, rng=rng, time_jitter=self.time_jitter)

    def _padding(self) -> dict[str, Any]:
        target, dimensions = self.examples[0].target, self.examples[0].dimensions
        return {
            **sampling.nothing(self.spec),
            **({"seed": np.int64(0)} if self.training else {}),
            **({"dimensions": np.full_like(dimensions, np.nan)} if len(dimensions) else {}),
            **{f"{branch}_target": np.zeros_like(target) for branch in self.examples[0].branch_targets},
            "target": np.full_like(target, 1 / len(target)),
            "label": np.int64(0),
            "weight": np.float32(0),
            "example": np.int64(PADDING),
        }


def collate(items: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Items -> a batch of tensors with B in front: `frames` (B, C, K, S, S, 3) uint8, and so on.

    Each array is copied once; in a loader process into memory that the training process shares.
    """
    batch: dict[str, torch.Tensor] = default_collate(list(items))
    return batch


class EpochSampler(Sampler[list[int]]):
    """The batches of one training epoch for one of several processes: for DataLoader's `batch_sampler`.

    What an epoch shows is drawn from (seed, epoch) alone: its batches, of all processes together, are the
    same for any number of processes. Their sizes differ by one at most. Each process gets a contiguous part
    of every batch, and where the parts differ the shorter ones end with `PADDING`: all are equally long.
    An example drawn again gives another sample.
    """

    def __init__(
        self,
        dataset: SampleDataset,
        batch_size: int,
        num_samples: int | None = None,
        *,
        balanced: bool = False,
        rank: int = 0,
        num_processes: int = 1,
        start_batch: int = 0,
    ) -> None:
        """batch_size and num_samples are of all processes together. num_samples None: as many as examples.

        balanced: equally many of each class.
        """
        assert dataset.training and 0 <= rank < num_processes and batch_size >= 1
        if len(dataset) == 0:
            raise ValueError("there is nothing to train on: no examples")
        self.dataset = dataset
        self.num_samples = len(dataset) if num_samples is None else num_samples
        self.num_batches = math.ceil(self.num_samples / batch_size)  # of a whole epoch
        self.balanced = balanced
        self.rank = rank
        self.num_processes = num_processes
        self.epoch = 0
        self.set_start(start_batch)
        self._labels = np.array([example.label for example in dataset.examples])

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch, from its first batch. Sets the data set's epoch as well."""
        self.epoch = epoch
        self.start = 0
        self.dataset.set_epoch(epoch)

    def set_start(self, batch: int) -> None:
        """Leaves out the batches of this epoch before `batch`, as after a resume; until the next epoch."""
        assert 0 <= batch <= self.num_batches, f"batch {batch} of {self.num_batches}"
        self.start = batch

    def __len__(self) -> int:
        return self.num_batches - self.start

    def __iter__(self) -> Iterator[list[int]]:
        for batch in np.array_split(self._items(), self.num_batches)[self.start :]:
            parts = np.array_split(batch, self.num_processes)  # the longer ones come first
            padding = [PADDING] * (len(parts[0]) - len(parts[self.rank]))
            yield parts[self.rank].tolist() + padding

    def repeats(self) -> dict[int, float]:
        """How often an epoch shows each example of a class, on average: class index -> times."""
        labels, counts = np.unique(self._labels, return_counts=True)
        shares = np.ones(len(labels)) if self.balanced else counts
        times = self.num_samples * (shares / shares.sum()) / counts
        return dict(zip(labels.tolist(), times.tolist(), strict=True))

    def _items(self) -> np.ndarray:
        """(num_samples,) int64: the epoch's items in order."""
        rng = np.random.default_rng([self.dataset.seed, 0x5A17, self.epoch])  # not the stream of any item
        drawn = self._balanced(rng) if self.balanced else self._uniform(rng)
        items: np.ndarray = drawn + len(self._labels) * _times_before(drawn)
        return items

    def _uniform(self, rng: np.random.Generator) -> np.ndarray:
        return _in_rounds(rng, np.arange(len(self._labels)), self.num_samples)

    def _balanced(self, rng: np.random.Generator) -> np.ndarray:
        present = np.unique(self._labels)
        classes = _in_rounds(rng, present, self.num_samples)
        drawn = np.empty(self.num_samples, dtype=np.int64)
        for label in present:
            places = np.flatnonzero(classes == label)
            drawn[places] = _in_rounds(rng, np.flatnonzero(self._labels == label), len(places))
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
