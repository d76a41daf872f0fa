"""What one process trains on and validates with: data sets, the epoch's batches, the changes of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import DataLoader

from cache.reader import StoreReader
from preprocessing.skeletons.layouts import mirror_order
from videofer.data.augmentation import DeviceAugment
from videofer.data.crops import CropCache
from videofer.data.dataset import EpochSampler, SampleDataset, collate
from videofer.data.mixing import Mixer
from videofer.training.job import Job
from videofer.training.place import Place


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The samples of one process."""

    train: SampleDataset
    val: SampleDataset
    sampler: EpochSampler
    augment: Callable[[dict[str, Tensor]], dict[str, Tensor]]


def make_samples(job: Job, place: Place, *, keep_crops: bool = True) -> Samples:
    """Opens the store and, where the recipe wants it, keeps the crops of all labelled intervals in memory."""
    recipe, split = job.recipe, job.split
    spec, settings = recipe.sample_spec(), recipe.training
    reader = StoreReader(job.store)
    cache = None
    if keep_crops and recipe.data.cache_crops and spec.use_face:
        max_bytes = int(recipe.data.max_cache_gib * 2**30 / place.num_processes)
        window_seconds = spec.window_seconds if spec.sampling == "window" else 0.0
        cache = CropCache(reader, spec.input_size, max_bytes=max_bytes, window_seconds=window_seconds)
        cache.fill([*split.val, *split.train])
    train = SampleDataset(
        reader,
        split.train,
        recipe.training_spec(),
        training=True,
        time_jitter=settings.augment.time_jitter,
        seed=settings.seed,
        cache=cache,
    )
    val = SampleDataset(
        reader, split.val, spec, training=False, windows=recipe.data.eval_windows, cache=cache
    )
    return Samples(
        train=train, val=val, sampler=make_sampler(job, train, place), augment=make_augment(job, place)
    )


def make_sampler(job: Job, train: SampleDataset, place: Place) -> EpochSampler:
    """This process's parts of the epoch's batches."""
    settings = job.recipe.training
    return EpochSampler(
        train,
        settings.batch_size,
        settings.samples_per_epoch,
        balanced=settings.balanced_sampling,
        rank=place.rank,
        num_processes=place.num_processes,
    )


def make_augment(job: Job, place: Place) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """Random changes of a batch, on the device. Where samples are mixed its call is a collective one."""
    settings = job.recipe.training.augment
    body = job.recipe.model.body is not None
    mirror = mirror_order(str(job.prepared.contract["skeleton"])) if body else None
    augment = DeviceAugment(settings, mirror=mirror)
    if not settings.mix:
        return augment
    mixer = Mixer(settings, rank=place.rank, gather=place.gather)
    return lambda batch: mixer(augment(batch))


def make_loader(job: Job, samples: Samples, place: Place) -> DataLoader[dict[str, object]]:
    """Batches of training samples, in memory from which a GPU copies fast."""
    workers = job.recipe.training.loader_workers
    return DataLoader(
        samples.train,
        batch_sampler=samples.sampler,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=place.device.type == "cuda",
        persistent_workers=workers > 0,
    )
