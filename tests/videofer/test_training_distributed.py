"""Several processes that share a batch do what one process does with the whole of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from processes import run_together
from torch import Tensor, nn
from training_store import make_training_store, small_recipe

from videofer.data.dataset import PADDING
from videofer.data.mixing import Mixer
from videofer.models.arm import RunningMean
from videofer.models.scn import ScnConfig
from videofer.recipe import AugmentRecipe, Recipe
from videofer.training.job import Job
from videofer.training.learner import Learner
from videofer.training.place import Place
from videofer.training.samples import make_loader, make_samples
from videofer.training.split import prepare
from videofer.training.state import seed_step
from videofer.training.sync_norm import SyncBatchNorm2d, synchronize_norms

HERE = Place(device=torch.device("cpu"))
NUM_STEPS = 50
CUTS = {"both": (0, 3, 7), "none in the second": (0, 7, 7), "none in the first": (0, 0, 7)}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Course:
    """What 50 steps of training gave."""

    losses: np.ndarray  # (50,)
    relabelled: np.ndarray  # (50,) share of each batch; 0 without self-cure
    norms: np.ndarray  # (50,) of the gradients
    before: list[Any]  # the learner's state before each step, where it was wanted
    after: Arrays  # weights and running statistics


@dataclass(frozen=True)
class Together:
    """What a process found that trained together with another one."""

    norms: dict[str, tuple[np.ndarray, Arrays]]  # by cut: its outputs; gradients and running statistics
    free: list[Course]
    forced: Course
    mixed: Arrays


def joint_batch() -> tuple[Tensor, Tensor]:
    """Rows (7, 3, 9, 9) far from zero mean, and what their outputs are weighed with."""
    generator = torch.Generator().manual_seed(1)
    return 5 * torch.randn(7, 3, 9, 9, generator=generator) + 300, torch.randn(
        7, 4, 5, 5, generator=generator
    )


class AddRunningMean(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.common = RunningMean(shape)

    def forward(self, rows: Tensor) -> Tensor:
        return rows + self.common(rows)


def normalise(place: Place, start: int, stop: int) -> tuple[np.ndarray, Arrays]:
    """A small network's outputs for some of the rows; gradients of weights and rows, running statistics."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4)]
    network = nn.Sequential(*layers, AddRunningMean((4, 5, 5)))
    if place.num_processes > 1:
        synchronize_norms(network)
    rows, weights = (part[start:stop] for part in joint_batch())
    rows.requires_grad_()
    outputs = network.train()(rows)
    (outputs * weights).sum().backward()
    assert rows.grad is not None
    found = {f"gradient of {name}": place.sum(p.grad).numpy() for name, p in network.named_parameters()}  # type: ignore[arg-type]
    buffers = {name: buffer.numpy() for name, buffer in network.named_buffers()}
    return outputs.detach().numpy(), {**found, **buffers, "rows": rows.grad.numpy()}


def train(place: Place, job: Job, *, keep: bool = False, follow: list[Any] | None = None) -> Course:
    """50 steps. keep: the state before each. follow: states to begin each step from."""
    samples, before = make_samples(job, place), []
    learner, loader = Learner(job.recipe, job.split.train, place), make_loader(job, samples, place)
    losses, relabelled, norms = [], [], []
    for step in range(NUM_STEPS):
        epoch, number = divmod(step, samples.sampler.num_batches)
        if number == 0:
            samples.sampler.set_epoch(epoch)
            batches = iter(loader)
        if follow is not None:
            learner.load_state_dict(torch.load(follow[step], weights_only=True))
        if keep:
            before.append(job.out / f"{step}.pt")
            torch.save(learner.state_dict(), before[-1])
        seed_step(job.recipe.training.seed, epoch, number, place.rank)
        learner.model.train()
        values = learner.backward(samples.augment(next(batches)), epoch)
        learner.update(job.recipe.training.lr, values["gradient_norm"])
        losses.append(float(values["total"]))
        relabelled.append(float(values.get("relabelled", 0)))
        norms.append(float(values["gradient_norm"]))
    after = {name: tensor.numpy() for name, tensor in learner.answer.state_dict().items()}
    return Course(np.array(losses), np.array(relabelled), np.array(norms), before, after)


def with_self_cure(recipe: Recipe) -> Recipe:
    """Ranks, labels that are exchanged from the second epoch on, and landmarks."""
    assert recipe.model.face is not None
    scn = ScnConfig(rank_margin=0.4, relabel_epoch=1, relabel_margin=0.02)
    face = replace(recipe.model.face, heads=("clip",), scn=scn, landmark_weight=1.0)
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"face": face})})


def mix(place: Place) -> Arrays:
    """This process's part of a batch of 5, mixed; without padding."""
    generator = torch.Generator().manual_seed(2)
    batch = {
        "frames": torch.rand(6, 1, 1, 9, 9, 3, generator=generator),
        "clip_mask": torch.ones(6, 1, dtype=torch.bool),
        "target": torch.eye(6),
        "weight": torch.rand(6, generator=generator),
        "example": torch.tensor([0, 1, 2, 3, 4, PADDING]),
        "seed": torch.arange(6),
    }
    start, stop = ((0, 3), (3, 6))[place.rank] if place.num_processes == 2 else (0, 5)
    batch = {name: values[start:stop] for name, values in batch.items()}
    recipe = AugmentRecipe(mix=0.8, mixup=0.5, cutmix=1.0)
    mixed = Mixer(recipe, rank=place.rank, gather=place.gather)(batch)
    there = mixed["example"] != PADDING
    return {name: mixed[name][there].numpy() for name in ("frames", "target", "weight")}


def all_of_it(place: Place, free: list[Job], forced: Job, states: list[Path]) -> Together:
    """What runs in the two processes: one start of them for all tests."""
    norms = {name: normalise(place, *cuts[place.rank : place.rank + 2]) for name, cuts in CUTS.items()}
    courses = [train(place, job) for job in free]
    return Together(norms, courses, train(place, forced, follow=states), mix(place))


@pytest.fixture(scope="module")
def courses(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[Course], Course, list[Together]]]:
    """Of one process: free and forced courses; and what each of two processes found."""
    path = tmp_path_factory.mktemp("distributed")
    # Faceless, so that now and then a process has no face at all.
    make_training_store(path / "store", faceless=(0,), landmarks=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def job(*, self_cure: bool = False, **training: Any) -> Job:
        recipe = small_recipe(augment={"erase": 0.3, "time_jitter": 0.5}, label_smoothing=0.1, **training)
        if self_cure:
            recipe = with_self_cure(recipe)
        prepared = prepare(recipe, path / "store", None)
        return Job(recipe=recipe, store=path / "store", out=path, prepared=prepared, resume=False)

    # Rates so low that rounding stays rounding: at common ones the order of a batch's rows is enough to bring
    # two runs of one process apart, as a ReLU on the other side of zero changes a gradient.
    free = [
        job(optimizer="sgd", lr=2e-5, batch_size=5, class_weights="balanced", ema_decay=0.9),
        job(optimizer="adamw", lr=1e-6, batch_size=7, self_cure=True),
    ]
    forced = job(optimizer="adamw", lr=0.005, batch_size=5, balanced_sampling=True)
    alone = train(HERE, forced, keep=True)
    yield (
        [train(HERE, one) for one in free],
        alone,
        run_together(2, path, all_of_it, free, forced, alone.before),
    )
    torch.set_num_threads(threads)


Courses = tuple[list[Course], Course, list[Together]]


@pytest.mark.parametrize("cut", CUTS)
def test_synchronised_norms_are_norms_of_the_joined_batch(courses: Courses, cut: str) -> None:
    outputs, expected = normalise(HERE, 0, 7)
    (first, found), (second, found_too) = (process.norms[cut] for process in courses[2])
    np.testing.assert_allclose(np.concatenate([first, second]), outputs, atol=1e-5)
    rows = np.concatenate([found.pop("rows"), found_too.pop("rows")])
    np.testing.assert_allclose(rows, expected.pop("rows"), atol=1e-5)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4 * (1 + np.abs(value).max()), err_msg=name)
        np.testing.assert_array_equal(found[name], found_too[name], err_msg=name)
    assert float(np.abs(expected["1.running_mean"]).max()) > 1  # the batch was far from what it began with


def test_two_processes_have_the_loss_curve_of_one(courses: Courses) -> None:
    for number, alone in enumerate(courses[0]):
        first, second = (process.free[number] for process in courses[2])
        np.testing.assert_allclose(first.losses, alone.losses, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(first.losses, second.losses)
        np.testing.assert_allclose(first.relabelled, alone.relabelled, atol=1e-6)
        np.testing.assert_allclose(first.norms, alone.norms, rtol=1e-2)
        for name, value in first.after.items():
            np.testing.assert_array_equal(value, second.after[name], err_msg=name)
            np.testing.assert_allclose(value, alone.after[name], atol=1e-3, err_msg=name)


def test_labels_were_exchanged_in_the_self_cured_course_alone(courses: Courses) -> None:
    assert [bool(course.relabelled.any()) for course in courses[0]] == [False, True]


def test_and_its_losses_on_the_way_of_a_faster_training(courses: Courses) -> None:
    alone, (first, second) = courses[1], [process.forced for process in courses[2]]
    assert alone.losses[-10:].mean() < 0.75 * alone.losses[:10].mean()
    np.testing.assert_allclose(first.losses, alone.losses, rtol=0, atol=1e-4)
    np.testing.assert_allclose(first.norms, alone.norms, rtol=5e-2)
    np.testing.assert_array_equal(first.losses, second.losses)


def test_names_and_evaluation_stay_those_of_the_plain_norm() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)), AddRunningMean((4, 2, 2)))
    network(torch.randn(5, 3, 2, 2))
    rows, names = torch.randn(2, 3, 2, 2), list(network.state_dict())
    expected = network.eval()(rows)
    weights = list(network.parameters())
    synchronize_norms(network)
    norm = network[1][0]  # type: ignore[index]
    assert isinstance(norm, SyncBatchNorm2d) and list(network.state_dict()) == names
    assert all(a is b for a, b in zip(network.parameters(), weights, strict=True))
    torch.testing.assert_close(network(rows), expected)


def test_samples_are_mixed_alike(courses: Courses) -> None:
    alone, (first, second) = mix(HERE), courses[2]
    assert np.count_nonzero(alone["target"], axis=1).max() == 2
    for name, values in alone.items():
        np.testing.assert_array_equal(np.concatenate([first.mixed[name], second.mixed[name]]), values)
