"""Several processes that learn several classes at once, and dimensions, do what one process does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.videofer.processes import run_together
from tests.videofer.rated_store import make_rated_store, rated_recipe
from videofer.training.job import Job
from videofer.training.learner import Learner
from videofer.training.place import Place
from videofer.training.samples import make_loader, make_samples
from videofer.training.split import prepare
from videofer.training.state import seed_step

NUM_STEPS = 4


def steps(place: Place, job: Job) -> tuple[list[dict[str, float]], dict[str, np.ndarray]]:
    """The terms of the first steps, and the gradients of the last one."""
    samples = make_samples(job, place)
    learner, loader = Learner(job.recipe, job.split.train, place), make_loader(job, samples, place)
    samples.sampler.set_epoch(0)
    terms = []
    for number, batch in zip(range(NUM_STEPS), loader, strict=False):
        seed_step(job.recipe.training.seed, 0, number, place.rank)
        learner.model.train()
        values = learner.backward(samples.augment(batch), 0)
        learner.update(0.001, values["gradient_norm"])
        terms.append({name: float(value) for name, value in values.items()})
    named = learner.model.named_parameters()
    return terms, {name: p.grad.numpy().copy() for name, p in named if p.grad is not None}


def test_concordance_of_all_processes_is_that_of_one(tmp_path: Path) -> None:
    make_rated_store(tmp_path / "store", num_subjects=7, num_test=0, takes=2, faceless=(1,))
    recipe = rated_recipe(batch_size=7, lr=0.001)  # parts of 4 and 3 samples
    prepared = prepare(recipe, tmp_path / "store", None)
    job = Job(recipe=recipe, store=tmp_path / "store", out=tmp_path / "run", prepared=prepared, resume=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone, gradients = steps(Place(device=torch.device("cpu")), job)
    torch.set_num_threads(threads)
    both = run_together(2, tmp_path, steps, job)
    assert len(alone) == NUM_STEPS and "fused_dimensions" in alone[0]
    for found, found_gradients in both:
        for one, other in zip(alone, found, strict=True):
            assert one.keys() == other.keys()
            for name, value in one.items():
                np.testing.assert_allclose(other[name], value, rtol=2e-3, atol=1e-4, err_msg=name)
        for name, value in gradients.items():
            scale = max(float(np.abs(value).max()), 1e-3)
            np.testing.assert_allclose(found_gradients[name], value, atol=0.02 * scale, err_msg=name)
