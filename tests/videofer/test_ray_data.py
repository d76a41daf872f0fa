"""Samples through a real Ray Data: the same as from the torch data set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import ray
import torch
from small_store import make_store

from cache.reader import StoreReader
from videofer.data.crops import CropCache
from videofer.data.dataset import PADDING, EpochSampler, SampleDataset, collate
from videofer.data.examples import make_examples
from videofer.data.ray_data import ROWS_PER_TASK, to_ray
from videofer.data.sampling import SampleSpec
from videofer.datasets.manifest import join_store, normalise

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns about its own code
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # Ray silences this one itself, but by `warnings.catch_warnings` in several threads at once: not safe.
    pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning"),
]
SPEC = SampleSpec(
    num_clips=3, num_frames=2, clip_seconds=0.3, window_seconds=1.2, body_length=8, input_size=48
)


@pytest.fixture(scope="module", autouse=True)
def two_cores() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> SampleDataset:
    path = tmp_path_factory.mktemp("data") / "store"
    names = ["s1/anger/a.mp4", "s1/sad/b.mp4", "s2/happy/c.mp4"]
    make_store(path, names, codec="jpeg", face_absent=slice(20, 45))
    reader = StoreReader(path)
    classes = ["anger", "happiness", "sadness"]
    table = pd.DataFrame({"path": names, "label": ["anger", "sad", "happy"]})
    joined, _ = join_store(normalise(table, source="t", classes=classes), reader.videos())
    examples, _ = make_examples(joined, reader.videos(), classes)
    return SampleDataset(reader, examples, SPEC, training=True, time_jitter=0.5, seed=3)


def test_an_epoch_is_that_of_the_torch_data_set(dataset: SampleDataset) -> None:
    """In its order, padding included, over more rows than one task reads, by two actors."""
    sampler = EpochSampler(dataset, 32, 3 * ROWS_PER_TASK + 5, rank=0, num_processes=1)
    sampler.set_epoch(4)
    items = [*(item for batch in sampler for item in batch), PADDING]
    expected = collate([dataset[item] for item in items])
    rows = to_ray(dataset, items, num_actors=2)
    dataset.set_epoch(5)  # afterwards: it changes nothing
    batches = list(rows.iter_torch_batches(batch_size=len(items)))
    assert len(batches) == 1
    assert batches[0].keys() == expected.keys()
    for name, tensor in expected.items():
        assert batches[0][name].dtype == tensor.dtype, name
        assert torch.equal(batches[0][name], tensor), name
    assert len(np.unique(expected["clip_mask"])) == 2


def test_impossible_requests_fail(dataset: SampleDataset) -> None:
    for num_actors in (0, 3):
        with pytest.raises(ValueError, match=f"between 1 and the cluster's 2 cores, not {num_actors}"):
            to_ray(dataset, num_actors=num_actors)
    cache = CropCache(dataset.reader, 48, max_bytes=1 << 20)
    kept = SampleDataset(dataset.reader, dataset.examples, SPEC, training=True, cache=cache)
    with pytest.raises(ValueError, match="CropCache"):
        to_ray(kept)
    with pytest.raises(ValueError, match="no items"):
        to_ray(dataset, [])
