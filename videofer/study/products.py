"""The files of one timeline: tables and annotations, the picture, the report, the annotated video.

Privacy decides what is shown: with `blur`, the report plays a copy in which faces are unrecognisable, and
only faces that may be seen lie along its axis and that of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cache.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from cache.reader import StoreReader
    from videofer.timeline.faces import FaceStrips
    from videofer.timeline.timeline import Timeline

VideoInReport = Literal["auto", "link", "embed", "proxy", "none"]
Blur = Literal["none", "others", "all"]
ANNOTATED, BLURRED = "_annotated.mp4", "_blurred.mp4"  # STEM.mp4 may be the original


@dataclass(frozen=True, kw_only=True)
class ProductOptions:
    """What is asked of report and annotated video."""

    video: VideoInReport = "auto"  # how the report has its video
    blur: Blur = "none"  # whose faces nobody may see
    focus: int | None = None  # with blur "others": who is seen; None: the person who is there longest
    skeleton: bool = False  # drawn in the annotated video
    weights_dir: Path | None = None  # of the detector that looks for further faces to blur


def wanted_formats(formats: Sequence[str], options: ProductOptions) -> tuple[str, ...]:
    """The formats, with the annotated video where skeletons are wanted. UserError for an unknown one."""
    from videofer.formats.write import check_formats

    return check_formats([*formats, *(["mp4"] if options.skeleton else [])])


def write_products(
    timeline: Timeline,
    out_dir: Path,
    stem: str,
    formats: Sequence[str],
    *,
    media: Path | None = None,
    reader: StoreReader | None = None,
    options: ProductOptions | None = None,
    truth: pd.DataFrame | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Write `out_dir/stem.*` for each format and return the paths.

    The annotated video is stem_annotated.mp4, the one of a report with blurred faces stem_blurred.mp4.

    media: the original file, for links, report and annotated video; only a video is played or drawn upon.
    reader: of the store that the timeline was made from, for faces and boxes. truth: for picture and report.
    on_progress: gets the share done, in [0, 1]. Raises UserError in one line.
    """
    from videofer.formats.kept import keep_foreign
    from videofer.formats.write import check_formats, write_exports

    options = options or ProductOptions()
    chosen = check_formats(formats)
    report = on_progress or (lambda share: None)
    video = media if timeline.video.kind == "video" else None
    tables = [name for name in chosen if name not in ("html", "mp4")]
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    if tables:
        faces = faces_of(timeline, reader, options) if "png" in tables else None
        paths += write_exports(timeline, out_dir, stem, tables, media=media, faces=faces, truth=truth)
    report(0.1)
    if video is not None and "mp4" in chosen:
        out = out_dir / f"{stem}{ANNOTATED}"
        keep_foreign(out)
        paths.append(
            _film(timeline, video, out, reader, options, True, lambda share: report(0.1 + 0.35 * share))
        )
    report(0.45)
    if options.video == "none":
        video = None
    if video is not None and "html" in chosen and options.blur != "none":
        out = out_dir / f"{stem}{BLURRED}"
        keep_foreign(out)
        video = _film(timeline, video, out, reader, options, False, lambda share: report(0.45 + 0.35 * share))
        paths.append(video)
    report(0.8)
    if "html" in chosen:
        from videofer.report.faces import num_faces
        from videofer.report.write import write_report

        paths += write_report(
            timeline,
            out_dir / f"{stem}.html",
            media=video,
            faces=faces_of(timeline, reader, options, num_faces(timeline.duration_seconds)),
            truth=truth,
            video=options.video,
            is_original=video == media,
            on_progress=lambda share: report(0.8 + 0.2 * share),
        )
    report(1.0)
    return paths


def focus_of(timeline: Timeline, options: ProductOptions) -> int | None:
    """Whose face stays visible where others are blurred; None where that is nobody's or everybody's.

    UserError where the video has no such person.
    """
    if options.blur != "others":
        return None
    from videofer.timeline.compare import main_person

    ids = [person.id for person in timeline.persons]
    if options.focus is not None and options.focus not in ids:
        there = f"the persons are {', '.join(map(str, ids))}" if ids else "nobody is there"
        raise UserError(f"{timeline.video.name}: person {options.focus} is to be seen, but {there}")
    return main_person(timeline.rows) if options.focus is None else options.focus


def _film(
    timeline: Timeline,
    media: Path,
    out: Path,
    reader: StoreReader | None,
    options: ProductOptions,
    marks: bool,
    on_progress: Callable[[float], None],
) -> Path:
    """A copy of the video, with marks or only blurred."""
    from videofer.overlay.write import write_annotated

    focus = focus_of(timeline, options)
    return write_annotated(
        timeline,
        media,
        out,
        reader=reader,
        marks=marks,
        skeleton=options.skeleton and marks,
        blur="all" if options.blur == "others" and focus is None else options.blur,
        focus=focus,
        weights_dir=options.weights_dir,
        on_progress=on_progress,
    )


def faces_of(
    timeline: Timeline, reader: StoreReader | None, options: ProductOptions, num_faces: int | None = None
) -> FaceStrips | None:
    """Faces along the axis of everybody who may be seen; num_faces: at most; None: as many as a plot has."""
    if reader is None or options.blur == "all":
        return None
    from videofer.timeline.faces import NUM_FACES, face_strips

    strips = face_strips(reader, timeline.video.key, timeline.duration_seconds, num_faces or NUM_FACES)
    if options.blur == "none":
        return strips
    focus = focus_of(timeline, options)
    return {person: faces for person, faces in strips.items() if person == focus}
