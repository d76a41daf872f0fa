"""The page of a leak check: each copy as two strips of faces, one above the other, at the same instants.

One HTML file that needs no other and no network. It shows faces: it is to be kept as the videos are.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from videofer.datasets.leaks import LeakReport, Place

MAX_STRIPS = 100
"""Copies that are shown with pictures; the table holds them all."""

_NUM_FACES, _FACE_PIXELS = 6, 96

_TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Leak check</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #22262b; max-width: 60rem; margin: 2.5rem auto;
  padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 0 .3rem } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
.faint { color: #68707a } .pair { border-top: 1px solid #e2e5e9; padding: 1rem 0; break-inside: avoid }
.row { display: grid; grid-template-columns: 15rem 1fr; gap: 1rem; align-items: center; margin: .2rem 0 }
.row img { width: 96px; height: 96px; margin-right: 3px; border-radius: 3px; vertical-align: middle }
.name { overflow-wrap: anywhere } .side { font-size: .85rem; color: #68707a }
@media (max-width: 44rem) {
  .row { grid-template-columns: 1fr; gap: .2rem } .row img { width: 14vw; height: 14vw }
}
</style>
<h1>Leak check</h1>
<p class="faint">{{ sides }}; {{ "{:,}".format(r.num_videos) }} videos</p>
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>
{% if others %}<h2>Subjects and files on both sides</h2>
<ul>{% for pair in others %}<li>{{ pair.line() }}</li>{% endfor %}</ul>{% endif %}
{% if copies %}<h2>Copies</h2>
<p class="faint">Above the first video, below the second one, each column at one instant of the recording.
Likeness is the median correlation of the two pictures, motion that of what changes in them.</p>{% endif %}
{% for pair, rows in copies %}<div class="pair">
{% for place, faces in rows %}<div class="row">
<div><div class="name">{{ place.name }}</div>
<div class="side">{{ place.side }}, person {{ place.person }},
{{ "%.2f"|format(place.start) }} to {{ "%.2f"|format(place.end) }} s</div></div>
<div>{% for face in faces %}<img alt="" src="data:image/jpeg;base64,{{ face }}">{% endfor %}</div></div>
{% endfor %}
<div class="side">likeness {{ "%.3f"|format(pair.likeness) }}, motion {{ "%.3f"|format(pair.motion) }}
</div></div>
{% endfor %}
{% if more %}<p class="faint">{{ "{:,}".format(more) }} more copies: leaks.csv</p>{% endif %}
</html>
"""


def leaks_page(report: LeakReport) -> str:
    """The HTML of a check."""
    from jinja2 import Environment

    copies = report.of("copy")
    shown = [
        (pair, [(place, _faces(report, place)) for place in (pair.first, pair.second)])
        for pair in copies[:MAX_STRIPS]
    ]
    template = Environment(autoescape=True, trim_blocks=True).from_string(_TEMPLATE)
    page: str = template.render(
        r=report,
        sides="Sides: " + ", ".join(report.sides)
        if len(report.sides) <= 12
        else f"{len(report.sides)} sides",
        notes=report.notes(),
        others=[pair for pair in report.pairs if pair.kind != "copy"][:MAX_STRIPS],
        copies=shown,
        more=len(copies) - len(shown),
    )
    return page


def _faces(report: LeakReport, place: Place) -> list[str]:
    """Crops evenly over the common part, as base64 of JPEG files."""
    import cv2

    reader = report.readers[place.corpus]
    track = reader.track(place.key, place.person)
    there = np.flatnonzero(track.has_crop)
    times = np.linspace(place.start, place.end, _NUM_FACES if place.end > place.start else 1)
    rows = np.array([there[np.abs(track.t_start[there] - time).argmin()] for time in times])
    found = []
    for crop in reader.read_crops(track, rows):
        small = cv2.resize(crop, (_FACE_PIXELS, _FACE_PIXELS), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        found.append(base64.b64encode(data.tobytes()).decode("ascii"))
    return found
