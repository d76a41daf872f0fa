"""A small set in the forms of FER2013: stripes whose place tells the class, nothing of the real set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from preprocessing.config_file import validate
from videofer.datasets.fer2013 import FIRST_ROWS, LABELS, SIDE, USAGES, Fer2013, official_name
from videofer.datasets.ferplus import ANSWERS
from videofer.recipe import Recipe

WORDS = {"training": "Training", "publictest": "PublicTest", "privatetest": "PrivateTest"}


def make_set(
    num_training: int = 70, num_public: int = 14, num_private: int = 14, *, seed: int = 0
) -> Fer2013:
    """Classes in turn, rows as in a CSV file of this length. Ten votes each, six of them for the class."""
    rng = np.random.default_rng(seed)
    usage = np.repeat([0, 1, 2], [num_training, num_public, num_private])
    num = len(usage)
    label = np.arange(num) % len(LABELS)
    images = rng.integers(0, 120, (num, SIDE, SIDE)).astype(np.uint8)
    votes = np.zeros((num, len(ANSWERS)), np.int64)
    for place, each in enumerate(label.tolist()):
        images[place, 6 * each : 6 * each + 6] += 130
        votes[place, ANSWERS.index(LABELS[each])] = 6
        votes[place, rng.choice(8)] += 4
    return Fer2013(
        images=images,
        label=label,
        usage=usage,
        row=np.arange(num),
        names=[official_name(each, row) for row, each in enumerate(usage.tolist())],
        votes=votes,
    )


def write_csv(data: Fer2013, path: Path, *, votes: bool = True) -> None:
    """fer2013.csv, and fer2013new.csv beside it."""
    path.mkdir(parents=True, exist_ok=True)
    lines = ["emotion,pixels,Usage"]
    for image, label, usage in zip(data.images, data.label, data.usage, strict=True):
        pixels = " ".join(map(str, image.ravel().tolist()))
        lines.append(f"{label},{pixels},{WORDS[USAGES[usage]]}")
    (path / "fer2013.csv").write_text("\n".join(lines) + "\n")
    if not votes or data.votes is None:
        return
    header = ["Usage", "Image name", *ANSWERS[:-1], "NF"]
    rows = [
        [WORDS[USAGES[usage]], f"fer{row:07d}.png", *map(str, each)]
        for row, (usage, each) in enumerate(zip(data.usage, data.votes.tolist(), strict=True))
    ]
    text = "\n".join(",".join(row) for row in [header, *rows])
    (path / "fer2013new.csv").write_text(text + "\n")


def official_rows(data: Fer2013) -> np.ndarray:
    """(N,) rows that the pictures could have in the whole set: each list from its first row on."""
    first = {usage: int(np.flatnonzero(data.usage == usage)[0]) for usage in np.unique(data.usage).tolist()}
    return np.array([FIRST_ROWS[u] + place - first[u] for place, u in enumerate(data.usage.tolist())])


def write_pack(data: Fer2013, path: Path) -> None:
    """A packed file; the residuals are made here pixel by pixel, as the format says."""
    levels = np.zeros((len(data), SIDE + 1, SIDE + 1), np.int64)
    levels[:, 1:, 1:] = data.images
    a, b, c = levels[:, 1:, :-1], levels[:, :-1, 1:], levels[:, :-1, :-1]
    predicted = np.median(np.stack([a, b, a + b - c]), axis=0).astype(np.int64)
    np.savez_compressed(
        path,
        residual=((levels[:, 1:, 1:] - predicted) % 256).astype(np.uint8),
        label=data.label.astype(np.uint8),
        votes=np.asarray(data.votes).astype(np.uint8),
        row=official_rows(data).astype(np.int32),
    )


def write_folder(data: Fer2013, path: Path, folders: dict[str, str], *, prefixed: bool = False) -> None:
    """<folder of the list>/<label>/<file>.png; prefixed: the list begins the file's name."""
    for place, (image, label, usage) in enumerate(
        zip(data.images, data.label.tolist(), data.usage.tolist(), strict=True)
    ):
        folder = path / folders[USAGES[usage]] / LABELS[label]
        folder.mkdir(parents=True, exist_ok=True)
        prefix = WORDS[USAGES[usage]] + "_" if prefixed else "im"
        assert cv2.imwrite(str(folder / f"{prefix}{place:05d}.png"), image)


def small_recipe(classes: tuple[str, ...]) -> Recipe:
    """A model that learns the stripes in seconds."""
    values = {
        "name": "stripes",
        "data": {"classes": list(classes), "num_clips": 1, "num_frames": 1, "clip_seconds": 0.1,
                 "window_seconds": 0.1, "eval_windows": 1},
        "model": {"face": {"trunk": "resnet18", "width": 4, "input_size": 33, "heads": ["clip"],
                           "score": "fitted"}},
        "training": {"epochs": 6, "batch_size": 32, "lr": 0.01,
                     "augment": {"flip": 0, "rotate_degrees": 0, "scale": 0}},
    }  # fmt: skip
    return validate(values, Recipe, source="recipe")
