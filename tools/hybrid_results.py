"""The face-and-body hybrid, leave-one-performer-out, on the synthetic acted set: figures of docs/hybrid.md.

    python -m tools.hybrid_results WORK [--workers N] [--weights-dir DIR] [--set training.epochs=3 ...]

Makes the set, then runs what a researcher types who has GEMEP: `videofer datasets manifest` for seven and for
twelve classes, `preprocess`, `crossval --protocol lopo`. Everything lies in WORK: what is there is not made
again, and a cross-validation goes on where it stopped. At the end the table between the markers of
docs/hybrid.md, its six matrices and the picture of some portrayals are made anew.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from videofer.emotions.label_sets import LABEL_SETS
from videofer.reproduce.published import published
from videofer.synthetic.acted_states import MODALITIES, Modality, Shown, ceilings

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "hybrid.md"
PICTURE = ROOT / "docs" / "images" / "hybrid_confusion.png"
PORTRAYALS = ROOT / "docs" / "images" / "acted.png"
CHAIN = ("amusement", "joy", "anger", "irritation", "pride", "interest")
"""Neighbours share the face or the gesture."""
SHOWN_AT = 1.4  # seconds
RECIPE = ROOT / "configs" / "train" / "hybrid_small.yaml"
LABELS = ("gemep7", "gemep12")
HEADS: dict[Modality, str] = {"face": "face", "body": "body", "whole": "fused"}
VIDEOFER = [sys.executable, "-c", "from videofer.cli import main; main()"]
INK, FAINT = "#1a2a3a", "#6b737c"


@dataclass(frozen=True)
class Branch:
    """One branch on one label set."""

    labels: str
    modality: Modality
    metrics: dict[str, Any]  # of the head, as in metrics.json
    fold_war: pd.Series  # accuracy of each performer
    best: float  # accuracy of the best possible observer
    reported: float | None  # on GEMEP, by others


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder for the set, the store and the runs; kept")
    parser.add_argument("--workers", type=int, default=1, help="processes, and folds at once")
    parser.add_argument("--weights-dir", type=Path, help="where YuNet's weights are")
    parser.add_argument("--set", action="append", default=[], help="of the recipe, as for crossval")
    arguments = parser.parse_args()
    run_all(arguments.work, arguments.workers, arguments.weights_dir, arguments.set)
    branches = read_all(arguments.work)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), table(branches)), encoding="utf-8")
    save_picture(branches, PICTURE)
    save_portrayals(arguments.work / "acted", PORTRAYALS)
    print(table(branches))


def run_all(work: Path, workers: int, weights_dir: Path | None, overrides: list[str]) -> None:
    """The commands of docs/hybrid.md, those whose result is not there yet."""
    acted, store = work / "acted", work / "store"
    if not (acted / "GEMEP" / "shown.csv").is_file():
        _videofer("datasets", "acted", "--out", acted, "--workers", workers)
    for name in LABELS:
        _videofer("datasets", "manifest", acted, "--labels", name, "--out", work / f"{name}.csv")
    where = ["--weights-dir", weights_dir] if weights_dir else []
    _videofer("preprocess", acted, "--out", store, "--pose", "sidecar", "--workers", workers, *where)
    for name in LABELS:
        runs, classes = work / name, ", ".join(LABEL_SETS[name].classes)
        options = ["--store", store, "--manifest", work / f"{name}.csv", "--out", runs, "--protocol", "lopo"]
        for override in [f"data.classes=[{classes}]", *overrides]:
            options += ["--set", override]
        resume = ["--resume"] if (runs / "crossval.json").is_file() else []
        _videofer("crossval", RECIPE, *options, "--workers", workers, *resume)


def _videofer(*arguments: object) -> None:
    subprocess.run([*VIDEOFER, *map(str, arguments)], check=True)


def read_all(work: Path) -> list[Branch]:
    """What came out, in the order of the table."""
    shown = pd.read_csv(work / "acted" / "GEMEP" / "shown.csv")
    portrayals = [
        Shown(str(state), face_shown=face != "rest", body_shown=gesture != "rest")
        for state, face, gesture in zip(shown["state"], shown["face"], shown["gesture"], strict=True)
    ]
    branches = []
    for name in LABELS:
        heads = json.loads((work / name / "metrics.json").read_text(encoding="utf-8"))["heads"]
        folds = pd.read_csv(work / name / "folds.csv")
        best = ceilings(portrayals, LABEL_SETS[name].classes)
        for modality, head in HEADS.items():
            war = folds[f"{head}_war"]
            others = reported(name, modality)
            branches.append(Branch(name, modality, heads[head], war, best[modality], others))
    return branches


def reported(labels: str, modality: Modality) -> float | None:
    """Accuracy on GEMEP of the hybrid of the literature."""
    rows = [
        one.value
        for one in published("gemep", "NTUST hybrid")
        if (one.labels, one.branch, one.metric) == (labels, modality, "war")
    ]
    return rows[0] if rows else None


def table(branches: list[Branch]) -> str:
    """Markdown."""
    lines = [
        "| classes | branch | WAR, all portrayals | mean ± sd of 10 performers | UAR | macro-F1 "
        "| best possible | on GEMEP, by others |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in branches:
        figures = one.metrics
        bold = "**" if one.modality == "whole" else ""
        low, high = figures["intervals"]["war"]
        mean, spread = f"{one.fold_war.mean():.1%}", f"{100 * one.fold_war.std():.1f}"
        others = f"{one.reported:.1%}" if one.reported is not None else ""
        lines.append(
            f"| {len(figures['support'])} | {one.modality} | {bold}{figures['war']:.1%}{bold} "
            f"[{100 * low:.1f}, {100 * high:.1f}] | {mean} ± {spread} "
            f"| {figures['uar']:.1%} | {figures['macro_f1']:.1%} | {one.best:.1%} | {others} |"
        )
    return "\n".join(lines).replace("%", " %")


def filled(page: str, lines: str) -> str:
    """The page with the table between its markers. ValueError where they are missing."""
    between = r"(<!-- results -->\n).*?(<!-- /results -->)"
    new, count = re.subn(between, lambda m: f"{m[1]}{lines}\n{m[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE} must hold the markers <!-- results --> and <!-- /results --> once")
    return new


def save_picture(branches: list[Branch], path: Path) -> None:
    """Six matrices: face, body and whole, by seven and by twelve classes."""
    figure = Figure(figsize=(15.5, 11.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 3, gridspec_kw={"height_ratios": [1, 1.04]})
    for axes, branch in zip(grid.flat, branches, strict=True):
        _matrix(axes, branch, is_first=branch.modality == MODALITIES[0])
    figure.get_layout_engine().set(h_pad=0.02, hspace=0.01)  # type: ignore[union-attr, call-arg]
    figure.suptitle(
        "Leave one performer out on ten synthetic performers: face, body, whole", fontsize=15, color=INK
    )
    figure.supxlabel(
        "Rows are the truth, columns what was said; cells count portrayals. These people are synthetic: the "
        "figures in grey are of GEMEP and by others, and cannot be compared.",
        fontsize=10.5,
        color=FAINT,
    )
    with path.open("wb") as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def _matrix(axes: Axes, branch: Branch, *, is_first: bool) -> None:
    counts = np.array(branch.metrics["confusion"])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size, names = len(counts), list(branch.metrics["support"])
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for row, column in np.ndindex(size, size):
        if counts[row, column]:
            ink = "white" if share[row, column] > 0.55 else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=10, color=ink)
    axes.set_xticks(range(size), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=10)
    shown = [f"{name} ({count})" for name, count in branch.metrics["support"].items()]
    axes.set_yticks(range(size), shown if is_first else [""] * size, fontsize=10)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#e4e8ec", linewidth=1)
    axes.tick_params(which="both", length=0, colors=INK)
    for spine in axes.spines.values():
        spine.set_color("#c4cad0")
    title = f"{branch.modality}, {size} classes: {branch.metrics['war']:.1%}".replace("%", " %")
    axes.set_title(title, fontsize=13, loc="left", color=INK, pad=8)
    if branch.reported is not None:
        said = f"others on GEMEP: {branch.reported:.1%}".replace("%", " %")
        axes.set_title(said, fontsize=10.5, loc="right", color=FAINT, pad=8)


def save_portrayals(acted: Path, path: Path) -> None:
    """A frame of each state of CHAIN, all by the first performer who hides nothing in any of them."""
    shown = pd.read_csv(acted / "GEMEP" / "shown.csv", dtype=str)
    chain = shown[shown["state"].isin(CHAIN) & (shown["face"] != "rest") & (shown["gesture"] != "rest")]
    whole = [rows for _, rows in chain.groupby("performer") if len(rows) == len(CHAIN)]
    if not whole:
        raise ValueError(f"no performer of {acted} shows all of {', '.join(CHAIN)}: try another seed")
    rows = whole[0].set_index("state").loc[list(CHAIN)]
    figure = Figure(figsize=(12, 3.75), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (state, row) in zip(figure.subplots(1, len(CHAIN)), rows.iterrows(), strict=True):
        axes.imshow(_frame_at(acted / row["path"], SHOWN_AT))
        axes.set_axis_off()
        axes.set_title(str(state), fontsize=11.5, color=INK, pad=4)
        said = f"face: {row['face']}\ngesture: {row['gesture']}"
        axes.text(0.5, -0.02, said, transform=axes.transAxes, ha="center", va="top", fontsize=9, color=FAINT)
    with path.open("wb") as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def _frame_at(video: Path, seconds: float) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the first frame at that time or later."""
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= seconds:
                return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    raise ValueError(f"{video} ends before {seconds} s")


if __name__ == "__main__":
    main()
