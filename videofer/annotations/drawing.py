"""What the parts of the picture of an agreement share: colours, and words that fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from videofer.emotions import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 14.0  # inches, as all of these
INK, FAINT, LINE, PAPER, EMPTY = "#22262b", "#6b737c", "#d9dde2", "#ffffff", "#f4f5f7"
NEUTRAL = "#ccd1d7"  # as in the picture of a timeline: large areas of it must not outshine the emotions
NOTHING = "-"  # in place of a figure that does not exist


def bare(axes: Axes) -> None:
    """Axes without ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def clock(seconds: float, _: Any = None) -> str:
    """`75` -> `1:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time(seconds: float) -> str:
    """A duration in words."""
    return (
        f"{seconds:.1f} s" if seconds < 120 else f"{clock(seconds)} min" if seconds < 3600 else clock(seconds)
    )


def figure(value: float, sign: str = "") -> str:
    """Two decimals, a true minus; `sign` "+" always shows one."""
    return NOTHING if math.isnan(value) else f"{value:{sign}.2f}".replace("-", "\N{MINUS SIGN}")


def shade(label: str) -> str:
    """The colour of an emotion in this picture."""
    return NEUTRAL if label == "neutral" else colour(label)


def ink_on(shade: str) -> str:
    """Black or white, whichever reads better on the colour."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(shade)
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else INK


def short(text: str, most: int) -> str:
    """The text, or its ends where it is longer than `most` letters."""
    return text if len(text) <= most else f"{text[: most // 3]} … {text[-(most * 2 // 3 - 3) :]}"


def printable(text: str) -> str:
    """The text with what the font lacks as a question mark, instead of a warning."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return "".join(letter if letter >= " " and font.get_char_index(ord(letter)) else "?" for letter in text)
