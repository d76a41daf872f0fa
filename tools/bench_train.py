"""Speed of training and of timelines on this device, in five tables; the same figures as JSON beside them.

    make bench-train   (or: .venv/bin/python tools/bench_train.py [--json FILE] [--parts step,recipes])

Parts, all by default:

    step      a training step of the published face model (8 samples of 5 clips of 2 frames, 224 pixels)
              against a port of the published program (`tools/sistcm_port.py`), which runs in float32
    recipes   training and inference of shipped recipes on samples made of noise, by the code that trains
    store     share of an epoch that training waits for its samples, from a store of synthetic video, made
              here (minutes); and a timeline: how many clips pass the trunk, of how many that its windows have
    flops     floating-point operations of a training step against the device's best rate of matrix products

Runs on a GPU where torch has one. Steps to be compared run in turn, and ratios are medians of the ratios
within a turn, so that other work on the machine meets both. `--quick` tries the script with tiny networks;
its figures mean nothing. `--store` takes a store of one's own, whose labels fit the recipe demo.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where videofer is not installed

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from preprocessing.skeletons.layouts import mirror_order
from tools.sistcm_port import PortFaceModel
from videofer.data.augmentation import DeviceAugment
from videofer.recipe import Recipe, load_recipe
from videofer.resources import config_path
from videofer.training.learner import Learner, compile_networks
from videofer.training.place import Place

PARTS = ("step", "recipes", "store", "flops")
PUBLISHED, SHIPPED = "sistcm_published", ("fused", "demo")
MIN_SECONDS = 0.5  # a measurement repeats a step until it has lasted so long
MATRIX_SIDES = {"cpu": (1024, 2048, 4096), "cuda": (2048, 4096, 8192, 16384)}
STORE_BATCHES = {"cpu": 8, "cuda": 100}  # in an epoch of training from a store
QUICK = (
    "model.face.width=4",
    "model.face.input_size=48",
    "model.face.feature_hidden=8",
    "model.face.emotion_hidden=8",
    "training.batch_size=2",
)

Step = Callable[[], object]
Row = dict[str, Any]


class Bench:
    """The device, how long to measure, and how large."""

    def __init__(self, device: str, rounds: int, quick: bool) -> None:
        self.device = torch.device(device)
        self.rounds, self.quick = rounds, quick

    def recipe(self, name: str, *overrides: str) -> Recipe:
        """A shipped recipe."""
        return load_recipe(config_path(f"train/{name}.yaml"), [*(QUICK if self.quick else ()), *overrides])

    def seconds(self, steps: Mapping[str, Step]) -> dict[str, list[float]]:
        """Seconds of one call of each step in each round; the steps take turns."""
        repeats = {}
        for name, step in steps.items():
            step()  # makes what is made once: kernels, graphs, buffers of the optimiser
            repeats[name] = 1 if self.quick else math.ceil(MIN_SECONDS / max(self._time(step, 1), 1e-4))
        rounds = [
            {name: self._time(step, repeats[name]) for name, step in steps.items()}
            for _ in range(self.rounds)
        ]
        return {name: [one[name] for one in rounds] for name in steps}

    def _time(self, step: Step, repeats: int) -> float:
        self._wait()
        began = time.perf_counter()
        for _ in range(repeats):
            step()
        self._wait()
        return (time.perf_counter() - began) / repeats

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def noise_batch(recipe: Recipe, device: torch.device) -> dict[str, Tensor]:
    """A batch of the recipe's shapes on the device; every clip and body is there."""
    spec, size = recipe.sample_spec(), recipe.training.batch_size
    label = torch.arange(size) % len(recipe.data.classes)
    side, clips = spec.input_size, (size, spec.num_clips)
    batch = {
        "frames": torch.randint(0, 256, (*clips, spec.num_frames, side, side, 3), dtype=torch.uint8),
        "clip_mask": torch.ones(clips, dtype=torch.bool),
        "keypoints": 100 * torch.rand(size, spec.body_length, spec.num_joints, 3),
        "body_mask": torch.ones(size, dtype=torch.bool),
        "seed": torch.arange(size),
        "target": torch.nn.functional.one_hot(label, len(recipe.data.classes)).float(),
        "label": label,
        "weight": torch.ones(size),
        "example": torch.arange(size),
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


def training_step(recipe: Recipe, device: torch.device, *, augmented: bool) -> Step:
    """A step by the code that trains, on one batch of noise again and again."""
    learner = learner_of(recipe, device)
    learner.model.train()
    if recipe.training.compile:
        compile_networks(learner.model)
    batch = noise_batch(recipe, device)
    augment = DeviceAugment(recipe.training.augment, mirror=mirror_order("coco17"))

    def step() -> None:
        values = learner.backward(augment(batch) if augmented else batch)
        learner.update(recipe.training.lr, values["gradient_norm"])

    return step


def learner_of(recipe: Recipe, device: torch.device) -> Learner:
    """Without what needs data or a download: the weights of classes, pretrained weights."""
    training = recipe.training.model_copy(update={"class_weights": "none", "pretrained_trunk": None})
    return Learner(recipe.model_copy(update={"training": training}), [], Place(device=device))


def port_step(recipe: Recipe, device: torch.device) -> Step:
    """A step of the published program on a batch of that recipe's shapes, values in [0, 1] on the device."""
    spec, face = recipe.sample_spec(), recipe.model.face
    assert face is not None
    num_classes, size = len(recipe.data.classes), recipe.training.batch_size
    model = PortFaceModel(num_classes, face.width, (face.feature_hidden, face.emotion_hidden)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4)
    side = spec.input_size
    clips = torch.rand(size, spec.num_clips, 3, spec.num_frames, side, side, device=device)
    label = torch.arange(size, device=device) % num_classes

    def step() -> None:
        optimizer.zero_grad()
        model.loss(clips, label).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def step_rows(bench: Bench) -> list[Row]:
    """The published model's step, ours against the port."""
    variants = {
        "float32": ("training.amp='off'",),
        "bfloat16": ("training.amp=bf16",),
        "float32, compiled": ("training.amp='off'", "training.compile=true"),
        "bfloat16, compiled": ("training.amp=bf16", "training.compile=true"),
    }
    steps: dict[str, Step] = {"port, float32": port_step(bench.recipe(PUBLISHED), bench.device)}
    for name, overrides in variants.items():
        if not (bench.quick and "compiled" in name):
            recipe = bench.recipe(PUBLISHED, *overrides)
            steps[f"ours, {name}"] = training_step(recipe, bench.device, augmented=False)
    seconds = bench.seconds(steps)
    port = seconds["port, float32"]
    size = bench.recipe(PUBLISHED).training.batch_size
    return [
        {
            "step": name,
            "seconds": statistics.median(times),
            "fastest": min(times),
            "samples/s": size / statistics.median(times),
            "times as fast": statistics.median(a / b for a, b in zip(port, times, strict=True)),
        }
        for name, times in seconds.items()
    ]


def recipe_rows(bench: Bench) -> list[Row]:
    """Training with augmentation, and inference in float32 as in evaluation."""
    rows = []
    for name in SHIPPED:
        recipe = bench.recipe(name)
        batch = noise_batch(recipe, bench.device)
        network = learner_of(recipe, bench.device).model.eval()

        def infer(network: torch.nn.Module = network, batch: dict[str, Tensor] = batch) -> None:
            with torch.inference_mode():
                network(batch)

        steps: dict[str, Step] = {"inference": infer}
        for amp in ("auto", "bf16") if bench.device.type == "cpu" else ("auto",):
            shipped = bench.recipe(name, f"training.amp={amp}")
            steps[f"training, amp {amp}"] = training_step(shipped, bench.device, augmented=True)
        for what, times in bench.seconds(steps).items():
            middle = statistics.median(times)
            rows.append(
                {
                    "recipe": name,
                    "what": what,
                    "batch": recipe.training.batch_size,
                    "seconds a batch": middle,
                    "samples/s": recipe.training.batch_size / middle,
                }
            )
    return rows


def flop_rows(bench: Bench) -> list[Row]:
    """Convolutions and matrix products of a step, against the best rate of single large matrix products."""
    rows = []
    for precision, amp in (("float32", "'off'"), ("bfloat16", "bf16")):
        if bench.device.type == "cuda" and precision == "float32":
            continue  # its convolutions are not in float32 there (TF32)
        peak = matrix_rate(bench, getattr(torch, precision))
        for name in (PUBLISHED, *SHIPPED):
            step = training_step(bench.recipe(name, f"training.amp={amp}"), bench.device, augmented=False)
            operations = operations_of(step)
            (times,) = bench.seconds({name: step}).values()
            rate = operations / statistics.median(times)
            rows.append(
                {
                    "recipe": name,
                    "precision": precision,
                    "GFLOP a step": operations / 1e9,
                    "GFLOP/s": rate / 1e9,
                    "best GFLOP/s": peak / 1e9,
                    "share": rate / peak,
                }
            )
    return rows


def operations_of(step: Step) -> int:
    """Of convolutions and matrix products, forward and backward; a multiplication and addition are two."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def matrix_rate(bench: Bench, dtype: torch.dtype) -> float:
    """Operations a second of the best square matrix product."""
    rates = []
    for side in (256,) if bench.quick else MATRIX_SIDES[bench.device.type]:
        a, b = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
        (times,) = bench.seconds({"product": lambda a=a, b=b: a @ b}).values()  # type: ignore[misc]
        rates.append(2 * side**3 / min(times))
    return max(rates)


def make_store(folder: Path) -> Path:
    """Synthetic videos of six people, preprocessed as anybody's."""
    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.run import preprocess
    from videofer.cli.preprocess_labels import save_manifest
    from videofer.datasets.manifest import read_manifest
    from videofer.synthetic.dataset import make_dataset

    data = make_dataset(folder / "data", num_subjects=6, takes_per_class=2)
    preprocess([data.root], folder / "store", PreprocessSpec(pose="sidecar"))
    save_manifest(folder / "store", read_manifest(data.manifest))
    return folder / "store"


def waiting_row(recipe: Recipe, store: Path, out: Path) -> Row:
    """Trains and says what share of the last epoch the steps waited for samples."""
    import pandas as pd

    from videofer.training.progress import silent
    from videofer.training.run import train

    train(recipe, store, out, progress=silent)
    last = pd.read_csv(out / "history.csv").iloc[-1]
    return {
        "recipe": recipe.name,
        "loader workers": recipe.training.loader_workers,
        "samples/s": float(last["train/samples_per_second"]),
        "share of time waiting": float(last["train/waiting_share"]),
    }


def timeline_row(run: Path, store: Path, device: torch.device) -> Row:
    """The timeline of the store's longest video: clips through the trunk, and clips that its windows have."""
    from cache.reader import StoreReader
    from videofer.checkpoint import load_checkpoint
    from videofer.timeline.make import make_timeline
    from videofer.timeline.windows import plan_windows

    reader, loaded = StoreReader(store), load_checkpoint(run, device=str(device))
    video = max(reader.videos(), key=lambda video: video.duration)
    tracks = [reader.track(video.key, person.id) for person in video.persons]
    plans = [plan for track in tracks for plan in plan_windows(track, loaded.spec)]
    through = 0

    def count(module: object, inputs: tuple[Tensor, int]) -> None:
        nonlocal through
        through += len(inputs[0]) // inputs[1]

    assert loaded.model.face is not None
    loaded.model.face.trunk.register_forward_pre_hook(count)
    began = time.perf_counter()
    make_timeline(loaded, reader, video.key)
    seconds = time.perf_counter() - began
    clips = sum(int(plan.clip_mask.sum()) for plan in plans)
    return {
        "recipe": loaded.recipe.name,
        "video seconds": video.duration,
        "windows": len(plans),
        "their clips": clips,
        "clips through the trunk": through,
        "saved": clips / max(through, 1),
        "seconds": seconds,
        "times real time": video.duration / seconds,
    }


def store_tables(bench: Bench, store: Path | None) -> dict[str, list[Row]]:
    """Training from a store by both shipped recipes, and a timeline by the demo's model."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = store or make_store(folder)
        waiting = []
        for recipe_name in SHIPPED:
            recipe = bench.recipe(recipe_name, "training.epochs=2")
            samples = STORE_BATCHES[bench.device.type] * recipe.training.batch_size
            recipe = bench.recipe(recipe_name, "training.epochs=2", f"training.samples_per_epoch={samples}")
            waiting.append(waiting_row(recipe, store, folder / recipe_name))
        return {"waiting": waiting, "timeline": [timeline_row(folder / "demo", store, bench.device)]}


TITLES = {
    "step": "A training step of the published face model",
    "recipes": "Shipped recipes, samples of noise",
    "waiting": "Waiting for samples, training from a store",
    "timeline": "A timeline: every clip through the trunk once",
    "flops": "Operations of a training step",
}


def show(console: Console, title: str, rows: list[Row]) -> None:
    """A table with a line for each row."""
    table = Table(title=title)
    for column, value in rows[0].items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)


def machine(device: torch.device) -> Row:
    """What the figures were measured on, and how busy it was besides."""
    gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if gpu else processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": list(os.getloadavg()),
    }


def processor() -> str:
    """The CPU's name, with the vector instructions that torch uses."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.machine()])[0]}, {torch.backends.cpu.get_cpu_capability()}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=Path("bench_train.json"), help="where the figures go")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="of torch; one is the surest on a busy machine")
    parser.add_argument("--store", type=Path, help="a labelled store, instead of a synthetic one")
    parser.add_argument("--quick", action="store_true", help="tiny networks, one round: to try the script")
    given = parser.parse_args(arguments)
    parts = given.parts.split(",")
    if not set(parts) <= set(PARTS):
        parser.error(f"--parts must be of {', '.join(PARTS)}, not {given.parts}")

    if given.threads is not None:
        torch.set_num_threads(given.threads)
    bench = Bench(given.device, 1 if given.quick else given.rounds, given.quick)
    console = Console(width=None if sys.stdout.isatty() else 110)
    results: dict[str, Any] = {"machine before": machine(bench.device)}
    console.print(results["machine before"])
    measures: dict[str, Callable[[], dict[str, list[Row]]]] = {
        "step": lambda: {"step": step_rows(bench)},
        "recipes": lambda: {"recipes": recipe_rows(bench)},
        "store": lambda: store_tables(bench, given.store),
        "flops": lambda: {"flops": flop_rows(bench)},
    }
    for part in parts:
        for name, rows in measures[part]().items():
            results[name] = rows
            show(console, TITLES[name], rows)
    results["machine after"] = machine(bench.device)
    given.json.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"load now {os.getloadavg()[0]:.1f}; figures in {given.json}", highlight=False)


if __name__ == "__main__":
    main()
