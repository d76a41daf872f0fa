"""Prediction tables whose figures are known to depend on what they are made of. No model behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from videofer import emotions

HEADS = ("face", "body", "fused")


def make_table(
    labels: Sequence[str] = emotions.BASIC,
    *,
    num_subjects: int = 24,
    takes: int = 2,
    heads: Sequence[str] = HEADS,
    num_folds: int = 0,
    num_seeds: int = 1,
    missing_body: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Every subject shows every class, at most `takes` times. Face and body tell a part each, fused adds.

    gender and age differ between subjects; "f" is read better. Raw probabilities are too sure.
    """
    rng = np.random.default_rng(seed)
    n = len(labels)
    parts = []
    ability = rng.normal(0, 0.5, num_subjects)
    ages = rng.integers(18, 71, num_subjects)
    has_body = rng.random((num_subjects, n, takes)) >= missing_body
    for model in range(num_seeds):
        rows: list[dict[str, Any]] = []
        for who, true, take in np.ndindex(num_subjects, n, takes):
            if take and (who * n + true) % n > n // 2:
                continue
            name = f"videos/s{who:02}/{labels[true]}_{take}.mp4"
            gender = "f" if who % 2 else "m"
            strength = 1.5 + ability[who] + 0.6 * (gender == "f")
            logits = {
                head: rng.normal(0, 1, n) + gain * strength * (np.arange(n) == true)
                for head, gain in (("face", 1.0), ("body", 0.7))
            }
            if not has_body[who, true, take]:
                logits["body"] = np.zeros(n)
            logits["fused"] = logits["face"] + 0.7 * logits["body"]
            row: dict[str, Any] = {
                "key": f"{who * 10_000 + true * 100 + take:032x}", "name": name, "person": 0,
                "subject": f"s{who:02}",
                "t_start": 0.25, "t_end": 2.0 + 0.1 * take, "label": labels[true],
                "gender": gender, "age": str(ages[who]), "camera": f"cam{who % 3}",
            }  # fmt: skip
            if num_folds:
                row["fold"] = who % num_folds
            if num_seeds > 1:
                row["seed"] = model
            for head in heads:
                row[f"{head}_seen"] = bool(head != "body" or has_body[who, true, take])
                row[f"{head}_label"] = labels[int(logits[head].argmax())]
                row |= _probs(f"{head}_p", logits[head], labels)
                row |= _probs(f"{head}_raw_p", 2.5 * logits[head], labels)
            if "face" in heads:
                row["face_published_label"] = row["face_label"] if rng.random() < 0.9 else labels[0]
            rows.append(row)
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


def _probs(prefix: str, logits: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    probs = np.exp(logits - logits.max())
    return {f"{prefix}_{name}": float(p) for name, p in zip(labels, probs / probs.sum(), strict=True)}
