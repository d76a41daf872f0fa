"""The parts of a training step: optimiser, schedule, average, feed, running sums."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_store import small_recipe

from videofer.training.ema import Ema
from videofer.training.feed import Feed
from videofer.training.learner import Learner, compile_networks
from videofer.training.optimizer import amp_dtype, learning_rate, make_optimizer
from videofer.training.place import Place
from videofer.training.split import TrainingError
from videofer.training.sums import Sums

CPU = torch.device("cpu")


def network(norm: type[nn.Module] = nn.BatchNorm1d) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), norm(4), nn.Linear(4, 2))


def test_learning_rate() -> None:
    recipe = small_recipe(epochs=10, lr=1.0, warmup_epochs=2).training
    rates = [learning_rate(recipe, epoch) for epoch in np.linspace(0, 10, 101)]
    assert rates[0] < 1e-3 and np.isclose(max(rates), 1.0) and rates[-1] < 1e-6
    assert np.all(np.diff(rates[20:]) <= 0)
    step = small_recipe(epochs=10, lr=1.0, schedule="step", step_epochs=4, step_gamma=0.5).training
    assert [learning_rate(step, epoch) for epoch in (0, 3.9, 4, 8)] == [1, 1, 0.5, 0.25]
    assert learning_rate(small_recipe(lr=0.3, schedule="constant").training, 99) == 0.3


def test_half_precision_needs_a_gpu() -> None:
    assert amp_dtype(small_recipe().training, CPU) is None
    assert amp_dtype(small_recipe(amp="bf16").training, CPU) == torch.bfloat16
    with pytest.raises(TrainingError, match="needs a GPU"):
        amp_dtype(small_recipe(amp="fp16").training, CPU)


@pytest.mark.parametrize(
    ("settings", "reference"),
    [
        ({"optimizer": "adamw"}, lambda groups: torch.optim.AdamW(groups, lr=0.1)),
        ({"optimizer": "adam"}, lambda groups: torch.optim.Adam(groups, lr=0.1)),
        ({"optimizer": "sgd"}, lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9)),
        (
            {"optimizer": "sgd", "nesterov": True, "momentum": 0.5},
            lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.5, nesterov=True),
        ),
    ],
)
@pytest.mark.parametrize("decay_all", [False, True])
def test_optimisers_are_those_of_torch(
    settings: dict[str, object], reference: object, decay_all: bool
) -> None:
    ours, theirs = network(nn.LayerNorm), network(nn.LayerNorm)
    recipe = small_recipe(lr=0.1, weight_decay=0.3, decay_all=decay_all, **settings)
    optimizer = make_optimizer(ours, recipe.training)
    matrices = [p for p in theirs.parameters() if p.ndim == 2]
    vectors = [p for p in theirs.parameters() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.3},
        {"params": vectors, "weight_decay": 0.3 if decay_all else 0.0},
    ]
    expected = reference(groups)  # type: ignore[operator]
    for _ in range(3):
        for model, step in ((ours, optimizer), (theirs, expected)):
            step.zero_grad()
            model(torch.arange(6.0).reshape(2, 3)).square().sum().backward()
            step.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_average_follows_the_weights() -> None:
    model = network()
    ema = Ema(model, decay=0.9)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    assert {value.dtype for value in expected.values()} == {torch.float32, torch.int64}  # a counter as well
    for step in range(300):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(1.0)
        model(torch.randn(4, 3))
        ema.update(model)
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            # Counters, and the statistics of the first step, are the model's own.
            is_copied = value.dtype == torch.int64 or ("running" in name and step == 0)
            expected[name] = value.clone() if is_copied else decay * expected[name] + (1 - decay) * value
    torch.testing.assert_close(dict(ema.model.state_dict()), expected)
    assert not torch.equal(dict(ema.model.named_buffers())["1.running_mean"], model[1].running_mean)
    assert min(0.9, 80 / 89) < 0.9 <= 81 / 90  # the warm-up ended in between
    assert not ema.model.training and not any(p.requires_grad for p in ema.model.parameters())
    again = Ema(network(), decay=0.9)
    again.load_state_dict(copy.deepcopy(ema.state_dict()))
    assert again.num_updates == 300
    torch.testing.assert_close(again.model.state_dict(), ema.model.state_dict())


def test_average_is_what_is_validated() -> None:
    place = Place(device=CPU)
    plain, averaged = (Learner(small_recipe(ema_decay=d), [], place) for d in (None, 0.99))
    assert plain.answer is plain.model and averaged.answer is not averaged.model
    assert list(averaged.answer.state_dict()) == list(plain.model.state_dict())


def test_parameters_without_use_get_a_gradient_of_zero() -> None:
    learner = Learner(small_recipe(), [], Place(device=CPU))
    target = torch.full((2, 3), 1 / 3)
    batch = {
        "frames": torch.zeros(2, 2, 2, 33, 33, 3, dtype=torch.uint8),
        "clip_mask": torch.zeros(2, 2, dtype=torch.bool),
        "keypoints": torch.zeros(2, 16, 17, 3),
        "body_mask": torch.zeros(2, dtype=torch.bool),
        "target": target,
        "weight": torch.ones(2),
    }
    values = learner.backward(batch)
    assert float(values["total"]) == 0 and float(values["gradient_norm"]) == 0
    assert all(p.grad is not None and not p.grad.any() for p in learner.model.parameters())
    learner.update(0.1, values["gradient_norm"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch warns about what it does itself
def test_compiled_networks_compute_the_same_for_any_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body's, by all of torch.compile but its last stage, the C++ or GPU code: the rest takes minutes."""
    recipe = small_recipe(optimizer="sgd")
    sections = {"face": None, "fusion": None}
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update=sections)})
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain, compiled = (Learner(recipe, [], Place(device=CPU)) for _ in range(2))
    names = list(compiled.model.state_dict())
    compile_networks(compiled.model)
    generator = torch.Generator().manual_seed(0)
    for num_rows in (6, 9, 1, 0):
        batch = {
            "keypoints": 100 * torch.rand(9, 16, 17, 3, generator=generator),
            "body_mask": torch.arange(9) < num_rows,
            "target": torch.full((9, 3), 1 / 3),
            "weight": torch.ones(9),
        }
        found = []
        for learner in (plain, compiled):
            learner.model.train()
            values = learner.backward(batch)
            learner.update(1e-3, values["gradient_norm"])
            found.append([float(value) for value in values.values()])
        np.testing.assert_allclose(found[1], found[0], rtol=1e-3, err_msg=str(num_rows))
    assert list(compiled.model.state_dict()) == names
    outputs = [learner.model.eval()(batch)["body"] for learner in (plain, compiled)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-3, atol=1e-3)


def test_feed_brings_every_batch_in_order_and_makes_the_next_one_meanwhile() -> None:
    class Loader:
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            for number in range(5):
                time.sleep(0.05)
                yield {"x": torch.tensor(number)}

    waiting = {}
    for in_thread in (False, True):
        feed = Feed(Loader(), CPU, in_thread=in_thread)
        seen = []
        for batch in feed:
            seen.append(int(batch["x"]))
            time.sleep(0.1)  # a step, longer than making a batch
        assert seen == list(range(5))
        waiting[in_thread] = feed.waiting_seconds
    # Only the first batch is waited for where a thread makes the next one.
    assert waiting[False] >= 0.25
    assert waiting[True] < 0.6 * waiting[False]


def test_an_error_in_the_feed_is_the_error_of_the_loader() -> None:
    def batches() -> Iterator[dict[str, Tensor]]:
        yield {"x": torch.tensor(0)}
        raise KeyError("crop")

    feed = iter(Feed(batches(), CPU, in_thread=True))
    next(feed)
    with pytest.raises(KeyError, match="crop"):
        next(feed)


def test_a_feed_that_is_left_stops_its_thread() -> None:
    def batches() -> Iterator[dict[str, Tensor]]:
        while True:
            yield {"x": torch.tensor(0)}

    feed = iter(Feed(batches(), CPU, in_thread=True))
    next(feed)
    assert [thread.name for thread in threading.enumerate()].count("training-feed") == 1
    feed.close()  # type: ignore[attr-defined]
    assert "training-feed" not in [thread.name for thread in threading.enumerate()]


def test_running_sums_go_on_and_remember_what_was_not_finite() -> None:
    sums = Sums({}, CPU)
    sums.add({"total": torch.tensor(2.0), "gradient_norm": torch.tensor(1.0)}, 0)
    assert sums.first_non_finite() is None
    sums = Sums(sums.read(), CPU)
    sums.add({"total": torch.tensor(3.0), "gradient_norm": torch.tensor(torch.inf)}, 1)
    sums.add({"total": torch.tensor(torch.nan), "gradient_norm": torch.tensor(1.0)}, 2)
    assert sums.first_non_finite() == (1, 3.0, float("inf"))

    half = Sums({}, CPU)
    half.add(
        {"total": torch.tensor(2.0), "gradient_norm": torch.tensor(torch.inf)}, 0, gradient_may_overflow=True
    )
    assert half.first_non_finite() is None and half.read() == {"total": 2.0, "gradient_norm": 0.0}
    half.add(
        {"total": torch.tensor(torch.inf), "gradient_norm": torch.tensor(1.0)}, 1, gradient_may_overflow=True
    )
    assert half.first_non_finite() == (1, float("inf"), 0.0)
