"""Segments as subtitles: WebVTT and SubRip (SRT)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import BinaryIO

from videofer.formats.marks import Mark
from videofer.formats.text import one_line

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_PLAIN = str.maketrans("<>{}", "\u2039\u203a()")  # what players take for markup, which SRT cannot escape


def write_vtt(
    marks: Sequence[Mark], names: Mapping[int, str], title: str, file: BinaryIO, *, annotator: str
) -> None:
    """One cue for each mark, in the voice of the person: `<v Anna>Anna: happiness 87 %`.

    Cues of several persons overlap, which WebVTT provides for. names: of the persons; title: of the video;
    annotator: who watched, for the note at the top. SRT has no place for notes.
    """
    about, by = (one_line(text).replace("-->", "→") for text in (title, annotator))
    parts = ["WEBVTT", f"NOTE\nPerceived expressions in {about}, by {by}"]
    for number, mark in enumerate(marks, 1):
        name = names[mark.person].translate(_HTML)
        text = _sentence(mark, names).translate(_HTML)
        times = f"{_clock(mark.start_ms, '.')} --> {_clock(mark.end_ms, '.')}"
        parts.append(f"{number}\n{times}\n<v {name}>{text}</v>")
    file.write(("\n\n".join(parts) + "\n").encode("utf-8"))


def write_srt(marks: Sequence[Mark], names: Mapping[int, str], file: BinaryIO) -> None:
    """Cues that never overlap, as players show SRT: one for each stretch of time, a line for each person."""
    parts = []
    for number, (start, end, shown) in enumerate(together(marks), 1):
        lines = [_sentence(mark, names).translate(_PLAIN) for mark in shown]
        times = f"{_clock(start, ',')} --> {_clock(end, ',')}"
        parts.append("\n".join([str(number), times, *lines]))
    file.write("".join(part + "\n\n" for part in parts).encode("utf-8"))


def together(marks: Sequence[Mark]) -> list[tuple[int, int, list[Mark]]]:
    """Stretches (start_ms, end_ms, marks) without overlap: time cut wherever a mark begins or ends.

    marks in order of time. Time without a mark is left out; persons come in order of their numbers.
    """
    edges = sorted({edge for mark in marks for edge in (mark.start_ms, mark.end_ms)})
    stretches = []
    shown: list[Mark] = []
    waiting = list(reversed(marks))
    for start, end in pairwise(edges):
        shown = [mark for mark in shown if mark.end_ms > start]
        while waiting and waiting[-1].start_ms <= start:
            shown.append(waiting.pop())
        if shown:
            stretches.append((start, end, sorted(shown, key=lambda mark: mark.person)))
    return stretches


def _sentence(mark: Mark, names: Mapping[int, str]) -> str:
    return f"{names[mark.person]}: {one_line(mark.label)} {100 * mark.probability:.0f} %"


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"
