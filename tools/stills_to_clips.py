"""What a model of stills is worth for clips: one recipe and the same seeds, from scratch and from its trunk.

    make demo; .venv/bin/python -m tools.stills_to_clips --stills RUN --store demo/store --work DIR

RUN is a model of stills, as `videofer train configs/train/builtin.yaml` leaves it, or the word "builtin". The
clip model is the face of RECIPE with RUN's trunk: in half of the trainings with random weights, in the other
half with those of RUN (`training.init_from`). Each training lies in DIR and is gone on with where it was
stopped. Writes OUT/stills_to_clips.png, and prints the table for the docs. `--quick` takes 3 epochs of 64
samples and 2 seeds, to see that everything works.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cache.atomic import atomic_write, atomic_write_text
from videofer.checkpoint import TrainedModel
from videofer.evaluation.report import evaluate
from videofer.export import load_model
from videofer.recipe import Recipe, load_recipe
from videofer.training.progress import print_progress
from videofer.training.run import train

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "train" / "demo.yaml"
SCRATCH, STILLS = "from scratch", "from stills"
SHOWN_EPOCHS = (1, 2, 3, 5, 10, 20, 30)
_HEADS = (
    "dropout", "heads", "score", "normalize_features", "feature_hidden", "emotion_hidden", "scn",
    "landmark_weight",
)  # fmt: skip
"""What a face model has besides its trunk: the clip recipe's, not the stills'."""
_QUICK = {"epochs": 3, "samples_per_epoch": 64, "warmup_epochs": 0.5}
_INK, _FAINT, _GRID = "#22262b", "#6b737c", "#e6e9ed"
_COLOURS = {SCRATCH: "#e08e0b", STILLS: "#2f6690"}


@dataclass(frozen=True)
class Course:
    """One training."""

    start: str  # SCRATCH or STILLS
    seed: int
    uar: list[float]  # on the validation subjects, after each epoch
    loss: list[float]  # negative log-likelihood on the training subjects, of the model's answer
    test_uar: float  # of the kept epoch, on the test subjects
    test_accuracy: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stills", required=True, help='folder of the model of stills, or "builtin"')
    parser.add_argument("--store", type=Path, required=True, help="store of clips, as the demo's")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="of the clip model (default: the demo's)")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--samples", type=int, help="of an epoch; default: the recipe's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, required=True, help="folder for the trainings; kept")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the picture")
    parser.add_argument("--quick", action="store_true", help="to see that everything works")
    arguments = parser.parse_args()
    wanted = {"epochs": arguments.epochs, "samples_per_epoch": arguments.samples}
    overrides: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    if arguments.quick:
        overrides, arguments.seeds = _QUICK, arguments.seeds[:2]
    base, stills = load_recipe(arguments.recipe), load_model(arguments.stills, device="cpu")
    courses = []
    for seed in arguments.seeds:
        for start in (SCRATCH, STILLS):
            recipe = clip_recipe(base, stills, start, seed=seed, **overrides)
            courses.append(run(recipe, arguments.store, arguments.work, start))
    chance = 1 / len(base.data.classes)
    atomic_write_text(
        arguments.work / "courses.json", json.dumps([vars(course) for course in courses], indent=2) + "\n"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw(courses, arguments.out / "stills_to_clips.png", chance=chance)
    print(table(courses))


def clip_recipe(base: Recipe, stills: TrainedModel, start: str, *, seed: int, **training: Any) -> Recipe:
    """The face of `base` with the trunk of `stills`, to be trained from there or from scratch.

    training: further keys of that section. ValueError where one of them has no face.
    """
    heads, trunk = base.model.face, stills.recipe.model.face
    if heads is None or trunk is None:
        raise ValueError("both the clip recipe and the model of stills need a face")
    face = replace(trunk, **{name: getattr(heads, name) for name in _HEADS})
    settings = base.training.model_copy(
        update={**training, "seed": seed, "init_from": str(stills.path) if start == STILLS else None}
    )
    model = base.model.model_copy(update={"face": face, "body": None, "fusion": None})
    return base.model_copy(update={"name": f"clips {start}", "model": model, "training": settings})


def run(recipe: Recipe, store: Path, work: Path, start: str) -> Course:
    """Trains, or goes on with what is there, and evaluates the kept epoch on the test subjects."""
    seed = recipe.training.seed
    folder = work / f"{start.replace(' ', '_')}_{seed}"
    train(recipe, store, folder, resume=True, progress=print_progress)
    history = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["history"]
    report = evaluate(folder, store, work / f"{folder.name}_evaluation")
    metrics = report.metrics["face"]
    *_, answer = (name for name in history[0] if name.startswith("train/face"))
    return Course(
        start=start,
        seed=seed,
        uar=[figures["val/uar"] for figures in history],
        loss=[figures[answer] for figures in history],
        test_uar=metrics.uar,
        test_accuracy=metrics.war,
    )


def table(courses: Sequence[Course]) -> str:
    """Markdown: the validation subjects' UAR after some epochs, and the test subjects' at the end."""
    num_epochs = max(len(course.uar) for course in courses)
    shown = [epoch for epoch in SHOWN_EPOCHS if epoch <= num_epochs]
    lines = [
        "| UAR after epoch | " + " | ".join(map(str, shown)) + " | test subjects |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for start in (SCRATCH, STILLS):
        own = [course for course in courses if course.start == start]
        cells = [_spread([c.uar[min(epoch, len(c.uar)) - 1] for c in own]) for epoch in shown]
        lines.append(f"| {start} | " + " | ".join([*cells, _spread([c.test_uar for c in own])]) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def draw(courses: Sequence[Course], path: Path, *, chance: float) -> None:
    """Writes a PNG: a thin line for each training, a thick one for the mean of each start."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1, wspace=0.04)
    figure = Figure(figsize=(12.8, 5.6), dpi=150, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    uar, loss = figure.subplots(1, 2)
    _lines(uar, {start: [c.uar for c in courses if c.start == start] for start in _COLOURS})
    _lines(loss, {start: [c.loss for c in courses if c.start == start] for start in _COLOURS})
    uar.set_ylim(0, 1.02)
    loss.set_ylim(bottom=0)
    uar.axhline(chance, color=_FAINT, linewidth=1, linestyle=(0, (1, 3)))
    uar.text(1, chance, "chance", transform=uar.get_yaxis_transform(), color=_FAINT, va="bottom", ha="right")
    _finish(uar, "UAR, validation subjects")
    _finish(loss, "negative log-likelihood, training")
    seeds = len({course.seed for course in courses})
    title = f"Clips: the same recipe from scratch and from a model of stills, {seeds} seeds"
    figure.suptitle(title, x=0.012, ha="left", fontsize=16, fontweight="bold", color=_INK)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def _lines(axes: Axes, values: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """values: by start, of each training, by epoch; some may have been stopped early."""
    for start, trainings in values.items():
        colour, shortest = _COLOURS[start], min(map(len, trainings))
        for one in trainings:
            axes.plot(range(1, len(one) + 1), one, color=colour, linewidth=1, alpha=0.35)
        mean = np.mean([one[:shortest] for one in trainings], axis=0)
        line = {"color": colour, "linewidth": 2.8, "solid_capstyle": "round"}
        axes.plot(range(1, shortest + 1), mean, label=start, **line)
    axes.legend(loc="best", frameon=False, labelcolor="linecolor", fontsize=13, handlelength=1.2)


def _finish(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epoch", color=_FAINT)
    axes.set_title(title, loc="left", color=_INK, fontsize=13, fontweight="bold")
    axes.grid(axis="y", color=_GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_FAINT, length=0, labelsize=11)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)


if __name__ == "__main__":
    main()
