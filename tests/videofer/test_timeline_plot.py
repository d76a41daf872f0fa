from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cache.schema import State
from tests.videofer.timeline_examples import example_timeline
from videofer.timeline.faces import NUM_FACES, FaceSample
from videofer.timeline.plot import MAX_PERSONS, plot_timeline
from videofer.timeline.rows import empty_rows, label_rows, person_rows
from videofer.timeline.timeline import Person, Timeline

CLASSES = ("neutral", "anger", "happiness", "made up")


def fake(spans: dict[int, tuple[float, float]], duration: float, hop: float = 0.4) -> Timeline:
    rng = np.random.default_rng(0)
    parts = []
    for person, (start, end) in spans.items():
        state = np.array([State.OK], dtype=np.uint8)
        rows = person_rows(person, np.array([start]), np.array([end]), state, state, hop)
        p = rng.dirichlet(np.full(len(CLASSES), 0.4), len(rows))
        p[len(rows) // 2] = np.nan
        path = np.where(np.isnan(p[:, 0]), -1, np.nan_to_num(p).argmax(axis=1))
        parts.append(label_rows(rows, p, path, CLASSES, "fused", min_confidence=0.5))
    nobody = empty_rows(list(spans.values()), duration - 1, duration, hop)
    nothing = np.full((len(nobody), len(CLASSES)), np.nan)
    parts.append(label_rows(nobody, nothing, np.full(len(nobody), -1), CLASSES, "fused"))
    example = example_timeline()
    return dataclasses.replace(
        example,
        rows=pd.concat([part for part in parts if len(part)], ignore_index=True),
        classes=CLASSES,
        persons=tuple(Person(id=person, name=f"person {person}") for person in spans),
        video=dataclasses.replace(example.video, duration_seconds=duration),
    )


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def faces(duration: float, colour: tuple[int, int, int]) -> list[FaceSample]:
    crop = np.full((32, 32, 3), colour, np.uint8)
    return [FaceSample((i + 0.5) * duration / NUM_FACES, crop) for i in range(NUM_FACES)]


def test_a_picture_with_faces_truth_and_gaps(tmp_path: Path) -> None:
    timeline = fake({0: (2.0, 15.0)}, 20.0)
    truth = pd.DataFrame({"t_start": [0.0, 10.0], "t_end": [10.0, 20.0], "label": ["neutral", "anger"]})
    path = tmp_path / "a.png"
    plot_timeline(timeline, path, faces={0: faces(20.0, (1, 200, 3))}, truth=truth, title="a.mp4")
    image = pixels(path)
    assert image.shape[1] == 2100
    assert (np.abs(image.astype(int) - (1, 200, 3)).max(axis=2) < 3).mean() > 0.03  # the faces
    plot_timeline(timeline, path, title="a.mp4")
    assert pixels(path).shape[0] < image.shape[0]


@pytest.mark.parametrize("duration", [0.04, 119.0, 90 * 60.0])
def test_short_and_long_videos(tmp_path: Path, duration: float) -> None:
    path = tmp_path / "a.png"
    plot_timeline(fake({0: (0.0, duration)}, duration + 1, hop=max(0.04, duration / 4000)), path)
    assert np.ptp(pixels(path)) > 100


def test_nobody(tmp_path: Path) -> None:
    plot_timeline(fake({}, 5.0), tmp_path / "a.png")
    assert (pixels(tmp_path / "a.png") < 255).any()


def test_many_persons_are_cut_to_those_seen_longest(tmp_path: Path) -> None:
    timeline = fake({person: (0.0, 1.0 + person) for person in range(MAX_PERSONS + 3)}, 20.0)
    plot_timeline(timeline, tmp_path / "many.png")
    few = timeline.rows[timeline.rows["person"].isna() | (timeline.rows["person"] >= 3)]
    plot_timeline(dataclasses.replace(timeline, rows=few), tmp_path / "few.png")
    assert pixels(tmp_path / "many.png").shape == pixels(tmp_path / "few.png").shape


def test_titles_that_the_font_lacks_and_mathematics(tmp_path: Path) -> None:
    plot_timeline(fake({0: (0.0, 3.0)}, 4.0), tmp_path / "a.png", title="$\\frac{ \n 漢字 \x00 =x.mp4")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_what_is_uncertain_is_hatched_and_has_no_colour(tmp_path: Path) -> None:
    timeline = fake({0: (0.0, 9.0)}, 9.0)
    rows = timeline.rows.copy()
    rows.loc[rows["confidence"].notna(), "label"] = "made up"
    plot_timeline(dataclasses.replace(timeline, rows=rows), tmp_path / "sure.png")
    rows.loc[rows["confidence"].notna(), "label"] = "uncertain"
    plot_timeline(dataclasses.replace(timeline, rows=rows), tmp_path / "unsure.png")
    strips = [
        pixels(tmp_path / f"{name}.png")[-140:-100, 200:1500].astype(int) for name in ("sure", "unsure")
    ]
    colourful = [np.ptp(strip, axis=2).max() > 40 for strip in strips]
    assert colourful == [True, False]
    assert np.ptp(strips[1].max(axis=2)) > 10  # the hatching


def test_the_name_of_the_only_person_is_told(tmp_path: Path) -> None:
    timeline = fake({0: (0.0, 3.0)}, 3.0)
    named = dataclasses.replace(timeline, persons=(Person(id=0, name="Anna $_$"),))
    plot_timeline(timeline, tmp_path / "a.png", title="a")
    plot_timeline(named, tmp_path / "b.png", title="a")
    assert (pixels(tmp_path / "a.png")[:120] != pixels(tmp_path / "b.png")[:120]).any()
