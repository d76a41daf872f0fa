"""Names of perceived expressions: the canonical words, what else they are called, their order and colours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

PERCEIVED = "perceived expression"
"""What every label is: what people who see a face or a body call it. Not what anybody feels."""

BASIC = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""The six basic emotions and neutral, in the order of tables and plots."""

EMOTIONS = (*BASIC, "contempt", "anxiety", "pride", "shame", "calm", "confusion", "interest", "boredom")
"""Every canonical name, in the order of tables and plots."""

# Words that data sets use. Compared in lower case with `_`, `-` and spaces taken as one space.
_ALIASES = {
    "neutral": "neutrality, neutral expression, neu, ne, none, no emotion",
    "anger": "angry, ang, an, angriness, mad, rage, hot anger",
    "disgust": "disgusted, dis, di, disgusting",
    "fear": "fearful, afraid, scared, fea, fe, terror, panic fear, panic",
    "happiness": "happy, hap, ha, joy, joyful, smile, amusement",
    "sadness": "sad, sa, unhappy, sorrow",
    "surprise": "surprised, sur, su, suprise, surprize, astonishment, amazement",
    "contempt": "contemptuous, con, co, despise",
    "anxiety": "anxious, worried, worry, nervous",
    "pride": "proud",
    "shame": "ashamed, embarrassment, embarrassed",
    "calm": "calmness, relaxed, relief",
    "confusion": "confused, puzzled",
    "interest": "interested, engaged, engagement, curiosity",
    "boredom": "bored, boring",
}

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
_SPARE_COLOURS = ("#332288", "#88CCEE", "#117733", "#999933", "#882255", "#44AA99", "#661100", "#6699CC")


def _plain(word: str) -> str:
    return " ".join(word.strip().lower().replace("_", " ").replace("-", " ").split())


_CANONICAL = {name: name for name in EMOTIONS} | {
    alias: name for name, aliases in _ALIASES.items() for alias in aliases.split(", ")
}


def canonical(word: str, classes: Sequence[str] = ()) -> str:
    """The canonical name for a word of a data set: "Angry" -> "anger".

    classes: names that count as they are, besides the known ones. ValueError names the nearest known word.
    """
    plain = _plain(word)
    for name in classes:
        if _plain(name) == plain:
            return name
    if plain in _CANONICAL:
        return _CANONICAL[plain]
    known = [*classes, *_CANONICAL]
    near = difflib.get_close_matches(plain, [w for w in known if len(w) > 3], n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    names = ", ".join(dict.fromkeys([*classes, *EMOTIONS]))
    raise ValueError(f"unknown emotion {word!r}{hint} (known: {names})")


def is_emotion(word: str, classes: Sequence[str] = ()) -> bool:
    """Whether `canonical` knows the word."""
    plain = _plain(word)
    return plain in _CANONICAL or any(_plain(name) == plain for name in classes)


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
