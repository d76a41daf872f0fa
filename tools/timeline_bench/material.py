"""Long synthetic videos of persons that no model was trained on, with known truth.

Expressions and the rests between them last between a fraction of a second and several seconds, and like the
takes of the demo some show the face or the body only. The subjects come from populations of other seeds than
the demo's.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from preprocessing.stage.cluster import usable_cores
from videofer.synthetic.dataset import render_take
from videofer.synthetic.scene import REFERENCE_WH, draw_scene
from videofer.synthetic.script import LABELS, Episode, Script, draw_episode, hidden_shares
from videofer.synthetic.subjects import Subject, draw_subject
from videofer.synthetic.takes import Take
from videofer.synthetic.truth import Truth

FPS = 25
SHORTEST, LONGEST = 0.8, 6.0  # seconds of an expression, first sign to last
SHORTEST_REST, LONGEST_REST = 0.5, 5.0
EMOTIONS = tuple(label for label in LABELS if label != "neutral")


@dataclass(frozen=True)
class Film:
    """One video with its truth."""

    name: str
    video: Path
    truth: Path


def make_films(folder: Path, *, num_films: int, seconds: float, first_seed: int) -> list[Film]:
    """Draw and encode the films; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    takes = [plan_film(first_seed + index, seconds) for index in range(num_films)]
    films = [
        Film(Path(take.path).stem, folder / take.path, (folder / take.path).with_suffix(".truth.csv"))
        for take in takes
    ]
    missing = [(take, film) for take, film in zip(takes, films, strict=True) if not film.truth.exists()]
    if missing:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(usable_cores(), len(missing)), mp_context=context) as pool:
            list(pool.map(_draw, [(take, folder, film.truth) for take, film in missing]))
    return films


def plan_film(seed: int, seconds: float) -> Take:
    """A person of the population `seed`, who shows a random sequence of expressions."""
    rng = np.random.default_rng([seed, 41])
    subject = draw_subject(int(rng.integers(30)), seed)
    script = Script(
        duration=seconds, episodes=_episodes(subject, seconds, rng), seed=int(rng.integers(2**31))
    )
    return Take(
        path=f"film{seed}.mp4",
        label="mixed",
        split="test",
        subject=subject,
        script=script,
        scene=draw_scene(REFERENCE_WH, rng, rng),
        fps=FPS,
        codec="libx264",
        quality=23,
        seed=int(rng.integers(2**31)),
    )


def _episodes(subject: Subject, seconds: float, rng: np.random.Generator) -> tuple[Episode, ...]:
    episodes: list[Episode] = []
    label = ""
    now = _length(rng, SHORTEST_REST, LONGEST_REST)
    while True:
        end = now + _length(rng, SHORTEST, LONGEST)
        if end > seconds - SHORTEST_REST:
            return tuple(episodes)
        label = str(rng.choice([name for name in EMOTIONS if name != label]))
        masked, still = hidden_shares(label)
        hidden = rng.random()
        episodes.append(
            draw_episode(
                label, now, end, rng,
                tempo=subject.tempo, expressiveness=subject.expressiveness,
                face_shown=hidden >= masked, body_shown=not masked <= hidden < masked + still,
            )
        )  # fmt: skip
        now = end + _length(rng, SHORTEST_REST, LONGEST_REST)


def _length(rng: np.random.Generator, shortest: float, longest: float) -> float:
    """Seconds; short and long ones alike (log-uniform)."""
    return float(np.exp(rng.uniform(np.log(shortest), np.log(longest))))


def _draw(job: tuple[Take, Path, Path]) -> None:
    take, folder, truth = job
    render_take(take, folder)
    Truth.of_script(take.script).save(truth)  # last: it says that the video is whole


def total_seconds(films: Sequence[Film]) -> float:
    """Of all films together."""
    return sum(Truth.load(film.truth).duration for film in films)
