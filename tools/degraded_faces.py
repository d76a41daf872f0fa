"""The picture of the docs on degraded faces: each kind of loss at its strongest, and samples as in training.

    make demo; .venv/bin/python -m tools.degraded_faces --store demo/store [--out docs/images]

Takes synthetic faces of the demo's store, and the losses as `DegradeRecipe` has them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cache.atomic import atomic_write
from cache.reader import StoreReader
from videofer.data.degradation import degraded
from videofer.recipe import DegradeRecipe

KINDS = {
    "resolution_loss": "resolution",
    "blur": "lens",
    "gamma": "light",
    "tint": "white balance",
    "noise": "sensor",
    "compression": "codec",
    "grey": "no colour",
}
NUM_ROWS = 3
NUM_TRIES = 64  # of which the strongest is shown
_INK, _FAINT = "#22262b", "#6b737c"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="the demo's")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the picture")
    arguments = parser.parse_args()
    faces = read_faces(arguments.store, NUM_ROWS)
    columns = {"as it is": faces}
    for kind, title in KINDS.items():
        columns[title] = np.stack([strongest(face, only(kind)) for face in faces])
    for number in range(1, 5):
        columns[f"sample {number}"] = change(faces, DegradeRecipe(), first=97 * number)
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw(columns, arguments.out / "degraded_faces.png")


def read_faces(store: Path, num: int) -> np.ndarray:
    """(num, S, S, 3) uint8: of the first videos of as many subjects, a frame in the middle."""
    reader = StoreReader(store)
    firsts = {Path(video.names[0]).parent.name: video for video in reversed(reader.videos())}
    crops = []
    for name in sorted(firsts):
        video = firsts[name]
        track = reader.track(video.key, video.persons[0].id)
        if len(crops) < num and len(track.face_state):
            crops.append(reader.read_crops(track, np.array([len(track.face_state) // 2]))[0])
    return np.stack(crops)


def only(kind: str) -> DegradeRecipe:
    """That kind of loss alone, as strong as the defaults allow, in every sample."""
    nothing: dict[str, Any] = dict.fromkeys(DegradeRecipe.model_fields, 0.0)
    value = 1.0 if kind == "grey" else getattr(DegradeRecipe(), kind)
    return DegradeRecipe(**{**nothing, "share": 1.0, kind: value})


def change(faces: np.ndarray, recipe: DegradeRecipe, *, first: int) -> np.ndarray:
    """(B, S, S, 3) uint8 -> the same, each with a seed of its own."""
    pixels = torch.from_numpy(faces)[:, None, None].float() / 255
    there = torch.ones(len(faces), 1, dtype=torch.bool)
    changed = degraded(pixels, there, recipe, torch.arange(first, first + len(faces)))
    found: np.ndarray = (255 * changed[:, 0, 0]).round().clamp(0, 255).byte().numpy()
    return found


def strongest(face: np.ndarray, recipe: DegradeRecipe) -> np.ndarray:
    """(S, S, 3) uint8: the draw that is farthest from the face, in its pixels and between its colours."""
    tries = change(np.stack([face] * NUM_TRIES), recipe, first=0)
    moved = tries.astype(np.int64) - face
    distances = np.abs(moved).mean(axis=(1, 2, 3)) + 2 * moved.mean(axis=(1, 2)).std(axis=1)
    found: np.ndarray = tries[distances.argmax()]
    return found


def draw(columns: dict[str, np.ndarray], path: Path) -> None:
    """Writes a PNG: a row for each face, a column for each kind."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.6, 4.3), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        NUM_ROWS, len(columns), left=0.01, right=0.99, top=0.91, bottom=0.02, wspace=0.06, hspace=0.06
    )
    for place, (title, faces) in enumerate(columns.items()):
        for row, face in enumerate(faces):
            axes = figure.add_subplot(grid[row, place])
            axes.imshow(face, interpolation="lanczos")
            axes.set_axis_off()
            if row == 0:
                colour = _FAINT if title.startswith("sample") else _INK
                axes.set_title(title, fontsize=12, color=colour, pad=6)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


if __name__ == "__main__":
    main()
