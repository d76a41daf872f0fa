"""Text as pictures: any script for which the machine has a font.

DejaVu Sans is always there (Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian and more); for other
scripts the fonts of the system are looked through. Letters that no font has are left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videofer.overlay.paint import RGB

ELLIPSIS = "…"


def width_of(text: str, size: int, *, bold: bool = False) -> int:
    """Pixels that a text takes."""
    return round(_font(text, size, bold).getlength(text)) if text else 0


def line_height(size: int) -> int:
    """Pixels from the top of the tallest Latin letter to the bottom of the lowest."""
    ascent, descent = _truetype(str(_own(False)), size).getmetrics()
    return ascent + descent


def fitted(text: str, max_width: int, size: int, *, bold: bool = False) -> str:
    """The text, shortened with an ellipsis where it is too wide; empty where not even that fits."""
    if width_of(text, size, bold=bold) <= max_width:
        return text
    low, high = 0, len(text)  # the longest beginning that fits
    while low < high:
        middle = (low + high + 1) // 2
        if width_of(text[:middle].rstrip() + ELLIPSIS, size, bold=bold) <= max_width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS if low else ""


def shown(name: str, otherwise: str) -> str:
    """A name as it can be drawn on one line; `otherwise` where fewer than half of its letters can be."""
    spaced = (" " if letter.isspace() else letter for letter in name)
    text = "".join(letter for letter in spaced if unicodedata.category(letter) not in ("Cc", "Cf", "Cs"))
    text = " ".join(text.split())
    if _first_with_all(text) is not None:
        return text or otherwise
    drawn = "".join(c for c in text if c == " " or _first_with_all(c) is not None)
    if _first_with_all(drawn) is None:  # of several scripts that no one font has
        drawn = "".join(c for c in drawn if _covers(str(_own(False)), c))
    drawn = " ".join(drawn.split())
    return drawn if len(drawn.replace(" ", "")) * 2 >= len(text.replace(" ", "")) > 0 else otherwise


def draw(
    image: Image.Image,
    xy: tuple[float, float],
    text: str,
    size: int,
    rgb: RGB,
    *,
    bold: bool = False,
    anchor: str = "lm",
) -> None:
    """Text into an RGB or RGBA image; `anchor` as in Pillow: "lm" is left, middle."""
    if text:
        ImageDraw.Draw(image).text(xy, text, font=_font(text, size, bold), fill=(*rgb, 255), anchor=anchor)


def as_array(image: Image.Image) -> np.ndarray:
    """(h, w, channels) uint8."""
    return np.asarray(image)


def _font(text: str, size: int, bold: bool) -> ImageFont.FreeTypeFont:
    path = _first_with_all(text)
    if path is None or path in (str(_own(False)), str(_own(True))):
        path = str(_own(bold))
    return _truetype(path, size)


@lru_cache(maxsize=128)
def _truetype(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@lru_cache(maxsize=2)
def _own(bold: bool) -> Path:
    """DejaVu Sans comes with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"


@lru_cache(maxsize=1024)
def _first_with_all(text: str) -> str | None:
    """The first font that has every letter: our own, then those of the system."""
    if _covers(str(_own(False)), text):
        return str(_own(False))
    return next((path for path in _system_fonts() if _covers(path, text)), None)


@lru_cache(maxsize=1)
def _system_fonts() -> Sequence[str]:
    from matplotlib.font_manager import findSystemFonts

    return sorted(path for path in findSystemFonts() if Path(path).suffix.lower() in (".ttf", ".otf", ".ttc"))


@lru_cache(maxsize=4096)
def _covers(path: str, text: str) -> bool:
    wanted = np.array([ord(letter) for letter in text if letter != " "], np.uint32)
    letters = _letters(path)
    place = np.searchsorted(letters, wanted)
    return bool((place < len(letters)).all() and (letters[place] == wanted).all())


@cache  # a machine may have hundreds of fonts, and each is opened once
def _letters(path: str) -> np.ndarray:
    """The code points that a font has, (n,) uint32, rising."""
    from matplotlib.ft2font import FT2Font

    try:
        return np.sort(np.fromiter(FT2Font(path).get_charmap(), np.uint32))
    except RuntimeError:  # a bitmap font, or a broken one
        return np.empty(0, np.uint32)
