"""The whole path once, on synthetic video with known truth, with the same functions that the commands use.

OUT/data/        synthetic videos, keypoint sidecars, manifest, truth
    store/       what `videofer preprocess` makes of them
    run/         the trained model; run_single_frame/: the control that sees one frame
    evaluation/  figures on the held-out subjects
    timeline/    the long video's timeline beside its truth
    demo.json    all figures, with their floors
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from cache.atomic import atomic_write_text
from cache.errors import UserError
from videofer.resources import config_path
from videofer.synthetic.script import ORDER_PAIR

if TYPE_CHECKING:
    import pandas as pd

    from videofer.recipe import Recipe
    from videofer.timeline.compare import Comparison


PARTS = (
    "data",
    "store",
    "run",
    "run_single_frame",
    "evaluation",
    "evaluation_single_frame",
    "timeline",
    "demo.json",
)


@dataclass(frozen=True)
class Size:
    """How much the demo does, and what it must reach."""

    num_subjects: int
    takes_per_class: int
    epochs: int
    control_epochs: int
    fused_floor: float
    gain_floor: float  # of fused over the better single modality
    order_floor: float
    time_floor: float  # share of the long video's time


FULL = Size(16, 3, 30, 8, fused_floor=0.8, gain_floor=0.08, order_floor=0.9, time_floor=0.8)
SHORT = Size(8, 3, 14, 3, fused_floor=0.35, gain_floor=-1.0, order_floor=0.0, time_floor=0.3)


@dataclass
class Figures:
    """What the demo measured."""

    chance: float
    accuracy: dict[str, float]  # by head, on the held-out subjects
    order_clip: float  # order pair by the clip model, on takes that show the face
    order_single: float  # and by the single-frame model
    order_takes: int
    time_right: float
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def gain(self) -> float:
        """Of fused over the better single modality."""
        return self.accuracy["fused"] - max(self.accuracy["face"], self.accuracy["body"])

    def single_frame_at_chance(self) -> bool:
        """Whether a fair coin would give the control's result, within 2.6 standard deviations (99 %)."""
        return abs(self.order_single - 0.5) <= 2.6 * 0.5 / math.sqrt(max(1, self.order_takes))


def run_demo(out: Path, *, short: bool = False) -> int:
    """Run all stages in `out`, in place of an earlier demo. Returns 0, or 1 where a figure is too low."""
    size = SHORT if short else FULL
    _make_room(out)
    console = Console()
    seconds: dict[str, float] = {}
    recipe, control = _recipes(size)

    with _stage("synthetic data", seconds):
        from videofer.synthetic.dataset import make_dataset

        data = make_dataset(
            out / "data", num_subjects=size.num_subjects, takes_per_class=size.takes_per_class
        )
    with _stage("preprocess", seconds):
        _preprocess(data.root, out / "store", data.manifest)
    with _stage("train", seconds):
        from videofer.training.run import train

        train(recipe, out / "store", out / "run")
    with _stage("train control", seconds):
        train(control, out / "store", out / "run_single_frame")
    with _stage("evaluate", seconds):
        from videofer.evaluation.report import evaluate

        report = evaluate(out / "run", out / "store", out / "evaluation")
        single = evaluate(out / "run_single_frame", out / "store", out / "evaluation_single_frame")
    with _stage("timeline", seconds):
        comparison = _timeline(out, data.long_truth)

    shown = _shown_faces(data.takes)
    order_clip, order_takes = order_accuracy(report.predictions, shown)
    order_single, _ = order_accuracy(single.predictions, shown)
    figures = Figures(
        chance=1 / len(recipe.data.classes),
        accuracy={head: metrics.war for head, metrics in report.metrics.items()},
        order_clip=order_clip,
        order_single=order_single,
        order_takes=order_takes,
        time_right=comparison.share_right,
        seconds=seconds,
    )
    checks = _checks(figures, size)
    _print(console, figures, checks)
    result: dict[str, Any] = {**vars(figures), "checks": {c.name: c.passed for c in checks}}
    atomic_write_text(out / "demo.json", json.dumps(result, indent=2))
    console.print(f"the timeline: {out / 'timeline' / 'long.html'}", highlight=False)
    return 0 if all(c.passed for c in checks) else 1


def _make_room(out: Path) -> None:
    """Remove an earlier demo. Raises UserError where the folder holds anything else."""
    if not out.exists():
        return
    strangers = sorted(path.name for path in out.iterdir() if path.name not in PARTS)
    if strangers:
        raise UserError(
            f"{out} holds {strangers[0]!r}, which is no part of a demo; name a new folder by --out"
        )
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def order_accuracy(predictions: pd.DataFrame, shown: set[str]) -> tuple[float, int]:
    """Share of the order pair's takes told right by the face alone, choosing between these two classes only.

    shown: names of the takes whose face shows the emotion. Returns the share and the number of takes.
    """
    first, second = ORDER_PAIR
    rows = predictions[predictions["label"].isin(ORDER_PAIR) & predictions["name"].isin(shown)]
    said_first = rows[f"face_p_{first}"] > rows[f"face_p_{second}"]
    return float((said_first == (rows["label"] == first)).mean()), len(rows)


def _recipes(size: Size) -> tuple[Recipe, Recipe]:
    """The demo's recipe and its single-frame control, with the epochs of this size."""
    from videofer.recipe import load_recipe

    return (
        load_recipe(config_path("train/demo.yaml"), [f"training.epochs={size.epochs}"]),
        load_recipe(config_path("train/single_frame.yaml"), [f"training.epochs={size.control_epochs}"]),
    )


def _preprocess(folder: Path, store: Path, manifest: Path) -> None:
    """With Ray, faces by detector and skeletons from the sidecars, as for anybody's videos."""
    from preprocessing.spec import PreprocessSpec
    from preprocessing.stage.report import RunReport, text_of
    from preprocessing.stage.run import preprocess
    from videofer.cli.preprocess_labels import save_manifest
    from videofer.cli.progress import StageProgress
    from videofer.datasets.manifest import read_manifest

    accounts: list[RunReport] = []
    with StageProgress() as progress:
        report = preprocess(
            [folder], store, PreprocessSpec(pose="sidecar"), progress=progress, on_end=accounts.append
        )
    print(text_of(accounts[0]))
    missing = save_manifest(store, read_manifest(manifest))
    if report.failures or missing:
        raise UserError(f"the demo's videos did not all go through: {report.failures or missing}")


def _timeline(out: Path, truth_path: Path) -> Comparison:
    """The held-out long video in every form, the truth in its picture, and the share that is right."""
    import pandas as pd

    from cache.reader import StoreReader
    from videofer.checkpoint import load_checkpoint
    from videofer.formats.write import FORMATS
    from videofer.study.products import write_products
    from videofer.timeline.compare import compare_with_truth
    from videofer.timeline.make import make_timeline

    reader = StoreReader(out / "store")
    key = next(v.key for v in reader.videos() if any(name.endswith("long.mp4") for name in v.names))
    truth = pd.read_csv(truth_path)
    timeline = make_timeline(load_checkpoint(out / "run"), reader, key)
    write_products(
        timeline,
        out / "timeline",
        "long",
        FORMATS,
        media=truth_path.with_name("long.mp4"),
        reader=reader,
        truth=truth,
    )
    return compare_with_truth(timeline.rows, truth)


def _shown_faces(takes_path: Path) -> set[str]:
    import pandas as pd

    takes = pd.read_csv(takes_path)
    return set(takes.loc[takes["face_shown"], "path"])


@dataclass(frozen=True)
class _Check:
    name: str
    value: float
    floor: float

    @property
    def passed(self) -> bool:
        return self.value >= self.floor


def _checks(figures: Figures, size: Size) -> list[_Check]:
    checks = [
        _Check("fused accuracy", figures.accuracy["fused"], size.fused_floor),
        _Check("gain of fusion", figures.gain, size.gain_floor),
        _Check("order pair, clip model", figures.order_clip, size.order_floor),
        _Check("long video's time right", figures.time_right, size.time_floor),
    ]
    at_chance = figures.single_frame_at_chance()
    return [*checks, _Check("order pair, single frame, at chance", float(at_chance), 1.0)]


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    print(f"== {name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 1)


def _print(console: Console, figures: Figures, checks: list[_Check]) -> None:
    table = Table(title="videofer demo, on held-out subjects")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("floor", justify="right")
    table.add_column("")
    floors = {check.name: check for check in checks}

    def row(name: str, value: float, check: _Check | None = None, signed: bool = False) -> None:
        text = f"{value:+.3f}" if signed else f"{value:.3f}"
        floor = "" if check is None or check.floor <= 0 else f"{check.floor:.2f}"
        verdict = "" if check is None else ("ok" if check.passed else "TOO LOW")
        table.add_row(name, text, floor, verdict)

    row("chance", figures.chance)
    row("accuracy, face", figures.accuracy["face"])
    row("accuracy, body", figures.accuracy["body"])
    row("accuracy, fused", figures.accuracy["fused"], floors["fused accuracy"])
    row("gain of fusion over the better one", figures.gain, floors["gain of fusion"], signed=True)
    row("order pair, clip model (chance 0.5)", figures.order_clip, floors["order pair, clip model"])
    chance_check = floors["order pair, single frame, at chance"]
    verdict = "at chance" if chance_check.passed else "NOT AT CHANCE"
    table.add_row("order pair, single-frame model", f"{figures.order_single:.3f}", "", verdict)
    row("share of the long video's time right", figures.time_right, floors["long video's time right"])
    table.add_section()
    for name, value in figures.seconds.items():
        table.add_row(f"seconds, {name}", f"{value:.1f}", "", "")
    table.add_row("seconds, all", f"{sum(figures.seconds.values()):.1f}", "", "")
    console.print(table)
