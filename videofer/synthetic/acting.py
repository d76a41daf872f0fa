"""From a script to movement: facial actions and body poses at any instants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from videofer.synthetic.body import CHANNEL, CHANNELS
from videofer.synthetic.face import ACTION, ACTIONS
from videofer.synthetic.script import Episode, Floats, Script, wander
from videofer.synthetic.subjects import Subject

# Held expressions: what each action reaches at the apex.
HELD = {
    "scowl": {
        "brow_knit": 1.0,
        "nose_wrinkle": 0.9,
        "corner_down": 0.6,
        "eye_close": 0.25,
        "mouth_narrow": 0.2,
    },
    "smile": {"corner_up": 1.0, "mouth_open": 0.28, "eye_close": 0.25},
    "gloom": {"inner_brow": 1.0, "corner_down": 1.0, "eye_close": 0.30},
}
# What moves around the loop of the order pair: the brows (with the eyes), and the mouth.
_LOOP_BROW = {"brow_raise": 1.0, "eye_widen": 1.0}
_LOOP_MOUTH = {"mouth_open": 0.95, "mouth_narrow": 0.5}


_RISE = 0.22  # share of the loop in which the face opens; in the rest it closes again
_MOUTH_LAG = 0.06  # of a loop, behind the brows


def loop_position(episode: Episode, t: Floats) -> tuple[Floats, Floats]:
    """(brow, mouth) in [0, 1] around a loop: surprise opens fast and fades, fear builds up and lets go.

    Both run through the same faces, in opposite order. The phase is uniform, so at any instant both classes
    have the same distribution of faces.
    """
    direction = 1.0 if episode.face_look == "loop_forth" else -1.0
    turns = episode.loop_phase / (2 * np.pi) + direction * episode.loop_hz * (t - episode.start)
    return _opening(turns), _opening(turns - _MOUTH_LAG)


def _opening(turns: Floats) -> Floats:
    """Fast up, slowly down, with each turn of the loop."""
    part = turns % 1.0
    height = np.where(part < _RISE, part / _RISE, (1 - part) / (1 - _RISE))
    return np.asarray(0.04 + 0.96 * height)


def face_actions(script: Script, t: Floats) -> Floats:
    """(T, len(ACTIONS)) at instants t (T,) in seconds of media time."""
    actions = np.zeros((len(t), len(ACTIONS)))
    for episode in script.episodes:
        level = episode.intensity(t) * episode.face_gain
        rng = np.random.default_rng(episode.seed)
        modulation = 1 + 0.07 * wander(t, rng, slow_hz=0.4, fast_hz=1.6)
        look = episode.face_look
        if look in HELD:
            for name, value in HELD[look].items():
                actions[:, ACTION[name]] += level * modulation * value
        elif look.startswith("loop"):
            brow, mouth = loop_position(episode, t)
            for names, position in ((_LOOP_BROW, brow), (_LOOP_MOUTH, mouth)):
                for name, value in names.items():
                    actions[:, ACTION[name]] += level * position * value
        else:
            assert look == "rest"
    add_idle_face(actions, script.duration, t, np.random.default_rng([script.seed, 1]))
    return actions


def add_idle_face(actions: Floats, duration: float, t: Floats, rng: np.random.Generator) -> None:
    """Small movement that means nothing, and blinks, on top of actions (T, len(ACTIONS)). In place."""
    for name in ("brow_raise", "corner_up", "corner_down", "brow_knit"):
        actions[:, ACTION[name]] += 0.05 * wander(t, rng)
    blinks = np.zeros(len(t))
    for at in np.cumsum(rng.exponential(3.0, size=int(duration) + 4)):
        blinks = np.maximum(blinks, np.clip(1.5 - np.abs(t - at) / 0.07, 0, 1))
    eye = ACTION["eye_close"]
    actions[:, eye] = np.maximum(np.clip(actions[:, eye], 0, 0.5), 0.85 * blinks)


def body_poses(script: Script, subject: Subject, t: Floats) -> Floats:
    """(T, len(CHANNELS)) at instants t (T,)."""
    rng = np.random.default_rng([script.seed, 2])
    rest = rest_poses(subject, t, rng)
    poses = rest.copy()
    for episode in script.episodes:
        if episode.body_look == "rest":
            continue
        level = episode.intensity(t - episode.body_lag_seconds)[:, None]
        gesture_rng = np.random.default_rng([episode.seed, 3])
        gesture = GESTURES[episode.body_look](rest, t, gesture_rng)
        strength = np.clip(0.55 + 0.45 * episode.body_gain, 0.8, 1.1)  # a weak gesture is still that gesture
        poses += level * strength * (gesture - rest)
    return poses


def rest_poses(subject: Subject, t: Floats, rng: np.random.Generator) -> Floats:
    """(T, len(CHANNELS)): arms hang or hands are clasped, by the subject's habit, with idle movement."""
    pose = np.zeros((len(t), len(CHANNELS)))
    clasped = subject.arms_clasped != bool(rng.random() < 0.15)
    for side in (0, 1):
        pose[:, CHANNEL[f"upper_{side}"]] = (16 if clasped else 11) + rng.normal(0, 2) + 1.2 * wander(t, rng)
        pose[:, CHANNEL[f"fore_{side}"]] = (-38 if clasped else 3) + rng.normal(0, 4) + 2.0 * wander(t, rng)
    scales = {"lean": 0.05, "drop": 0.03, "tilt": 1.0, "shrug": 0.02, "sink": 0.02}
    for name, scale in scales.items():
        pose[:, CHANNEL[name]] = rng.normal(0, scale) + scale * wander(t, rng)
    return pose


def _energetic(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """Arms raised beside the head, shaking: joy or rage."""
    pose = rest.copy()
    hz, phase = rng.uniform(1.6, 2.4), rng.uniform(0, 2 * np.pi)
    beat = np.pi if rng.random() < 0.5 else 0.0
    swing = rng.uniform(14, 22)
    sides = (0, 1) if rng.random() < 0.7 else (int(rng.integers(2)),)
    for side in sides:
        shake = np.sin(2 * np.pi * hz * t + phase + beat * side)
        pose[:, CHANNEL[f"upper_{side}"]] = rng.uniform(136, 148) + 4 * shake
        pose[:, CHANNEL[f"fore_{side}"]] = rng.uniform(172, 182) + swing * shake
    pose[:, CHANNEL["drop"]] = rest[:, CHANNEL["drop"]] + 0.07 * np.sin(4 * np.pi * hz * t + phase)
    pose[:, CHANNEL["shrug"]] = 0.12
    return pose


def _withdraw(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """Hands fly up before the shoulders, shoulders rise, the trunk leans back."""
    pose = rest.copy()
    hz = rng.uniform(3.5, 5.0)
    for side in (0, 1):
        tremble = 2.5 * np.sin(2 * np.pi * hz * t + rng.uniform(0, 2 * np.pi))
        pose[:, CHANNEL[f"upper_{side}"]] = rng.uniform(26, 36) + tremble / 2
        pose[:, CHANNEL[f"fore_{side}"]] = rng.uniform(176, 186) + tremble
    pose[:, CHANNEL["shrug"]] = 0.16
    pose[:, CHANNEL["lean"]] = rest[:, CHANNEL["lean"]] + rng.choice([-1, 1]) * rng.uniform(0.1, 0.25)
    pose[:, CHANNEL["drop"]] = rest[:, CHANNEL["drop"]] + rng.uniform(0.0, 0.1)
    return pose


def _slump(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """Shoulders fall, the head sinks, arms hang limply inwards, a slow sway."""
    pose = rest.copy()
    sway = np.sin(2 * np.pi * rng.uniform(0.3, 0.45) * t + rng.uniform(0, 2 * np.pi))
    for side in (0, 1):
        pose[:, CHANNEL[f"upper_{side}"]] = rng.uniform(-6, -2) + 2.0 * sway
        pose[:, CHANNEL[f"fore_{side}"]] = rng.uniform(-16, -8) + 3.0 * sway
    pose[:, CHANNEL["shrug"]] = -0.26
    pose[:, CHANNEL["sink"]] = 0.20
    pose[:, CHANNEL["drop"]] = rng.uniform(0.22, 0.36)
    pose[:, CHANNEL["lean"]] = rest[:, CHANNEL["lean"]] + 0.16 * sway
    pose[:, CHANNEL["tilt"]] = 3.0 * sway
    return pose


def _push(rest: Floats, t: Floats, rng: np.random.Generator) -> Floats:
    """The trunk turns away to one side, the other arm pushes something off, again and again."""
    pose = rest.copy()
    pushing = int(rng.integers(2))
    away = -1.0 if pushing else 1.0  # the trunk leans away from the pushing arm
    stroke = 0.5 - 0.5 * np.cos(2 * np.pi * rng.uniform(1.1, 1.6) * t + rng.uniform(0, 2 * np.pi))
    pose[:, CHANNEL[f"upper_{pushing}"]] = 46 + 14 * stroke
    pose[:, CHANNEL[f"fore_{pushing}"]] = 150 - 52 * stroke
    pose[:, CHANNEL[f"upper_{1 - pushing}"]] = rng.uniform(6, 14)
    pose[:, CHANNEL[f"fore_{1 - pushing}"]] = rng.uniform(-78, -62)
    pose[:, CHANNEL["turn"]] = rng.uniform(0.65, 0.9)
    pose[:, CHANNEL["lean"]] = away * rng.uniform(0.4, 0.55)
    pose[:, CHANNEL["tilt"]] = away * rng.uniform(3, 6)
    return pose


Gesture = Callable[[Floats, Floats, np.random.Generator], Floats]
GESTURES: dict[str, Gesture] = {
    "energetic": _energetic,
    "withdraw": _withdraw,
    "slump": _slump,
    "push": _push,
}
