"""What a simulated person does over time, as data: episodes of emotion on a neutral ground.

The structure that makes the set a test of fusion and of time lives in two tables:

- anger and disgust show the same face, happiness and anger the same body, fear and surprise the same body;
- fear and surprise run through the same faces, in opposite order: no single frame tells them apart;
- in some episodes the face stays neutral ("masked"; not in the order pair), in others the body does
  ("still"), never both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
FACE_LOOKS = {
    "anger": "scowl",
    "disgust": "scowl",
    "fear": "loop_back",
    "happiness": "smile",
    "neutral": "rest",
    "sadness": "gloom",
    "surprise": "loop_forth",
}
BODY_LOOKS = {
    "anger": "energetic",
    "disgust": "push",
    "fear": "withdraw",
    "happiness": "energetic",
    "neutral": "rest",
    "sadness": "slump",
    "surprise": "withdraw",
}
ORDER_PAIR = ("fear", "surprise")
MASKED_FACE_SHARE = 0.22
"""Share of an emotion's takes with a neutral face; none of the order pair, which differs by the face only."""
STILL_BODY_SHARE = 0.10
"""Share of an emotion's takes with a body at rest."""
INTENSITY_FLOOR = 0.3
"""Below this intensity the truth is neutral."""

_RAMP_AT_FLOOR = 0.3632  # x at which x * x * (3 - 2 * x) reaches INTENSITY_FLOOR

Floats = NDArray[np.float64]


def hidden_shares(label: str) -> tuple[float, float]:
    """Shares of a label's takes with (masked face, still body). Neutral hides nothing."""
    if label == "neutral":
        return 0.0, 0.0
    return (0.0 if label in ORDER_PAIR else MASKED_FACE_SHARE), STILL_BODY_SHARE


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One emotion from its first sign to its last, in seconds of media time."""

    label: str
    start: float
    end: float
    onset_seconds: float
    offset_seconds: float
    face_shown: bool
    body_shown: bool
    face_gain: float
    body_gain: float
    body_lag_seconds: float
    loop_hz: float
    loop_phase: float  # radians, uniform
    seed: int  # of gestures and small modulations

    def intensity(self, t: Floats) -> Floats:
        """0 outside, 1 at the apex, smooth ramps between."""
        rise = np.clip((t - self.start) / self.onset_seconds, 0, 1)
        fall = np.clip((self.end - t) / self.offset_seconds, 0, 1)
        ramp = np.minimum(rise, fall)
        return np.asarray(ramp**2 * (3 - 2 * ramp))

    def active_interval(self) -> tuple[float, float]:
        """Half-open interval in which the intensity is at least `INTENSITY_FLOOR`."""
        return (
            self.start + _RAMP_AT_FLOOR * self.onset_seconds,
            self.end - _RAMP_AT_FLOOR * self.offset_seconds,
        )

    @property
    def face_look(self) -> str:
        """What the face shows in this episode."""
        return FACE_LOOKS[self.label] if self.face_shown else "rest"

    @property
    def body_look(self) -> str:
        """What the body shows in this episode."""
        return BODY_LOOKS[self.label] if self.body_shown else "rest"


@dataclass(frozen=True, kw_only=True)
class Script:
    """A whole video: episodes in order, neutral between them."""

    duration: float
    episodes: tuple[Episode, ...]
    seed: int  # of idle movement and blinks

    def intensity(self, t: Floats) -> Floats:
        """(T,) intensity of whatever emotion is shown."""
        total = np.zeros_like(t)
        for episode in self.episodes:
            total = np.maximum(total, episode.intensity(t))
        return total

    def intervals(self) -> list[tuple[float, float, str]]:
        """The truth: (start, end, label) half-open, tiling [0, duration) without gaps."""
        rows: list[tuple[float, float, str]] = []
        now = 0.0
        for episode in self.episodes:
            start, end = episode.active_interval()
            rows += [(now, start, "neutral"), (start, end, episode.label)]
            now = end
        rows.append((now, self.duration, "neutral"))
        return [row for row in rows if row[1] > row[0]]


def draw_episode(
    label: str,
    start: float,
    end: float,
    rng: np.random.Generator,
    *,
    tempo: float = 1.0,
    expressiveness: float = 1.0,
    face_shown: bool = True,
    body_shown: bool = True,
) -> Episode:
    """Draws everything about an episode that does not depend on its label, in a fixed order.

    tempo and expressiveness are the subject's gains around 1.
    """
    assert label in LABELS and label != "neutral"
    assert face_shown or body_shown
    gains = np.clip(expressiveness * rng.uniform(0.92, 1.08, 2), 0.75, 1.2)
    return Episode(
        label=label,
        start=start,
        end=end,
        onset_seconds=float(np.clip(rng.uniform(0.2, 0.3) / tempo, 0.18, 0.36)),
        offset_seconds=float(np.clip(rng.uniform(0.2, 0.3) / tempo, 0.18, 0.36)),
        face_shown=face_shown,
        body_shown=body_shown,
        face_gain=float(gains[0]),
        body_gain=float(gains[1]),
        body_lag_seconds=float(rng.uniform(-0.05, 0.12)),
        loop_hz=float(np.clip(rng.uniform(0.88, 1.02) * tempo**0.5, 0.8, 1.1)),
        loop_phase=float(rng.uniform(0, 2 * np.pi)),
        seed=int(rng.integers(2**31)),
    )


def wander(t: Floats, rng: np.random.Generator, *, slow_hz: float = 0.25, fast_hz: float = 0.9) -> Floats:
    """(T,) smooth random motion of standard deviation about 1: three sines of random rate and phase."""
    hz = rng.uniform(slow_hz, fast_hz, 3)
    phase = rng.uniform(0, 2 * np.pi, 3)
    return np.asarray(np.sin(2 * np.pi * np.outer(t, hz) + phase).sum(axis=1) * np.sqrt(2 / 3))
