"""One batch through everything that training does, to find what is wrong before the hours of a real run.

Samples, changes on the device, forward and backward pass, optimiser step, validation. Nothing is written.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import Subset

from preprocessing.stage.cluster import usable_cores
from videofer.checkpoint import INPUTS
from videofer.data.dataset import SampleDataset, collate
from videofer.evaluation.calibration import complete, identity
from videofer.models.model import EmotionModel
from videofer.models.targets import ignorance
from videofer.training.beforehand import fit_beforehand
from videofer.training.environment import device_name
from videofer.training.job import Job
from videofer.training.learner import Learner, compile_networks
from videofer.training.place import Place
from videofer.training.samples import Samples, make_sampler, make_samples
from videofer.training.split import TrainingError
from videofer.training.state import seed_step
from videofer.training.threads import use_threads

_NUM_STEPS = 3  # the first one warms up
_VAL_WINDOWS = 16


def try_once(job: Job, place: Place, workers: int) -> Iterator[str]:
    """Lines for people. workers: the batch is what one of so many processes gets, tried in this one."""
    torch.manual_seed(job.recipe.training.seed)
    samples = make_samples(job, place, keep_crops=False)
    yield from _say_samples(job, samples)
    learner = Learner(job.recipe, job.split.train, place)
    fit_beforehand(learner.model, samples.train, place, job.recipe)
    yield from _say_model(learner.model)
    if job.recipe.training.compile:
        compile_networks(learner.model)

    samples.sampler.set_epoch(0)
    share = Place(rank=0, num_processes=max(workers, 1), device=place.device)
    sampler = make_sampler(job, samples.train, share)
    began = time.monotonic()
    batch = collate([samples.train[index] for index in next(iter(sampler))])
    yield f"batch of one process, made in {time.monotonic() - began:.2f} s, the crops read from the store:"
    for name, tensor in batch.items():
        yield f"  {name:<10} {tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"

    threads = job.threads or max(1, usable_cores() // max(workers, 1))
    with use_threads(threads):
        seconds, loss = _train_steps(learner, batch, samples)
        shown = ", ".join(f"{s:.2f}" for s in seconds)
        yield f"{device_name(place.device)}, {threads} threads: steps of {shown} s"
        chance = -ignorance(len(job.recipe.data.classes), job.recipe.data.targets)
        yield f"loss {loss:.3f}; a term of classes is {chance:.3f} where every class is as probable"
        yield _validate(learner.answer, samples.val, place)
    yield _memory(place.device)
    steps = sampler.num_batches
    epochs = job.recipe.training.epochs
    yield (
        f"an epoch of {sampler.num_samples} samples in {steps} steps: about {_clock(steps * min(seconds))}; "
        f"{epochs} epochs: {_clock(epochs * steps * min(seconds))}, without reading and validation"
    )


def _train_steps(learner: Learner, batch: dict[str, Tensor], samples: Samples) -> tuple[list[float], float]:
    """Seconds of each step, and the first loss."""
    learner.model.train()
    seconds, losses = [], []
    for number in range(_NUM_STEPS):
        began = time.monotonic()
        seed_step(learner.settings.seed, 0, number, 0)
        sent = {name: tensor.to(learner.place.device) for name, tensor in batch.items()}
        values = learner.backward(samples.augment(sent))
        learner.update(learner.settings.lr, values["gradient_norm"])
        losses.append(float(values["total"]))  # waits for the device
        seconds.append(time.monotonic() - began)
    if not all(map(math.isfinite, losses)):
        raise TrainingError(f"the loss is {losses[-1]} after {_NUM_STEPS} steps: lower training.lr")
    return seconds, losses[0]


def _validate(model: EmotionModel, val: SampleDataset, place: Place) -> str:
    began = time.monotonic()
    windows = Subset(val, range(min(_VAL_WINDOWS, len(val))))
    batch = collate([windows[place] for place in range(len(windows))])
    model.eval()
    with torch.inference_mode():
        outputs = model({name: batch[name].to(place.device) for name in INPUTS if name in batch})
        targets = model.config.targets
        probs = identity(targets).apply(complete(outputs))["fused"].exp()
    assert bool(((probs >= 0) & (probs <= 1)).all()), "no probabilities"
    if targets == "single":
        assert torch.allclose(probs.sum(dim=1), torch.ones(len(probs), device=probs.device), atol=1e-4)
    return f"validation of {len(windows)} of {len(val)} windows: {time.monotonic() - began:.2f} s"


def _say_samples(job: Job, samples: Samples) -> Iterator[str]:
    split, classes = job.split, job.recipe.data.classes
    for name, examples in (("training", split.train), ("validation", split.val)):
        counts = [sum(example.label == place for example in examples) for place in range(len(classes))]
        shown = ", ".join(f"{count} {label}" for count, label in zip(counts, classes, strict=True))
        num_subjects = len({example.subject for example in examples})
        yield f"{name}: {len(examples)} intervals of {num_subjects} subjects: {shown}"
    times = samples.sampler.repeats()
    shown = ", ".join(f"{classes[place]} {count:.2g}" for place, count in times.items())
    yield f"an epoch shows each interval of a class so often: {shown}"


def _say_model(model: EmotionModel) -> Iterator[str]:
    parts: list[tuple[str, nn.Module | None]] = [("fusion", model.fusion)]
    if len(model.dimension_heads):
        parts += [("dimensions", model.dimension_heads), ("their fusion", model.dimension_fusion)]
    if model.body is not None:
        parts.insert(0, ("body", model.body))
    if model.face is not None:
        parts[:0] = [
            ("spatial transformer", model.face.aligner),
            ("face trunk", model.face.trunk),
            ("face streams", model.face.streams),
            ("landmarks", model.face.landmark_head),
        ]
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts if part is not None}
    total = sum(parameter.numel() for parameter in model.parameters())
    yield f"{total:,} parameters: " + ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _memory(device: torch.device) -> str:
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    if device.type != "cuda":
        return f"memory: {peak:.2f} GiB at most"
    on_gpu = torch.cuda.max_memory_allocated(device) / 2**30
    return f"memory: {peak:.2f} GiB at most, on the GPU {on_gpu:.2f} GiB"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
