"""Studies made by hand: timelines of videos under several conditions, without a model or a store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.videofer.timeline_examples import example_timeline
from videofer.emotions import BASIC
from videofer.study.digest import digest_of
from videofer.study.metadata import Described
from videofer.study.run import Done
from videofer.study.spec import Account, VideoTask
from videofer.timeline.faces import FaceSample
from videofer.timeline.timeline import Timeline

CONDITIONS = ("control", "stress", "relief")
_BIAS = {"control": (2.6, 0.3), "stress": (1.2, 1.8), "relief": (1.4, 0.4)}  # of neutral, of anger and fear
COLUMNS = ("participant", "condition", "wave")


def acted_timeline(
    condition: str, seed: int, name: str, *, persons: int = 1, seconds: float = 40.0
) -> Timeline:
    """Expressions that come and go; stress peaks in the middle, relief makes happy towards the end."""
    rng = np.random.default_rng(seed)
    timeline = example_timeline(
        num_persons=persons, duration_seconds=seconds, classes=BASIC, seed=seed, video_name=name
    )
    rows = timeline.rows.copy()
    t = ((rows["t_start"] + rows["t_end"]) / 2).to_numpy()
    u = t / seconds
    neutral, upset = _BIAS[condition]
    logits = np.empty((len(rows), len(BASIC)))
    for place in range(len(BASIC)):
        slow = sum(rng.normal() * np.sin(rng.uniform(0.15, 1.6) * t + rng.uniform(0, 6)) for _ in range(4))
        logits[:, place] = 1.1 * slow - 1.0
    logits[:, 0] += neutral
    bump = np.exp(-(((u - 0.5) / 0.18) ** 2))
    logits[:, 1] += upset * bump + 0.3 * rng.normal()
    logits[:, 3] += upset * bump
    logits[:, 4] += (2.6 if condition == "relief" else 0.6) * u + 0.4 * rng.normal()
    p = np.exp(1.6 * logits)
    p /= p.sum(axis=1, keepdims=True)
    known = rows["p_neutral"].notna().to_numpy()
    for place, label in enumerate(BASIC):
        rows[f"p_{label}"] = rows[f"face_p_{label}"] = np.where(known, p[:, place], np.nan)
    best = np.array(BASIC, dtype=object)[p.argmax(axis=1)]
    rows["label"] = np.where(known, best, rows["label"])
    rows["confidence"] = np.where(known, p.max(axis=1), np.nan)
    return replace(timeline, rows=rows)


def study_timelines(count: int, *, seed: int = 0) -> list[tuple[Timeline, tuple[str | float | None, ...]]]:
    """Timelines with participant, condition and wave; every seventh video shows a second person."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        condition = CONDITIONS[place % len(CONDITIONS)]
        participant, wave = f"P{place // 6:03d}", float(1 + place % 6 // 3)
        name = f"wave {wave:.0f}/{participant}_{condition}.mp4"
        timeline = acted_timeline(
            condition, seed * 10_000 + place, name, persons=2 if place % 7 == 3 else 1,
            seconds=float(np.round(rng.uniform(18, 75), 2)),
        )  # fmt: skip
        found.append((timeline, (participant, condition, wave)))
    return found


def drawn_face(seed: int) -> np.ndarray:
    """(112, 112, 3) uint8: something round, of many hues; nobody's face."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:112j, -1:1:112j]
    skin, back = rng.integers(90, 235, 3), rng.integers(40, 120, 3)
    picture = np.where((((x / 0.62) ** 2 + (y / 0.82) ** 2) < 1)[..., None], skin, back)
    for dx in (-0.25, 0.25):
        picture[((x - dx) ** 2 + (y + 0.15) ** 2) < 0.008] = 30
    picture[(abs(y - 0.4 - 0.1 * np.cos(3 * x) * rng.uniform(-1, 1)) < 0.035) & (abs(x) < 0.3)] = 60
    return picture.astype(np.uint8)


def done_video(
    timeline: Timeline, stem: str, files: dict[str, tuple[int, int]], *, face: np.ndarray | None = None
) -> Done:
    """What a finished video leaves behind."""
    key = f"{abs(hash(stem)):032x}"[:32]
    faces = None if face is None else {0: [FaceSample(1.0, face)]}
    task = VideoTask(
        key=key, name=timeline.video.name, stem=stem, media=Path(timeline.video.name),
        duration_seconds=timeline.duration_seconds, timeline_print="", products_print="", formats=(),
    )  # fmt: skip
    account = Account(
        key=key, name=task.name, stem=stem, timeline_print="", products_print="", formats=(), files=files,
        digest=digest_of(timeline, faces),
    )  # fmt: skip
    return Done(task, account)


def example_study(count: int, *, seed: int = 0, faces: bool = True) -> tuple[list[Done], Described]:
    """A study without files."""
    done, rows = [], []
    for place, (timeline, row) in enumerate(study_timelines(count, seed=seed)):
        stem = f"video_{place:04d}"
        done.append(
            done_video(
                timeline, stem, {f"{stem}.html": (1, 1)}, face=drawn_face(place // 6) if faces else None
            )
        )
        rows.append(row)
    return done, Described(columns=COLUMNS, rows=tuple(rows), unknown=(), without=())
