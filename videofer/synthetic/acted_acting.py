"""From a portrayal to movement: the faces and gestures of the synthetic acted set at any instants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videofer.synthetic.acted_states import Shown
from videofer.synthetic.acting import GESTURES, HELD, Gesture, add_idle_face, rest_poses
from videofer.synthetic.body import CHANNEL
from videofer.synthetic.face import ACTION, ACTIONS
from videofer.synthetic.script import Floats, wander
from videofer.synthetic.subjects import Subject

FACES: dict[str, dict[str, float]] = {
    "beam": {"corner_up": 1.0, "mouth_open": 0.40, "eye_close": 0.20},
    "scowl": HELD["scowl"],
    "gloom": HELD["gloom"],
    "agape": {"brow_raise": 1.0, "eye_widen": 1.0, "mouth_open": 0.95, "mouth_narrow": 0.5},
    "brows": {"brow_raise": 1.0, "eye_widen": 0.5, "mouth_narrow": 0.9},
    "lids": {"eye_close": 0.5, "corner_up": 0.3, "nose_wrinkle": -0.3},
}
"""Face look -> what each action reaches at the apex."""


@dataclass(frozen=True, kw_only=True)
class Portrayal:
    """One acted state in one video, in seconds of media time."""

    shown: Shown
    duration: float
    onset_seconds: float
    face_gain: float
    body_gain: float
    body_lag_seconds: float
    seed: int  # of gesture, idle movement and blinks

    def intensity(self, t: Floats) -> Floats:
        """(T,) from 0 at the start to 1 after the onset; held to the end, as cut portrayals are."""
        rise = np.clip(t / self.onset_seconds, 0, 1)
        return np.asarray(rise**2 * (3 - 2 * rise))


def draw_portrayal(
    shown: Shown, duration: float, subject: Subject, habit: np.random.Generator, rng: np.random.Generator
) -> Portrayal:
    """Draws all that does not depend on the state, in a fixed order of calls.

    habit: of the performer and the state, whence how strongly this performer shows it. rng: of the video.
    """
    style = subject.expressiveness * habit.uniform(0.75, 1.1, 2)
    gains = np.clip(style * rng.uniform(0.92, 1.08, 2), 0.6, 1.2)
    return Portrayal(
        shown=shown,
        duration=duration,
        onset_seconds=float(np.clip(rng.uniform(0.2, 0.3) / subject.tempo, 0.18, 0.36)),
        face_gain=float(gains[0]),
        body_gain=float(gains[1]),
        body_lag_seconds=float(rng.uniform(-0.05, 0.12)),
        seed=int(rng.integers(2**31)),
    )


def face_actions(portrayal: Portrayal, t: Floats) -> Floats:
    """(T, len(ACTIONS)) at instants t (T,)."""
    actions = np.zeros((len(t), len(ACTIONS)))
    rng = np.random.default_rng([portrayal.seed, 0])
    held = portrayal.intensity(t) * portrayal.face_gain * (1 + 0.07 * wander(t, rng, fast_hz=1.6))
    if portrayal.shown.face_shown:
        for name, value in FACES[portrayal.shown.face].items():
            actions[:, ACTION[name]] = held * value
    add_idle_face(actions, portrayal.duration, t, np.random.default_rng([portrayal.seed, 1]))
    return actions


def body_poses(portrayal: Portrayal, subject: Subject, t: Floats) -> Floats:
    """(T, len(CHANNELS)) at instants t (T,)."""
    rest = rest_poses(subject, t, np.random.default_rng([portrayal.seed, 2]))
    if not portrayal.shown.body_shown:
        return rest
    gesture = _ALL_GESTURES[portrayal.shown.gesture](rest, t, np.random.default_rng([portrayal.seed, 3]))
    level = portrayal.intensity(t - portrayal.body_lag_seconds)[:, None]
    strength = np.clip(0.55 + 0.45 * portrayal.body_gain, 0.8, 1.1)  # a weak gesture is still that gesture
    return np.asarray(rest + level * strength * (gesture - rest))


def _akimbo(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """Hands on the hips, elbows out, the trunk upright and swaying a little."""
    pose = rest.copy()
    sway = np.sin(2 * np.pi * rng.uniform(0.4, 0.7) * t + rng.uniform(0, 2 * np.pi))
    for side in (0, 1):
        pose[:, CHANNEL[f"upper_{side}"]] = rng.uniform(44, 54) + 2.0 * sway
        pose[:, CHANNEL[f"fore_{side}"]] = rng.uniform(-52, -42) + 2.0 * sway
    pose[:, CHANNEL["lean"]] = rest[:, CHANNEL["lean"]] + 0.12 * sway
    pose[:, CHANNEL["shrug"]] = 0.06
    return pose


def _clasp(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """Hands rub each other before the chest."""
    pose = rest.copy()
    hz, phase = rng.uniform(1.6, 2.6), rng.uniform(0, 2 * np.pi)
    upper, fore = rng.uniform(10, 20), rng.uniform(-112, -100)
    for side in (0, 1):
        rub = np.sin(2 * np.pi * hz * t + phase + np.pi * side)
        pose[:, CHANNEL[f"upper_{side}"]] = upper + 2.0 * rub
        pose[:, CHANNEL[f"fore_{side}"]] = fore + 7.0 * rub
    pose[:, CHANNEL["sink"]] = 0.06
    return pose


def _open(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """Arms spread to the sides, slowly weighing."""
    pose = rest.copy()
    hz, phase = rng.uniform(0.5, 0.9), rng.uniform(0, 2 * np.pi)
    upper, fore = rng.uniform(50, 62), rng.uniform(92, 108)
    for side in (0, 1):
        wave = np.sin(2 * np.pi * hz * t + phase + np.pi * side)
        pose[:, CHANNEL[f"upper_{side}"]] = upper + 4.0 * wave
        pose[:, CHANNEL[f"fore_{side}"]] = fore + 9.0 * wave
    pose[:, CHANNEL["drop"]] = rest[:, CHANNEL["drop"]] - 0.04
    return pose


_ALL_GESTURES: dict[str, Gesture] = {
    "raise": GESTURES["energetic"],
    "withdraw": GESTURES["withdraw"],
    "slump": GESTURES["slump"],
    "akimbo": _akimbo,
    "clasp": _clasp,
    "open": _open,
}
