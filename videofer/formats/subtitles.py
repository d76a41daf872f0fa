"""Cues as subtitles: WebVTT and SubRip (SRT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO

from videofer.formats.cues import Cue, together
from videofer.formats.text import one_line

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_PLAIN = str.maketrans("<>{}", "\u2039\u203a()")  # what players take for markup, which SRT cannot escape


def write_vtt(
    cues: Sequence[Cue], names: Mapping[int, str], title: str, file: BinaryIO, *, annotator: str
) -> None:
    """Each cue in the voice of its person: `<v Anna>Anna: happiness 87 %`.

    Cues of several persons overlap, which WebVTT provides for. names: of the persons; title: of the video;
    annotator: who watched, for the note at the top. SRT has no place for notes.
    """
    about, by = (one_line(text).replace("-->", "→") for text in (title, annotator))
    parts = ["WEBVTT", f"NOTE\nPerceived expressions in {about}, by {by}"]
    for number, cue in enumerate(cues, 1):
        name = names[cue.person].translate(_HTML)
        text = _sentence(cue, names).translate(_HTML)
        times = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        parts.append(f"{number}\n{times}\n<v {name}>{text}</v>")
    file.write(("\n\n".join(parts) + "\n").encode("utf-8"))


def write_srt(cues: Sequence[Cue], names: Mapping[int, str], file: BinaryIO) -> None:
    """As players show SRT, without overlap: one for each stretch of time, a line for each person."""
    parts = []
    for number, (start, end, shown) in enumerate(together(cues), 1):
        lines = [_sentence(cue, names).translate(_PLAIN) for cue in shown]
        times = f"{_clock(start, ',')} --> {_clock(end, ',')}"
        parts.append("\n".join([str(number), times, *lines]))
    file.write("".join(part + "\n\n" for part in parts).encode("utf-8"))


def _sentence(cue: Cue, names: Mapping[int, str]) -> str:
    return f"{names[cue.person]}: {cue.words}"


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
