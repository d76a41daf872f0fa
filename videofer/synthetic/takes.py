"""Plans of takes: who shows what, when and under which circumstances. Nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from videofer.synthetic.scene import REFERENCE_WH, Scene, draw_scene
from videofer.synthetic.script import (
    LABELS,
    Episode,
    Script,
    draw_episode,
    hidden_shares,
)
from videofer.synthetic.subjects import Subject, draw_subject

TEST_SHARE = 0.3
LONG_SECONDS = 30.0
_LONG_LABELS = ("happiness", "fear", "disgust", "surprise", "sadness")

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Camera:
    """How the takes of a session are encoded."""

    fps: int
    codec: Literal["libx264", "mpeg4"]
    quality: int  # crf of H.264, quantiser of MPEG-4


@dataclass(frozen=True, kw_only=True)
class Take:
    """One video to be made."""

    path: str  # relative to the data set's folder, posix
    label: str
    split: Split
    subject: Subject
    script: Script
    scene: Scene
    fps: int
    codec: Literal["libx264", "mpeg4"]
    quality: int  # crf of H.264, quantiser of MPEG-4
    seed: int  # of the simulated estimator of keypoints

    @property
    def num_frames(self) -> int:
        """Frames at the nominal rate; their times are index / fps by construction."""
        return round(self.script.duration * self.fps)

    @property
    def duration(self) -> float:
        """Media time in seconds at which the last frame ends."""
        return self.num_frames / self.fps

    def interval(self) -> tuple[float, float]:
        """Labelled interval for the manifest: intensity at or above the floor; neutral: the whole take."""
        if not self.script.episodes:
            return 0.0, self.duration
        start, end = self.script.episodes[0].active_interval()
        return start, min(end, self.duration)


def plan_takes(
    *,
    num_subjects: int = 10,
    takes_per_class: int = 4,
    take_seconds: float = 2.6,
    fps: int = 25,
    size_wh: tuple[int, int] = REFERENCE_WH,
    seed: int = 0,
) -> list[Take]:
    """All takes but the long video, by path. The last three in ten subjects are for test.

    Raises ValueError for sizes from which no data set can be made.
    """
    _check(num_subjects, takes_per_class, take_seconds, fps, size_wh)
    num_test = max(1, round(TEST_SHARE * num_subjects))
    subjects = [draw_subject(index, seed) for index in range(num_subjects)]
    takes = []
    for label_index, label in enumerate(LABELS):
        for split in ("train", "test"):
            members = subjects[-num_test:] if split == "test" else subjects[:-num_test]
            pairs = [(subject, number) for subject in members for number in range(takes_per_class)]
            rng = np.random.default_rng([seed, 21, label_index, split == "test"])
            shown = _shown_parts(label, len(pairs), rng)
            for (subject, number), (face_shown, body_shown) in zip(pairs, shown, strict=True):
                key = [seed, 22, label_index, int(subject.name[1:]), number]
                take_rng = np.random.default_rng(key)
                duration = take_seconds * float(take_rng.uniform(0.94, 1.06))
                episode = _single_episode(label, duration, take_rng, subject, face_shown, body_shown)
                path = f"videos/{subject.name}/{label}_{number}.mp4"
                session = np.random.default_rng([seed, 24, int(subject.name[1:]), number])
                scene = draw_scene(size_wh, session, take_rng)
                camera = _draw_camera(fps, session)
                takes.append(_take(path, label, split, subject, duration, episode, scene, camera, take_rng))
    return sorted(takes, key=lambda take: take.path)


def plan_long(*, fps: int, size_wh: tuple[int, int], seed: int, num_subjects: int) -> Take:
    """A held-out video of one test subject: five emotions, both parts shown, neutral between them."""
    rng = np.random.default_rng([seed, 23])
    subject = draw_subject(num_subjects - 1, seed)
    labels = rng.permutation(_LONG_LABELS)
    lengths = rng.uniform(3.3, 3.9, len(labels))
    rests = rng.uniform(1.8, 2.2, len(labels) + 1)
    rests *= (LONG_SECONDS - lengths.sum()) / rests.sum()
    episodes = []
    now = 0.0
    for label, length, rest in zip(labels, lengths, rests[:-1], strict=True):
        now += float(rest)
        episodes.append(
            draw_episode(
                str(label),
                now,
                now + float(length),
                rng,
                tempo=subject.tempo,
                expressiveness=subject.expressiveness,
            )
        )
        now += float(length)
    path = "long/long.mp4"
    scene = draw_scene(size_wh, rng, rng)
    camera = Camera(fps, "libx264", 23)
    return _take(path, "mixed", "test", subject, LONG_SECONDS, tuple(episodes), scene, camera, rng)


def _check(
    num_subjects: int, takes_per_class: int, take_seconds: float, fps: int, wh: tuple[int, int]
) -> None:
    if num_subjects < 2:
        raise ValueError(f"num_subjects is {num_subjects}; at least 2 are needed, one of them held out")
    if takes_per_class < 1:
        raise ValueError(f"takes_per_class is {takes_per_class}; at least 1 is needed")
    if take_seconds < 1.5:
        raise ValueError(
            f"take_seconds is {take_seconds}; at least 1.5 are needed for onset, apex and offset"
        )
    if fps < 10:
        raise ValueError(f"fps is {fps}; at least 10 are needed to tell the order of fast expressions")
    if min(wh) < 96 or wh[0] % 2 or wh[1] % 2:
        raise ValueError(f"size_wh is {wh}; both sides must be even and at least 96")


def _shown_parts(label: str, count: int, rng: np.random.Generator) -> list[tuple[bool, bool]]:
    """(face shown, body shown) for the takes of one class: fixed shares, random order, never both hidden."""
    num_masked, num_still = (round(share * count) for share in hidden_shares(label))
    parts = [(False, True)] * num_masked + [(True, False)] * num_still
    parts += [(True, True)] * (count - len(parts))
    return [parts[index] for index in rng.permutation(count)]


def _single_episode(
    label: str,
    duration: float,
    rng: np.random.Generator,
    subject: Subject,
    face_shown: bool,
    body_shown: bool,
) -> tuple[Episode, ...]:
    """A short neutral head, the emotion, a short neutral tail. Drawn alike for every class."""
    head, tail = rng.uniform(0.12, 0.30), rng.uniform(0.10, 0.25)
    if label == "neutral":
        return ()
    episode = draw_episode(
        label,
        float(head),
        duration - float(tail),
        rng,
        tempo=subject.tempo,
        expressiveness=subject.expressiveness,
        face_shown=face_shown,
        body_shown=body_shown,
    )
    return (episode,)


def _draw_camera(fps: int, rng: np.random.Generator) -> Camera:
    """The given rate and H.264, or now and then another."""
    other_rate, other_codec = rng.random(2)
    mpeg4 = other_codec < 0.12
    crf, quantiser = int(rng.integers(20, 31)), int(rng.integers(3, 8))
    return Camera(
        fps=30 if other_rate < 0.12 else fps,
        codec="mpeg4" if mpeg4 else "libx264",
        quality=quantiser if mpeg4 else crf,
    )


def _take(
    path: str,
    label: str,
    split: Split,
    subject: Subject,
    duration: float,
    episodes: tuple[Episode, ...],
    scene: Scene,
    camera: Camera,
    rng: np.random.Generator,
) -> Take:
    return Take(
        path=path,
        label=label,
        split=split,
        subject=subject,
        script=Script(duration=duration, episodes=episodes, seed=int(rng.integers(2**31))),
        scene=scene,
        fps=camera.fps,
        codec=camera.codec,
        quality=camera.quality,
        seed=int(rng.integers(2**31)),
    )
