"""Pictures of the quality report: face crops as small JPEG files inside the page, histograms as SVG."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cache.codecs import encode_jpeg
from cache.errors import StoreError
from cache.reader import StoreReader
from videofer.quality.items import Measured

NUM_BINS = 32
WIDTH, HEIGHT, BASE = 330, 128, 22  # of a histogram, in pixels; BASE: room for the numbers below
JPEG_QUALITY = 88


@dataclass(frozen=True)
class Crop:
    """One face of a contact sheet."""

    src: str  # data URI; "" where it could not be read
    name: str  # of the video
    t: float  # media seconds
    subject: str
    label: str


def contact_sheet(
    reader: StoreReader, measured: Sequence[Measured], num: int, side: int, *, spread: str
) -> list[Crop]:
    """Up to `num` faces, of as many values of `spread` ("subject" or "label") as possible."""
    shown = [one for one in measured if one.crop_rows]
    groups: dict[str, list[Measured]] = {}
    for one in shown:
        groups.setdefault(getattr(one.item, spread) or one.item.key, []).append(one)
    chosen: list[tuple[Measured, int]] = []
    turn = 0
    while len(chosen) < num and any(turn < len(members) for members in groups.values()):
        chosen += [
            (members[turn], members[turn].crop_rows[len(members[turn].crop_rows) // 2])
            for _, members in sorted(groups.items())
            if turn < len(members)
        ]
        turn += 1
    if len(chosen) > num and turn == 1:  # more subjects than places: spread over all of them
        chosen = [chosen[place] for place in np.linspace(0, len(chosen) - 1, num).astype(int).tolist()]
    chosen = chosen[:num]
    for one in shown:  # too few items: further moments of the same
        for row in one.crop_rows[::2]:
            if len(chosen) < num and (one, row) not in chosen:
                chosen.append((one, row))
    return [_crop(reader, one, row, side) for one, row in chosen]


def _crop(reader: StoreReader, one: Measured, row: int, side: int) -> Crop:
    import cv2

    src, t = "", one.item.t_start
    try:
        track = reader.track(one.item.key, one.item.person)
        t = float(track.t_start[row])
        crop_rgb = reader.read_crops(track, np.array([row]))[0]
        crop_rgb = cv2.resize(crop_rgb, (side, side), interpolation=cv2.INTER_AREA)
        data = encode_jpeg(crop_rgb, JPEG_QUALITY).tobytes()
        src = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    except StoreError:
        pass
    return Crop(src, one.item.name, t, one.item.subject, one.item.label)


def histogram(values: Sequence[float], *, unit: str, limits: Sequence[float] = ()) -> Any:
    """SVG of how values are distributed, on a logarithmic axis where they span more than a factor of 12.

    limits: marked by dotted lines. Nothing but numbers and `unit` get into it.
    """
    from markupsafe import Markup, escape

    known = np.array([value for value in values if math.isfinite(value)], np.float64)
    if not len(known):
        return Markup('<p class="note">nothing to show</p>')
    low, high = float(known.min()), float(known.max())
    logarithmic = low > 0 and high / low > 12
    scale = np.log10 if logarithmic else lambda x: np.asarray(x, float)
    start, stop = float(scale(low)), float(scale(high))
    if stop - start < 1e-9 * max(1.0, abs(stop)):
        start, stop = start - 0.5, stop + 0.5
    edges = np.linspace(start, stop, NUM_BINS + 1)
    counts = np.histogram(scale(known), edges)[0]
    inner, step = HEIGHT - BASE - 14, WIDTH / NUM_BINS
    shown = 10**edges if logarithmic else edges
    parts = []
    for place, count in enumerate(counts.tolist()):
        if count:
            tall = max(1.5, inner * count / counts.max())
            parts.append(
                f'<rect x="{place * step + 0.5:.1f}" y="{14 + inner - tall:.1f}" width="{step - 1:.1f}" '
                f'height="{tall:.1f}"><title>{_short(shown[place])} to {_short(shown[place + 1])} '
                f"{escape(unit)}: {count}</title></rect>"
            )
    span = stop - start
    for limit in limits:
        if low < limit < high:
            x = (float(scale(limit)) - start) / span * WIDTH
            parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="8" y2="{14 + inner}"/>')
    for tick in _ticks(low, high, logarithmic=logarithmic):
        x = (float(scale(tick)) - start) / span * WIDTH
        anchor = "start" if x < 14 else "end" if x > WIDTH - 14 else "middle"
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{14 + inner}" y2="{18 + inner}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 5}" text-anchor="{anchor}">{_short(tick)}</text>')
    median = float(np.median(known))
    x = (float(scale(median)) - start) / span * WIDTH
    side = "end" if x > WIDTH / 2 else "start"
    parts.append(f'<line class="median" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{14 + inner}"/>')
    parts.append(
        f'<text class="median" x="{x + (-4 if side == "end" else 4):.1f}" y="10" text-anchor="{side}">'
        f"median {_short(median)} {escape(unit)}</text>"
    )
    return Markup(  # noqa: S704  (numbers and the escaped unit)
        f'<svg class="hist" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="histogram, median {_short(median)} {escape(unit)}">'
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{14 + inner}" y2="{14 + inner}"/>{"".join(parts)}</svg>'
    )


def _ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    if logarithmic:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [base * 10.0**decade for decade in decades for base in ((1, 3) if len(decades) < 5 else (1,))]
    else:
        rough = max(high - low, 1e-9) / 4
        magnitude = 10.0 ** math.floor(math.log10(rough))
        step = next(base * magnitude for base in (1, 2, 2.5, 5, 10) if base * magnitude >= rough)
        ticks = [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [tick for tick in ticks if low <= tick <= high]


def _short(value: float) -> str:
    if value == 0 or 0.01 <= abs(value) < 10:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if abs(value) < 10000:
        return f"{value:.1f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.0f}"
    return f"{value:.2g}"
