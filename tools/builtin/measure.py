"""Measures the built-in model on the faces of FER2013's PublicTest, as they are and made worse.

Letters in shapes: N pictures, S crop side in pixels, n classes of the model.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from cache.reader import StoreReader
from videofer.checkpoint import TrainedModel
from videofer.evaluation.metrics import Metrics, measure

BATCH = 64


@dataclass(frozen=True, eq=False)
class Faces:
    """Aligned faces with both of their labels."""

    crops: np.ndarray  # (N, S, S, 3) uint8 RGB
    fer2013: np.ndarray  # (N,) names
    ferplus: np.ndarray  # (N,) names; None where the votes have no majority
    is_copy: np.ndarray  # (N,) bool: occurs bit for bit in the official Training list


def public_test(store: Path) -> Faces:
    """Those of the split "test" of an aligned store of FER2013 that `videofer datasets` made."""
    reader = StoreReader(store)
    table = reader.store.manifest()
    assert table is not None, f"{store} has no manifest: it is none of FER2013"
    table = table[table["split"] == "test"]
    crops = [reader.read_crops(reader.track(key, 0), np.zeros(1, np.int64))[0] for key in table["key"]]
    best = [None if value != value else value for value in table["ferplus"].astype(object)]
    return Faces(
        crops=np.stack(crops),
        fer2013=table["fer2013"].to_numpy(object),
        ferplus=np.array(best, object),
        is_copy=table["copy"].fillna(False).to_numpy(bool),
    )


def probabilities(model: TrainedModel, crops: np.ndarray) -> np.ndarray:
    """crops (N, S, S, 3) uint8 -> calibrated probabilities (N, n) float64. For a model of single frames."""
    from videofer.data.sampling import resize_crops

    answers = []
    for first in range(0, len(crops), BATCH):
        part = resize_crops(crops[first : first + BATCH], model.spec.input_size)
        batch = {
            "frames": torch.from_numpy(part)[:, None, None],  # (B, C = 1, K = 1, S, S, 3)
            "clip_mask": torch.ones(len(part), 1, dtype=torch.bool),
        }
        answers.append(model.predict(batch)[model.heads[-1]].double().numpy())
    return np.concatenate(answers)


def figures_of(model: TrainedModel, faces: Faces) -> dict[str, Any]:
    """All that the card states: what `figures.json` holds."""
    probs = probabilities(model, faces.crops)
    plus = against_ferplus(probs, model.labels, faces)
    own = against_fer2013(probs, model.labels, faces)
    kept = ~faces.is_copy
    rest = Faces(faces.crops[kept], faces.fer2013[kept], faces.ferplus[kept], faces.is_copy[kept])
    conditions = {}
    for name, change in CONDITIONS.items():
        worse = probabilities(model, np.stack([change(crop) for crop in faces.crops]))
        conditions[name] = against_ferplus(worse, model.labels, faces).war
    return {
        "num_pictures": len(faces.crops),
        "num_copies": int(faces.is_copy.sum()),
        "ferplus": _figures(plus),
        "fer2013": _figures(own),
        "ferplus_without_copies": against_ferplus(probs[kept], model.labels, rest).war,
        "fer2013_without_copies": against_fer2013(probs[kept], model.labels, rest).war,
        "conditions": conditions,
        "latency": latency(model),
    }


def against_ferplus(probs: np.ndarray, labels: tuple[str, ...], faces: Faces) -> Metrics:
    """On the pictures whose FER+ votes have a majority, all classes of the model."""
    known = np.array([name is not None for name in faces.ferplus])
    target = np.array([labels.index(name) for name in faces.ferplus[known]])
    return measure(probs[known], target, labels)


def against_fer2013(probs: np.ndarray, labels: tuple[str, ...], faces: Faces) -> Metrics:
    """On all pictures; classes that FER2013 has not (contempt) are left out of the answer."""
    named = set(faces.fer2013)
    places = [place for place, name in enumerate(labels) if name in named]
    kept = tuple(labels[place] for place in places)
    shares = probs[:, places] / probs[:, places].sum(axis=1, keepdims=True)
    return measure(shares, np.array([kept.index(name) for name in faces.fer2013]), kept)


def _figures(metrics: Metrics) -> dict[str, Any]:
    return {
        "num_pictures": metrics.num_samples,
        "accuracy": metrics.war,
        "uar": metrics.uar,
        "macro_f1": metrics.macro_f1,
        "ece": metrics.ece,
        "classes": {
            name: {"num_pictures": support, "recall": recall, "precision": finite(precision)}
            for name, support, recall, precision in zip(
                metrics.labels, metrics.support, metrics.recall, metrics.precision, strict=True
            )
        },
        "confusion": metrics.confusion.tolist(),
    }


def finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def latency(model: TrainedModel) -> dict[str, Any]:
    """Milliseconds of a batch of 64 aligned faces, from pixels to probabilities: the median of 15."""
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, 112, 112, 3), np.uint8)
    seconds = []
    for _ in range(15):
        begun = time.perf_counter()
        probabilities(model, crops)
        seconds.append(time.perf_counter() - begun)
    return {
        "batch": BATCH,
        "milliseconds": 1000 * float(np.median(seconds)),
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
    }


def _small(crop: np.ndarray) -> np.ndarray:
    less = cv2.resize(crop, (28, 28), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(less, crop.shape[:2], interpolation=cv2.INTER_LINEAR))


def _jpeg(crop: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], 1))


def _dark(crop: np.ndarray) -> np.ndarray:
    return np.rint(255 * 0.5 * (crop / 255.0) ** 1.8).astype(np.uint8)


def _noisy(crop: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(int(crop.sum())).normal(0, 20, (*crop.shape[:2], 1))
    return np.clip(np.rint(crop + noise), 0, 255).astype(np.uint8)


def _askew(crop: np.ndarray) -> np.ndarray:
    side = crop.shape[0]
    warp = cv2.getRotationMatrix2D((side / 2, side / 2), 10, 1.08)
    warp[:, 2] += 0.04 * side
    return np.asarray(cv2.warpAffine(crop, warp, (side, side), borderMode=cv2.BORDER_REPLICATE))


CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda crop: crop,
    "from 28 x 28 pixels": _small,
    "blurred (Gaussian, 3 pixels)": lambda crop: np.asarray(cv2.GaussianBlur(crop, (0, 0), 3)),
    "JPEG of quality 15": _jpeg,
    "dark (half the light, gamma 1.8)": _dark,
    "noise (standard deviation 20 of 255)": _noisy,
    "turned by 10 degrees, 8 % larger, moved by 4 %": _askew,
    "warm light (red + 25 %, blue - 25 %)": lambda crop: np.clip(
        crop * np.array([1.25, 1.0, 0.75]), 0, 255
    ).astype(np.uint8),
}
"""What may happen to a face in a video, done to (S, S, 3) uint8; not the code that training uses for it."""
