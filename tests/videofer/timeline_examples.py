"""Timelines made by hand, for tests of whatever takes one: no model, no store."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from videofer.timeline.settings import Segmentation, Smoothing, TimelineSettings
from videofer.timeline.timeline import (
    ModelFacts,
    Person,
    Timeline,
    VideoFacts,
    probability_columns,
    row_columns,
)

CLASSES = ("neutral", "anger", "happiness", "sadness")


def example_timeline(
    *,
    num_persons: int = 2,
    duration_seconds: float = 12.0,
    hop_seconds: float = 0.2,
    names: tuple[str, ...] = (),
    video_name: str = "study/interview.mp4",
    classes: tuple[str, ...] = CLASSES,
    seed: int = 0,
) -> Timeline:
    """Persons whose expressions come and go slowly. Person 0 is there throughout and hidden for a moment;
    each further one comes later and leaves earlier; nobody is there in the last second, and the time before
    the last person's exit is tiled. `names`: of the persons; others are "person N".
    """
    rng = np.random.default_rng(seed)
    parts = []
    n = len(classes)
    for person in range(num_persons):
        begin = round(person * 1.4, 6)
        end = duration_seconds - 1.0 - 0.6 * person
        edges = np.append(np.arange(begin, end - 1e-9, hop_seconds), end)
        t = (edges[:-1] + edges[1:]) / 2
        phases = rng.uniform(0, 2 * np.pi, n)
        speed = rng.uniform(0.4, 1.1, n)
        logits = 3.0 * np.sin(speed * t[:, None] + phases)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        hidden = (t > 5.0) & (t < 5.6) & (person == 0)
        no_prediction = (t > 7.0) & (t < 7.4) & (person == 0)
        rows = pd.DataFrame({"person": pd.array([person] * len(t), dtype="Int64")})
        rows["t_start"], rows["t_end"] = edges[:-1], edges[1:]
        rows["state"] = np.select([no_prediction, hidden], ["no_prediction", "absent"], "ok")
        rows["face_state"] = np.where(hidden | no_prediction, "absent", "ok")
        rows["body_state"] = "absent"
        p[no_prediction] = np.nan
        best = np.nan_to_num(p).argmax(axis=1)
        rows["label"] = np.where(no_prediction, "no_prediction", np.array(classes, dtype=object)[best])
        rows["confidence"] = np.where(no_prediction, np.nan, np.nan_to_num(p).max(axis=1))
        for index, name in enumerate(classes):
            rows[f"p_{name}"] = p[:, index]
            rows[f"face_p_{name}"] = p[:, index].astype(np.float32)
        x = 100 + 180 * person + 5 * np.sin(t)
        for name, value in zip(
            ("face_x0", "face_y0", "face_x1", "face_y1"), (x, 80 + 0 * x, x + 90, 190 + 0 * x), strict=True
        ):
            rows[name] = np.where(hidden | no_prediction, np.nan, value).astype(np.float32)
        rows["valence"] = np.where(no_prediction, np.nan, np.tanh(p[:, 2] - p[:, 1]))
        rows["arousal"] = np.where(no_prediction, np.nan, np.tanh(p[:, 1] - p[:, 3]))
        parts.append(rows)
    last = max((float(part["t_end"].iloc[-1]) for part in parts), default=0.0)
    edges = np.append(np.arange(last, duration_seconds - 1e-9, hop_seconds), duration_seconds)
    nobody = pd.DataFrame({"person": pd.array([pd.NA] * (len(edges) - 1), dtype="Int64")})
    nobody["t_start"], nobody["t_end"] = edges[:-1], edges[1:]
    for column in ("state", "label"):
        nobody[column] = "no_person"
    for column in ("face_state", "body_state"):
        nobody[column] = "no_person"
    rows = pd.concat([*parts, nobody], ignore_index=True)
    rows = rows.sort_values(["t_start", "person"], kind="stable", ignore_index=True)
    rows = rows.reindex(columns=row_columns(classes, ("face",)))
    return Timeline(
        rows=rows,
        classes=classes,
        persons=tuple(
            Person(id=i, name=names[i] if i < len(names) else f"person {i}") for i in range(num_persons)
        ),
        video=VideoFacts(
            name=video_name, key="0" * 64, kind="video", width=640, height=360,
            duration_seconds=duration_seconds, time_base=(1, 90000), presentation_start=(0, 1),
        ),
        model=ModelFacts(
            name="example", weights_sha256="1" * 64, modalities=("face",), hop_seconds=hop_seconds,
            window_seconds=6 * hop_seconds, card="# example\n\nA model of tests.",
        ),
        settings=TimelineSettings(),
        provenance={"videofer": "0.1.0", "warnings": []},
    )  # fmt: skip


def timeline_of(
    p: np.ndarray, edges: np.ndarray | None = None, *, smoothing: str = "hmm", **values: Any
) -> Timeline:
    """One person with the probabilities (R, 4) of CLASSES; rows of 0.2 s, or between edges (R+1,).

    values: of `Segmentation`.
    """
    edges = np.arange(len(p) + 1) * 0.2 if edges is None else edges
    known = np.isfinite(p).all(axis=1)
    best = np.nan_to_num(p).argmax(axis=1)
    rows = pd.DataFrame({"person": pd.array([0] * len(p), dtype="Int64")})
    rows["t_start"], rows["t_end"] = edges[:-1], edges[1:]
    rows["state"] = np.where(known, "ok", "no_prediction")
    rows["label"] = np.where(known, np.array(CLASSES, dtype=object)[best], "no_prediction")
    rows["confidence"] = np.where(known, np.nan_to_num(p).max(axis=1), np.nan)
    rows[probability_columns(CLASSES)] = p
    example = example_timeline(num_persons=1)
    settings = TimelineSettings(
        smoothing=Smoothing(method=smoothing),  # type: ignore[arg-type]
        segmentation=Segmentation(**values),
    )
    return dataclasses.replace(
        example, rows=rows.reindex(columns=row_columns(CLASSES, ("face",))), settings=settings
    )


def sure(*classes: int, of: float = 0.8) -> np.ndarray:
    """Rows that are so sure of a class; -1: no prediction."""
    p = np.full((len(classes), 4), (1 - of) / 3)
    p[np.arange(len(classes)), classes] = of
    p[np.array(classes) < 0] = np.nan
    return p
