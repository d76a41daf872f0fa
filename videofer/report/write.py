"""Write the report of a timeline: one HTML file, with a film beside it only where that would be too large."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cache.atomic import atomic_write
from videofer.formats.kept import keep_foreign
from videofer.report.playable import damage_of
from videofer.report.video import VideoMode, show_video
from videofer.timeline.compare import main_person

if TYPE_CHECKING:
    import pandas as pd

    from videofer.timeline.faces import FaceStrips
    from videofer.timeline.timeline import Timeline


def write_report(
    timeline: Timeline,
    out: Path,
    *,
    media: Path | None = None,
    faces: FaceStrips | None = None,
    truth: pd.DataFrame | None = None,
    video: VideoMode = "auto",
    is_original: bool = True,
    title: str | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Write the page to `out` and return what was written: the page first, then perhaps STEM_proxy.mp4.

    media: the video to play, on the timeline's media time. faces: to lie along the axis, see `face_strips`;
    `videofer.report.faces.num_faces` says how many are of use. truth: t_start, t_end, label and perhaps
    person (its number), drawn below the ribbon of the person, or of the one who is seen longest.
    is_original: whether `media` is the file that the timeline was made from, and damaged if that was.
    video: see `show_video`. UserError where the media file is missing, no video, or too large to embed.
    """
    from videofer.report.faces import sprite
    from videofer.report.pack import pack_rows, pack_segments
    from videofer.report.page import report_html
    from videofer.timeline.segments import find_segments
    from videofer.timeline.summary import summarise

    report = on_progress or (lambda share: None)
    damage = damage_of(timeline) if is_original else ""
    shown = show_video(media, out, video, lambda share: report(0.85 * share), damage=damage)
    segments = find_segments(timeline)
    layouts, blobs = {}, []
    sprites = {}
    for place, person in enumerate(timeline.persons):
        packed = pack_rows(timeline, person.id)
        layouts[f"rows-{place}"] = packed.layout
        blobs.append((f"rows-{place}", packed.base64))
        if faces and faces.get(person.id):
            sprites[place] = sprite(faces[person.id])
            blobs.append((f"faces-{place}", sprites[place].jpeg_base64))
    packed = pack_segments(timeline, segments)
    layouts["segments-data"] = packed.layout
    blobs.append(("segments-data", packed.base64))
    if shown.kind == "embedded":
        blobs.append(("film", base64.b64encode(shown.content).decode("ascii")))
    report(0.9)
    html = report_html(
        timeline,
        title=title,
        segments=segments,
        summary=summarise(timeline, segments),
        shown=shown,
        layouts=layouts,
        blobs=blobs,
        sprites=sprites,
        truth=truth_spans(timeline, truth),
    )
    keep_foreign(out)
    with atomic_write(out) as file:
        file.write(html.encode("utf-8", "replace"))  # names of files may hold what is no character
    report(1.0)
    return [out, *shown.files]


def truth_spans(timeline: Timeline, truth: pd.DataFrame | None) -> list[tuple[int, float, float, str]]:
    """Place of the person, t_start, t_end, label; without a column `person` the one who is seen longest."""
    if truth is None or not timeline.persons:
        return []
    place_of = {person.id: place for place, person in enumerate(timeline.persons)}
    if "person" in truth.columns:
        places = [place_of.get(person) for person in truth["person"]]
    else:
        longest = main_person(timeline.rows)
        places = [None if longest is None else place_of[longest]] * len(truth)
    return [
        (place, float(start), float(end), str(label))
        for place, start, end, label in zip(
            places, truth["t_start"], truth["t_end"], truth["label"], strict=True
        )
        if place is not None
    ]
