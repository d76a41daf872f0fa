"""The classes of the known data sets, and explicit maps from one set of classes to another.

A manifest names its label set in the column `label_set`, so that a word means what that set means by it. A
map says for every class of the source what becomes of it; nothing is dropped or merged that no map names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cache.errors import UserError
from videofer.emotions import BASIC, canonical


class LabelError(UserError, ValueError):
    """A word or a label set is not known. The message is one line that names it and the nearest."""


@dataclass(frozen=True)
class LabelSet:
    """Classes that belong together."""

    name: str
    classes: tuple[str, ...]
    about: str

    def canonical(self, word: str) -> str:
        """The class of this set that a word means. LabelError where it means none."""
        try:
            name = canonical(word, self.classes)
        except ValueError:
            name = ""
        if name in self.classes:
            return name
        near = difflib.get_close_matches(word.strip().lower(), self.classes, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise LabelError(f"{word!r} is no class of {self.name}{hint} (classes: {', '.join(self.classes)})")


# fmt: off
_CLASSES = {
    "basic7": (" ".join(BASIC), "six basic emotions and neutral: DFEW, FERV39k, AFEW, CAER, MELD, BRED"),
    "basic6": (" ".join(BASIC[1:]), "the six basic emotions: eNTERFACE'05"),
    "basic8": (" ".join((*BASIC, "contempt")), "basic7 and contempt: FER+"),
    "ckplus7": (
        "anger contempt disgust fear happiness sadness surprise",
        "CK+: contempt, and no neutral"),
    "crema6": ("neutral anger disgust fear happiness sadness", "CREMA-D: no surprise"),
    "ravdess8": (
        "neutral calm happiness sadness anger fear disgust surprise",
        "RAVDESS, in the order of its codes 01 to 08"),
    "mafw11": (
        "anger disgust fear happiness neutral sadness surprise contempt anxiety helplessness disappointment",
        "MAFW, single labels"),
    "gemep12": (
        "amusement pride joy fear anxiety despair sadness anger irritation interest pleasure relief",
        "GEMEP: the twelve classes with ten portrayals each"),
    "gemep7": (
        "surprise fear disgust pleasure sadness anger contempt",
        "GEMEP: pleasure stands in for happiness"),
    "gemep17": (
        "amusement pride joy fear anxiety despair sadness anger irritation interest pleasure relief "
        "surprise disgust contempt admiration tenderness",
        "GEMEP: all classes of the core set of 145 portrayals"),
    "gemep18": (
        "amusement pride joy fear anxiety despair sadness anger irritation interest pleasure relief "
        "surprise disgust contempt admiration tenderness shame",
        "GEMEP: all affective states of the whole corpus"),
    "emilya8": (
        "anger anxiety happiness neutral fear pride sadness shame",
        "Emilya; its joy is happiness, its panic fear is fear"),
    "iemocap9": (
        "anger happiness excitement sadness neutral frustration fear surprise disgust",
        "IEMOCAP without `oth` and `xxx`"),
    "iemocap4": ("anger happiness sadness neutral", "IEMOCAP as mostly reported"),
    "bold26": (
        "peace affection esteem anticipation engagement confidence happiness pleasure excitement surprise "
        "sympathy confusion disconnect fatigue embarrassment yearning disapproval aversion annoyance anger "
        "sensitivity sadness disquietment fear pain suffering",
        "BoLD, several at once; its Doubt/Confusion is confusion"),
}
# fmt: on

LABEL_SETS: dict[str, LabelSet] = {
    name: LabelSet(name, tuple(classes.split()), about) for name, (classes, about) in _CLASSES.items()
}
"""Name -> label set."""

# (from, to): classes that are left out, and those that become another. The others both sets have.
_MAPS: dict[tuple[str, str], tuple[str, dict[str, str]]] = {
    ("basic7", "basic6"): ("neutral", {}),
    ("basic8", "basic7"): ("contempt", {}),
    ("basic8", "basic6"): ("neutral contempt", {}),
    ("ckplus7", "basic6"): ("contempt", {}),
    ("ckplus7", "basic7"): ("contempt", {}),
    ("crema6", "basic6"): ("neutral", {}),
    ("ravdess8", "basic7"): ("calm", {}),
    ("ravdess8", "basic6"): ("calm neutral", {}),
    ("mafw11", "basic8"): ("anxiety helplessness disappointment", {}),
    ("mafw11", "basic7"): ("contempt anxiety helplessness disappointment", {}),
    ("gemep17", "gemep12"): ("surprise disgust contempt admiration tenderness", {}),
    ("gemep17", "gemep7"): (
        "amusement pride joy anxiety despair irritation interest relief admiration tenderness",
        {},
    ),
    ("gemep18", "gemep17"): ("shame", {}),
    ("gemep18", "gemep12"): ("surprise disgust contempt admiration tenderness shame", {}),
    ("gemep18", "gemep7"): (
        "amusement pride joy anxiety despair irritation interest relief admiration tenderness shame",
        {},
    ),
    # Which positive states are happiness is a decision: here the two that are called so elsewhere.
    ("gemep17", "basic6"): (
        "pride anxiety despair irritation interest pleasure relief contempt admiration tenderness",
        {"amusement": "happiness", "joy": "happiness"},
    ),
    ("emilya8", "basic7"): ("anxiety pride shame", {}),
    # Merging excited into happy is what nearly all papers do.
    ("iemocap9", "iemocap4"): ("frustration fear surprise disgust", {"excitement": "happiness"}),
    ("iemocap9", "basic7"): ("frustration", {"excitement": "happiness"}),
}


def label_set(name: str) -> LabelSet:
    """The label set of a name. LabelError names the known ones."""
    if name in LABEL_SETS:
        return LABEL_SETS[name]
    near = difflib.get_close_matches(name.strip().lower(), LABEL_SETS, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise LabelError(f"no label set is called {name!r}{hint} (known: {', '.join(LABEL_SETS)})")


def label_map(source: LabelSet, target: LabelSet) -> dict[str, str | None]:
    """What becomes of every class of the source: a class of the target, or None where it is left out.

    Where all classes of the source are in the target, each stays. Else a map must say what happens to the
    others: LabelError names the classes that nobody has decided about.
    """
    left_out, becomes = _MAPS.get((source.name, target.name), ("", {}))
    mapped: dict[str, str | None] = {name: name for name in source.classes if name in target.classes}
    mapped.update(becomes)
    mapped.update(dict.fromkeys(left_out.split()))
    undecided = [name for name in source.classes if name not in mapped]
    if undecided:
        targets = [there for here, there in _MAPS if here == source.name]
        known = f"maps of {source.name} lead to {', '.join(targets)}" if targets else "it has no maps"
        raise LabelError(
            f"no map from {source.name} to {target.name} says what becomes of "
            f"{', '.join(undecided)} ({known})"
        )
    return {name: mapped[name] for name in source.classes}


def own_map(source: LabelSet, given: Mapping[str, str | None], target: LabelSet) -> dict[str, str | None]:
    """A map of one's own, checked: every class of the source is named, every word is known. LabelError."""
    mapped = {
        source.canonical(word): None if becomes is None else target.canonical(becomes)
        for word, becomes in given.items()
    }
    missing = [name for name in source.classes if name not in mapped]
    if missing:
        raise LabelError(
            f"the map to {target.name} does not say what becomes of {', '.join(missing)} of {source.name}"
        )
    return {name: mapped[name] for name in source.classes}


def shared_classes(first: Sequence[str], second: Iterable[str]) -> tuple[str, ...]:
    """The classes that both have, in the order of the first: what one model can be tested on by two sets."""
    others = set(second)
    return tuple(name for name in first if name in others)


def set_of(classes: Iterable[str]) -> LabelSet | None:
    """The first label set that has all of these classes; None: no set has them together."""
    wanted = set(classes)
    return next((one for one in LABEL_SETS.values() if wanted <= set(one.classes)), None)
