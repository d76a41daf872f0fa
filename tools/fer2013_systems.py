"""The systems of docs/fer2013.md beside each other: rows of the table, confusion matrices as one picture.

    .venv/bin/python -m tools.fer2013_systems EVALUATIONS --out docs/images/fer2013_systems.png

EVALUATIONS holds a folder for each system, named as its recipe without `fer2013_`, as
`videofer evaluate --model RUN --fer2013 PATH --out EVALUATIONS/<name>` writes it. Systems that are not there
are left out.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cache.atomic import atomic_write

SYSTEMS = {
    "cnn": ("CNN", 62.6),
    "cnn_sift": ("SIFT-CNN", 61.2),
    "cnn_dsift": ("DSIFT-CNN", 59.0),
    "cnn_and_sift": ("CNN + SIFT-CNN", 64.9),
    "cnn_and_dsift": ("CNN + DSIFT-CNN", 63.5),
    "all_cnn": ("all three CNNs", 65.1),
    "vgg": ("VGG", 66.8),
    "vgg_sift": ("SIFT-VGG", 66.7),
    "vgg_dsift": ("DSIFT-VGG", 67.7),
    "vgg_and_sift": ("VGG + SIFT-VGG", 69.2),
    "vgg_and_dsift": ("VGG + DSIFT-VGG", 69.5),
    "all_vgg": ("all three VGGs", 70.4),
    "resnet18": ("ResNet-18", 55.7),
    "vgg19": ("VGG19", 58.9),
    "blend": ("ResNet-18 and VGG19", None),
    "scn": ("SCN, landmarks", None),
    "arm": ("ARM", 71.4),
    "best": ("our best net", None),
    "best_ensemble": ("our best ensemble", None),
    "best_ferplus": ("our best net, FER+", 85.0),
}
"""Recipe without `fer2013_` -> what it is called, and what its authors reported, in per cent.

The CNNs, VGGs and their means: chiehhsi/Expression_Recognition. ResNet-18 and VGG19: a report on their blend.
ARM: Shi and Zhu, arXiv 2103.10189v1. FER+: Barsoum et al., 2016. Each for a split of its own.
"""

COLUMNS = 4
SHORT = {
    "neutral": "neu",
    "anger": "ang",
    "disgust": "dis",
    "fear": "fea",
    "happiness": "hap",
    "sadness": "sad",
}


@dataclass(frozen=True)
class System:
    """One system as it was measured on PublicTest."""

    name: str
    title: str
    reported: float | None  # per cent
    labels: tuple[str, ...]
    confusion: np.ndarray  # (n, n) counts, rows the truth
    accuracy: float  # all three in per cent
    accuracy_without_copies: float
    uar: float

    @property
    def row(self) -> str:
        """Its row of the table, as far as an evaluation knows it."""
        reported = "" if self.reported is None else f"{self.reported:.1f}"
        return (
            f"| `{self.name}` | {reported} | **{self.accuracy:.1f}** ({self.accuracy_without_copies:.1f}) "
            f"| {self.uar:.1f} |"
        )


def read_systems(evaluations: Path) -> list[System]:
    """Those that are there, in the order of SYSTEMS. Recipes that nobody knows are told on the way."""
    for folder in sorted(evaluations.iterdir()):
        if folder.is_dir() and folder.name not in SYSTEMS:
            print(f"{folder} is none of the systems, left out", file=sys.stderr)
    return [
        _read(evaluations / name, title, reported)
        for name, (title, reported) in SYSTEMS.items()
        if (evaluations / name / "figures.json").is_file()
    ]


def _read(folder: Path, title: str, reported: float | None) -> System:
    found = json.loads((folder / "figures.json").read_text(encoding="utf-8"))["evaluations"]
    labels = next(iter(found))  # those that it learned come first
    whole = list(found[labels].values())[-1]
    without = list(found.get(f"{labels}_without_copies", found[labels]).values())[-1]  # there may be none
    return System(
        name=folder.name,
        title=title,
        reported=reported,
        labels=tuple(whole["recall"]),
        confusion=np.array(whole["confusion"]),
        accuracy=100 * whole["war"],
        accuracy_without_copies=100 * without["war"],
        uar=100 * whole["uar"],
    )


def draw(systems: list[System], out: Path) -> None:
    """Confusion matrices beside each other: shares of each true class, as colour and in per cent."""
    from matplotlib.figure import Figure

    num_rows = math.ceil(len(systems) / COLUMNS)
    figure = Figure(figsize=(3.1 * COLUMNS, 3.35 * num_rows + 0.3), layout="constrained", dpi=110)
    all_axes = figure.subplots(num_rows, COLUMNS, squeeze=False).ravel()
    for place, axes in enumerate(all_axes):
        if place >= len(systems):
            axes.axis("off")
            continue
        system = systems[place]
        shares = system.confusion / np.maximum(system.confusion.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*shares.shape):
            if shares[row, column] >= 0.005:
                colour = "white" if shares[row, column] > 0.55 else "#333333"
                text = f"{100 * shares[row, column]:.0f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        names = [label[:3] for label in system.labels]
        axes.set_xticks(range(len(names)), names, fontsize=7.5)
        axes.set_yticks(range(len(names)), names if place % COLUMNS == 0 else [], fontsize=7.5)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(f"{system.title}  {system.accuracy:.1f} %", fontsize=9.5)
    figure.suptitle(
        "FER2013, PublicTest: of each true expression (row), how many in 100 are called what (column)",
        fontsize=11,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as file:
        figure.savefig(file, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("evaluations", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    systems = read_systems(args.evaluations)
    if not systems:
        parser.error(f"{args.evaluations} holds no evaluation of a system (<name>/figures.json)")
    draw(systems, args.out)
    print("\n".join(system.row for system in systems))


if __name__ == "__main__":
    main()
