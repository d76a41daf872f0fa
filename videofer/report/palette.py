"""Colours of the emotions for light and dark pages, as CSS: classes .e0, .e1 ... that set --c and --on-c.

On a dark page a dark colour is lightened until it stands out from the paper by 3 to 1 (WCAG 2.2, 1.4.11).
`--on-c` is black or white, whichever is easier to read on the colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videofer import emotions

DARK_PAPER = "#121518"
BLACK, WHITE = "#14181c", "#ffffff"
LEAST_CONTRAST = 3.0
NEUTRAL = "neutral"  # pale, on both papers: large areas of it must not outshine the emotions


@dataclass(frozen=True)
class Shade:
    """A colour and that of letters on it, #RRGGBB."""

    fill: str
    ink: str


def shades(classes: Sequence[str], *, dark: bool) -> list[Shade]:
    """One for each class but neutral's, which base.css has: there it is `var(--neutral)`."""
    found = []
    for name in classes:
        fill = emotions.colour(name, classes)
        if dark:
            fill = lightened(fill, DARK_PAPER, LEAST_CONTRAST)
        found.append(Shade(fill, max((BLACK, WHITE), key=lambda ink, fill=fill: contrast(ink, fill))))  # type: ignore[misc]
    return found


def palette_css(classes: Sequence[str]) -> str:
    """A stylesheet for both themes. Names of classes do not enter it: they might be hostile."""
    lines = []
    for selector, dark in (("", False), (':root[data-theme="dark"] ', True)):
        for place, (name, shade) in enumerate(zip(classes, shades(classes, dark=dark), strict=True)):
            fill, ink = ("var(--neutral)", "var(--ink)") if name == NEUTRAL else (shade.fill, shade.ink)
            lines.append(f"{selector}.e{place}{{--c:{fill};--on-c:{ink}}}")
    return "\n".join(lines)


def lightened(colour: str, paper: str, least: float) -> str:
    """The colour mixed with as little white as gives the contrast."""
    rgb = _rgb(colour)
    for step in range(21):
        mixed = "#" + "".join(f"{round(value + (255 - value) * step / 20):02x}" for value in rgb)
        if contrast(mixed, paper) >= least:
            return mixed
    return WHITE


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    r, g, b = (
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in _rgb(colour))
    )
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
