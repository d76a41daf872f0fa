"""Write a timeline in the formats that a user asked for.

A file that is replaced is the old one or the new one at any time, never a half. What people may have written
or edited is kept, see `videofer.formats.kept`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cache.atomic import atomic_write
from cache.errors import UserError
from videofer.formats.bids import write_events, write_sidecar
from videofer.formats.cues import Cue, cues_of, joined_cues
from videofer.formats.elan import write_eaf
from videofer.formats.kept import EDITED_BY_PEOPLE, keep_foreign, keep_old
from videofer.formats.marks import Mark, marks_of
from videofer.formats.names import safe_stem
from videofer.formats.openface import write_openface
from videofer.formats.praat import write_textgrid
from videofer.formats.subtitles import write_srt, write_vtt
from videofer.formats.summary import write_summary
from videofer.formats.tables import write_jsonl, write_rows_csv, write_segments_csv
from videofer.formats.text import person_names
from videofer.timeline.plot import plot_timeline
from videofer.timeline.quiet import quiet_spans
from videofer.timeline.segments import find_segments

if TYPE_CHECKING:
    import pandas as pd

    from videofer.timeline.faces import FaceStrips
    from videofer.timeline.timeline import Timeline

_ENDINGS = {
    "csv": (".csv",),
    "parquet": (".parquet",),
    "jsonl": (".jsonl",),
    "segments": ("_segments.csv",),
    "summary": ("_summary.json",),
    "eaf": (".eaf",),
    "textgrid": (".TextGrid",),
    "vtt": (".vtt",),
    "srt": (".srt",),
    "bids": ("_events.tsv", "_events.json"),
    "openface": ("_openface.csv",),
    "png": (".png",),
}

EXPORTS = tuple(_ENDINGS)
"""The formats that are written here."""

FORMATS = (*EXPORTS, "html", "mp4")
"""All that one may ask for: also the report and the annotated video, which are made elsewhere."""


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats in the order of FORMATS; "all" stands for all of them, "json" for "jsonl".

    Raises UserError for an unknown format and where there is none.
    """
    wanted = {"jsonl" if name == "json" else name for name in (name.strip().lower() for name in formats)}
    for name in wanted - {"all", *FORMATS}:
        raise UserError(f"format {name!r} is unknown, must be of {', '.join(FORMATS)} or all")
    if not wanted:
        raise UserError(f"no format given, must be of {', '.join(FORMATS)} or all")
    return tuple(name for name in FORMATS if name in wanted or "all" in wanted)


def file_names(stem: str, export: str) -> tuple[str, ...]:
    """Names of the files that one of EXPORTS consists of."""
    return tuple(stem + ending for ending in _ENDINGS[export])


def write_exports(
    timeline: Timeline,
    out_dir: Path,
    stem: str,
    formats: Sequence[str] = EXPORTS,
    *,
    media: Path | None = None,
    faces: FaceStrips | None = None,
    truth: pd.DataFrame | None = None,
    title: str | None = None,
) -> list[Path]:
    """Write a timeline as files `out_dir/STEM...`, see `file_names`, and return their paths.

    formats: of EXPORTS. media: the video itself, which the ELAN file links to. faces, truth and title are for
    the picture (`plot_timeline`). Raises UserError for an unknown format, ValueError for an unsafe stem.
    """
    chosen = check_formats(formats)
    for name in chosen:
        if name not in EXPORTS:
            raise ValueError(f"format {name!r} is none of the exports: {', '.join(EXPORTS)}")
    if safe_stem(stem) != stem:
        raise ValueError(f"file name {stem!r} is not safe, use safe_stems(): {safe_stem(stem)!r}")
    out_dir.mkdir(parents=True, exist_ok=True)
    source = _Source(timeline, out_dir, media, faces, truth, title)
    paths = []
    for ending in (ending for name in chosen for ending in _ENDINGS[name]):
        path = out_dir / f"{stem}{ending}"
        if ending == ".parquet":
            timeline.save(path)
        elif ending in EDITED_BY_PEOPLE:
            content = BytesIO()
            source.write(ending, content)
            keep_old(path, content.getvalue())
            with atomic_write(path) as file:
                file.write(content.getvalue())
        else:
            if ending == ".png":
                keep_foreign(path)
            with atomic_write(path) as file:
                source.write(ending, file)
        paths.append(path)
    return paths


@dataclass(frozen=True, eq=False)
class _Source:
    """A timeline with what several formats take from it, each made when first needed."""

    timeline: Timeline
    folder: Path
    media: Path | None
    faces: FaceStrips | None
    truth: pd.DataFrame | None
    title: str | None

    @cached_property
    def segments(self) -> pd.DataFrame:
        return find_segments(self.timeline)

    @cached_property
    def marks(self) -> list[Mark]:
        return marks_of(self.segments, by_class=self.is_several)

    @cached_property
    def cues(self) -> list[Cue]:
        if not self.is_several:
            return cues_of(self.marks)
        return joined_cues(self.marks, quiet_spans(self.timeline, self.segments), self.timeline.classes)

    @property
    def is_several(self) -> bool:
        """Whether several classes may hold at once."""
        return self.timeline.thresholds is not None

    @cached_property
    def names(self) -> dict[int, str]:
        return person_names(self.timeline)

    @property
    def annotator(self) -> str:
        """Who watched."""
        return f"videofer, model {self.timeline.model.credit}"

    @property
    def video(self) -> Path | None:
        """What can be played."""
        return self.media if self.timeline.video.kind == "video" else None

    def write(self, ending: str, file: BinaryIO) -> None:
        """Write one file, of the kind that its ending says."""
        timeline = self.timeline
        match ending:
            case ".csv":
                write_rows_csv(timeline, file)
            case ".jsonl":
                write_jsonl(timeline, file)
            case "_segments.csv":
                write_segments_csv(timeline, self.segments, file)
            case "_summary.json":
                write_summary(timeline, self.segments, file)
            case ".eaf":
                write_eaf(
                    self.marks,
                    self.names,
                    timeline.classes,
                    file,
                    annotator=self.annotator,
                    media=self.video,
                    folder=self.folder,
                    by_class=self.is_several,
                )
            case ".TextGrid":
                write_textgrid(
                    self.segments,
                    self.names,
                    timeline.duration_seconds,
                    file,
                    annotator=self.annotator,
                    classes=timeline.classes if self.is_several else (),
                )
            case ".vtt":
                write_vtt(self.cues, self.names, timeline.video.name, file, annotator=self.annotator)
            case ".srt":
                write_srt(self.cues, self.names, file)
            case "_events.tsv":
                write_events(self.segments, file)
            case "_events.json":
                write_sidecar(timeline, file)
            case "_openface.csv":
                write_openface(timeline, file)
            case ".png":
                plot_timeline(timeline, file, faces=self.faces, truth=self.truth, title=self.title)
            case _:
                raise AssertionError(ending)
