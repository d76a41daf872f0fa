"""Timelines for the tests of the report: a long one with many rows, and one whose every name is hostile."""

from __future__ import annotations

import numpy as np
import pandas as pd

from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import ModelFacts, Person, Timeline, VideoFacts, row_columns

CLASSES = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "\"><img src=x onerror='window.pwned = 1'>",
    "<!--<script>",
    "{{ 7 * 7 }}${window.pwned = 1}`",
    "' onmouseover='window.pwned = 1' x='",
    "\u2028\u2029\u202e\x00\x07]]>&lt;script&gt;",
    "javascript:window.pwned=1",
)


def long_timeline(
    *, hours: float = 2.0, num_persons: int = 6, hop_seconds: float = 0.2, seed: int = 0
) -> Timeline:
    """hours * 3600 / hop rows for every person, who at times is hidden or has no answer."""
    rng = np.random.default_rng(seed)
    duration = hours * 3600
    count = round(duration / hop_seconds)
    edges = np.arange(count + 1) * hop_seconds
    n = len(CLASSES)
    parts = []
    for person in range(num_persons):
        # An expression every few seconds, fading in and out.
        lengths = rng.gamma(3.0, 2.0, size=int(duration / 4) + 8)
        chosen = rng.choice(n, size=len(lengths), p=[0.4, 0.08, 0.06, 0.08, 0.2, 0.1, 0.08])
        which = np.searchsorted(lengths.cumsum(), edges[:-1], side="right").clip(max=len(lengths) - 1)
        logits = rng.normal(0, 0.25, (count, n))
        logits[np.arange(count), chosen[which]] += 3.2
        logits = pd.DataFrame(logits).rolling(7, center=True, min_periods=1).mean().to_numpy()
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        kind = rng.choice(4, size=len(lengths), p=[0.9, 0.04, 0.03, 0.03])[which]
        p[kind == 2] = np.nan
        state = np.array(["ok", "absent", "no_prediction", "no_face"], dtype=object)[kind]
        best = np.nan_to_num(p).argmax(axis=1)
        columns: dict[str, object] = {
            "person": pd.array([person] * count, dtype="Int64"),
            "t_start": edges[:-1], "t_end": edges[1:], "state": state,
            "face_state": np.where(kind == 0, "ok", "absent"), "body_state": "ok",
            "label": np.where(kind == 2, "no_prediction", np.array(CLASSES, dtype=object)[best]),
            "confidence": np.where(kind == 2, np.nan, np.nan_to_num(p).max(axis=1)),
            "valence": np.tanh(p[:, 4] - p[:, 1]), "arousal": np.tanh(p[:, 1] - p[:, 5]),
        }  # fmt: skip
        for place, name in enumerate(CLASSES):
            columns[f"p_{name}"] = p[:, place]
            for modality, power in (("face", 0.7), ("body", 0.4), ("fused", 1.0)):
                q = p**power
                columns[f"{modality}_p_{name}"] = (q / q.sum(axis=1, keepdims=True))[:, place]
        x = 40.0 + 95 * person + 10 * np.sin(edges[:-1] / 7)
        hidden = kind != 0
        for name, values in (("x0", x), ("y0", 0 * x + 90), ("x1", x + 70), ("y1", 0 * x + 180)):
            columns[f"face_{name}"] = np.where(hidden, np.nan, values)
        parts.append(pd.DataFrame(columns))
    rows = pd.concat(parts, ignore_index=True).sort_values(
        ["t_start", "person"], kind="stable", ignore_index=True
    )
    return timeline_of(rows.reindex(columns=row_columns(CLASSES)), CLASSES, duration, num_persons)


def timeline_of(
    rows: pd.DataFrame, classes: tuple[str, ...], duration: float, num_persons: int, hop_seconds: float = 0.2
) -> Timeline:
    """With facts that are told of no real video."""
    return Timeline(
        rows=rows,
        classes=classes,
        persons=tuple(Person(id=i, name=f"person {i}") for i in range(num_persons)),
        video=VideoFacts(
            name="study/group.mp4", key="0" * 64, kind="video", width=640, height=360,
            duration_seconds=duration, time_base=(1, 90000), presentation_start=(0, 1),
        ),
        model=ModelFacts(
            name="example", weights_sha256="1" * 64, modalities=("face", "body", "fused"),
            hop_seconds=hop_seconds, window_seconds=1.2, card="# example\n\nA model of tests.",
        ),
        settings=TimelineSettings(),
        provenance={"videofer": "0.1.0", "warnings": []},
    )  # fmt: skip
