"""What the synthetic acted set shows: a face and a gesture for each of the 17 states of GEMEP's core set.

No face and no gesture belongs to one state alone, but each pair does. Within the twelve classes of the
literature every face is shared by two and every gesture by two others; within the seven, three pairs share a
face and three others a gesture. So an observer of one modality must guess, and one of both need not. Besides,
in some portrayals the face stays neutral ("masked"), in others the body does ("still"), never both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from videofer.emotions.label_sets import LABEL_SETS

STATES = LABEL_SETS["gemep17"].classes
# fmt: off
FACE_AND_GESTURE: dict[str, tuple[str, str]] = {
    "amusement":  ("beam", "clasp"),
    "pride":      ("brows", "akimbo"),
    "joy":        ("beam", "raise"),
    "fear":       ("agape", "withdraw"),
    "anxiety":    ("agape", "clasp"),
    "despair":    ("gloom", "withdraw"),
    "sadness":    ("gloom", "slump"),
    "anger":      ("scowl", "raise"),
    "irritation": ("scowl", "akimbo"),
    "interest":   ("brows", "open"),
    "pleasure":   ("lids", "open"),
    "relief":     ("lids", "slump"),
    "surprise":   ("agape", "open"),
    "disgust":    ("scowl", "withdraw"),
    "contempt":   ("lids", "raise"),
    "admiration": ("brows", "clasp"),
    "tenderness": ("beam", "slump"),
}
# fmt: on
NUM_PERFORMERS = 10
MARKER = "SYNTHETIC.txt"
"""A file of this name beside the videos says that nobody in them exists."""
MASKED_FACE_SHARE = 0.10
STILL_BODY_SHARE = 0.10

Modality = Literal["face", "body", "whole"]
MODALITIES: tuple[Modality, ...] = ("face", "body", "whole")


@dataclass(frozen=True)
class Shown:
    """What one portrayal shows."""

    state: str
    face_shown: bool = True
    body_shown: bool = True

    @property
    def face(self) -> str:
        """A face look, or "rest"."""
        return FACE_AND_GESTURE[self.state][0] if self.face_shown else "rest"

    @property
    def gesture(self) -> str:
        """A gesture, or "rest"."""
        return FACE_AND_GESTURE[self.state][1] if self.body_shown else "rest"

    def seen(self, modality: Modality) -> tuple[str, ...]:
        """All that a perfect observer of one modality, or of both, can tell."""
        return {"face": (self.face,), "body": (self.gesture,), "whole": (self.face, self.gesture)}[modality]


def portrays(performer: int, state: str) -> bool:
    """Whether a performer (from 1) portrays a state: all do twelve of them, every second one each of five."""
    if state in LABEL_SETS["gemep12"].classes:
        return True
    others = [name for name in STATES if name not in LABEL_SETS["gemep12"].classes]
    return performer % 2 == (1 + others.index(state)) % 2


def draw_shown(state: str, rng: np.random.Generator) -> Shown:
    """Draws whether the face is masked or the body still."""
    number = rng.random()
    return Shown(state, face_shown=number >= MASKED_FACE_SHARE, body_shown=number < 1 - STILL_BODY_SHARE)


def ceilings(shown: Iterable[Shown], classes: Sequence[str]) -> dict[Modality, float]:
    """Accuracy of the best possible observer on the portrayals of these classes.

    The observer knows how often each class is portrayed and how often a modality is hidden, not more. Where
    several classes are equally probable it guesses. ValueError where no portrayal has one of the classes.
    """
    some = [one for one in shown if one.state in classes]
    if not some:
        raise ValueError(f"no portrayal is one of {', '.join(classes)}")
    frequency = {name: sum(one.state == name for one in some) for name in classes}
    best: dict[Modality, float] = {}
    for modality in MODALITIES:
        credit = 0.0
        for one in some:
            seen = one.seen(modality)
            odds = {name: round(frequency[name] * _share(name, seen, modality), 9) for name in classes}
            likely = [name for name in classes if odds[name] == max(odds.values())]
            credit += (one.state in likely) / len(likely)
        best[modality] = credit / len(some)
    return best


def _share(state: str, seen: tuple[str, ...], modality: Modality) -> float:
    """Share of a state's portrayals that look so."""
    cases = (
        (Shown(state), 1 - MASKED_FACE_SHARE - STILL_BODY_SHARE),
        (Shown(state, face_shown=False), MASKED_FACE_SHARE),
        (Shown(state, body_shown=False), STILL_BODY_SHARE),
    )
    return sum(share for shown, share in cases if shown.seen(modality) == seen)
