"""Names of perceived expressions: the canonical words, what else they are called, their order and colours.

`words` knows the words, `label_sets` the classes of the known data sets.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from videofer.emotions.words import BASIC, BROAD_OF, EMOTIONS, FINER_OF, meanings, plain

__all__ = [
    "BASIC", "COLOURS", "EMOTIONS", "PERCEIVED", "canonical", "colour", "in_order", "is_emotion",
    "plain",
]  # fmt: skip

PERCEIVED = "perceived expression"
"""What every label is: what people who see a face or a body call it. Not what anybody feels."""

# After the Okabe-Ito palette: distinct for the common kinds of colour blindness, neutral is grey.
COLOURS = {
    "neutral": "#9A9A9A",
    "anger": "#D55E00",
    "disgust": "#009E73",
    "fear": "#7A3E9D",
    "happiness": "#E8B400",
    "sadness": "#0072B2",
    "surprise": "#56B4E9",
    "contempt": "#8C6D46",
    "anxiety": "#CC79A7",
    "pride": "#B5342B",
    "shame": "#F2A7A0",
    "calm": "#A6CE9B",
    "confusion": "#4B5A74",
    "interest": "#2FB5A8",
    "boredom": "#5C4F4A",
}
# Of names that are not canonical; 26 classes must still have 26 colours.
_SPARE_COLOURS = (
    "#332288", "#88CCEE", "#117733", "#999933", "#882255", "#44AA99", "#661100", "#6699CC",
    "#DDCC77", "#CC6677", "#AA4499", "#3B7A57", "#E58606", "#5D69B1", "#24796C", "#DAA51B",
    "#764E9F", "#ED645A", "#A5AA99", "#1D4E6B", "#C75DAB", "#6C8B3C", "#8E3B2F", "#41B6C4",
)  # fmt: skip


def canonical(word: str, classes: Sequence[str] = ()) -> str:
    """The canonical name for a word of a data set: "Angry" -> "anger", "colère" -> "anger".

    classes: names that count as they are, besides the known ones; they win where a word has several meanings,
    so "joy" is happiness, but joy where the classes have joy. ValueError names the nearest known word.
    """
    wanted = plain(word)
    for name in classes:
        if plain(name) == wanted:
            return name
    possible = meanings(word)
    for name in possible:
        if name in classes:
            return name
    if wanted in BROAD_OF:
        return BROAD_OF[wanted]
    if possible:
        raise ValueError(
            f"{word!r} is {possible[0]!r}, a class of some data sets only: name their label set in a column "
            "'label_set', or the class among the recipe's"
        )
    known = [*classes, *BROAD_OF, *FINER_OF]
    near = difflib.get_close_matches(wanted, [w for w in known if len(w) > 3], n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    names = ", ".join(dict.fromkeys([*classes, *EMOTIONS]))
    raise ValueError(f"unknown emotion {word!r}{hint} (known: {names})")


def is_emotion(word: str, classes: Sequence[str] = ()) -> bool:
    """Whether `canonical` knows the word."""
    wanted = plain(word)
    own = {plain(name) for name in classes}
    return wanted in BROAD_OF or wanted in own or any(name in classes for name in meanings(word))


def in_order(names: Iterable[str]) -> list[str]:
    """Distinct names, the canonical ones in the usual order, others after them by alphabet."""
    place = {name: index for index, name in enumerate(EMOTIONS)}
    return sorted(set(names), key=lambda name: (place.get(name, len(place)), name))


def colour(name: str, classes: Sequence[str] = ()) -> str:
    """Colour as #RRGGBB. Names that are not canonical get one by their place among such names in classes."""
    if name in COLOURS:
        return COLOURS[name]
    others = [c for c in classes if c not in COLOURS]
    place = others.index(name) if name in others else sum(name.encode())
    return _SPARE_COLOURS[place % len(_SPARE_COLOURS)]
