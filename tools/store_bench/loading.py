"""Training samples through loader processes and through Ray Data."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np
from torch.utils.data import DataLoader

from cache.reader import StoreReader
from cache.schema import Codec
from tools.store_bench.material import FPS, key_of
from tools.store_bench.reading import CLIPS, FRAMES_PER_CLIP, WINDOW_SECONDS
from videofer.data.dataset import EpochSampler, SampleDataset, collate
from videofer.data.examples import Example
from videofer.data.ray_data import to_ray
from videofer.data.sampling import SampleSpec

BATCH = 32
LOADERS = (("fork", 1), ("fork", 2), ("fork", 4), ("fork", 8), ("spawn", 4))
ACTORS = (1, 2, 4)
SPEC = SampleSpec(
    num_clips=CLIPS,
    num_frames=FRAMES_PER_CLIP,
    clip_seconds=WINDOW_SECONDS / CLIPS,
    window_seconds=WINDOW_SECONDS,
    use_body=False,
)


def make_dataset(store: Path, num_tracks: int, num_frames: int) -> SampleDataset:
    """One example a track, the whole of it."""
    target = np.eye(7, dtype=np.float32)[0]
    examples = [
        Example(key_of(number), 0, 0.0, num_frames / FPS, target, 0, key_of(number), number)
        for number in range(num_tracks)
    ]
    return SampleDataset(StoreReader(store), examples, SPEC, training=True)


def measure_loaders(folder: Path, num_tracks: int, num_frames: int, num_samples: int) -> list[dict[str, Any]]:
    """Samples a second of a second epoch: the workers live on, everything is in the page cache."""
    rows = []
    for codec in get_args(Codec):
        dataset = make_dataset(folder / codec / "store", num_tracks, num_frames)
        number = num_samples * (4 if codec == "plain" else 1)
        begin = time.perf_counter()
        for item in range(number // 4):
            dataset[item]
        rows.append(
            {"codec": codec, "by": "no loader", "per_second": number // 4 / (time.perf_counter() - begin)}
        )
        warnings.filterwarnings("ignore", "This DataLoader will create")  # more processes than cores
        for method, workers in LOADERS:
            sampler = EpochSampler(dataset, BATCH, number)
            loader = DataLoader(
                dataset,
                batch_sampler=sampler,
                num_workers=workers,
                collate_fn=collate,
                multiprocessing_context=method,
                persistent_workers=True,
            )
            for epoch in range(2):
                sampler.set_epoch(epoch)
                speed = _rate(loader)
            rows.append({"codec": codec, "by": f"{workers} loader processes ({method})", "per_second": speed})
            del loader
    return rows


def measure_ray(folder: Path, num_tracks: int, num_frames: int, num_samples: int) -> list[dict[str, Any]]:
    """Samples a second from the first batch to the last: without the start of the actors."""
    import logging

    import ray
    import ray.data

    ray.init(
        address="local",
        num_cpus=max(ACTORS),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = []
    try:
        for codec in get_args(Codec):
            dataset = make_dataset(folder / codec / "store", num_tracks, num_frames)
            number = num_samples * (4 if codec == "plain" else 1)
            items = [item for batch in EpochSampler(dataset, BATCH, number) for item in batch]
            for actors in ACTORS:
                batches = to_ray(dataset, items, num_actors=actors).iter_torch_batches(batch_size=BATCH)
                speed = _rate(batches)
                rows.append({"codec": codec, "by": f"Ray Data, {actors} actors", "per_second": speed})
    finally:
        ray.shutdown()
    return rows


def _rate(batches: Iterable[dict[str, Any]]) -> float:
    """Samples a second, from the first batch on."""
    begin, number = 0.0, -1
    for batch in batches:
        if number < 0:
            begin, number = time.perf_counter(), 0
        else:
            number += len(batch["frames"])
    return number / (time.perf_counter() - begin)
