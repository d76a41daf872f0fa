"""The report as text, in colours on a terminal. Without rich: it may be what is missing."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TextIO

from videofer.doctor.findings import Finding, Report, State

MARKS: dict[State, tuple[str, str, str]] = {
    "ok": ("✓", "+", "green"),
    "note": ("!", "!", "yellow"),
    "absent": ("·", "-", "bright_black"),
    "broken": ("✗", "X", "red"),
}
"""Mark, the same in ASCII, and its colour."""
TITLES = {
    "machine": "Machine",
    "libraries": "Libraries",
    "decoders": "Decoders  --decoder",
    "faces": "Faces  --faces",
    "landmarks": "Landmarks  --landmarks",
    "skeletons": "Skeletons  --pose",
}
MAX_WIDTH = 100
NAME_WIDTH = 27
MARGIN = "  "


def show(report: Report, out: TextIO) -> None:
    """Write the report for a person, as wide as the terminal, at most MAX_WIDTH columns."""
    width = min(MAX_WIDTH, shutil.get_terminal_size((80, 24)).columns)
    paint = _painter(out)
    unicode = (out.encoding or "").lower().replace("-", "") == "utf8"
    versions = report.versions
    print(f"videofer {versions['videofer']}, Python {versions['python']}, {versions['system']}", file=out)
    for section, findings in report.sections.items():
        title, _, option = TITLES[section].partition("  ")
        print(f"\n{paint(title, 'bold')}{'  ' + paint(option, 'cyan') if option else ''}", file=out)
        for finding in findings:
            for line in lines_of(finding, width, paint, unicode=unicode):
                print(line, file=out)
    print(f"\n{summary(report)}", file=out)


def summary(report: Report) -> str:
    """One line: whether videofer works here, and how many choices are not there."""
    findings = [finding for found in report.sections.values() for finding in found]
    broken = [finding.name for finding in findings if finding.needed and finding.state == "broken"]
    if broken:
        return f"videofer does not work here: {', '.join(broken)}. What mends it stands above."
    absent = sum(finding.state in ("absent", "broken") for finding in findings)
    if not absent:
        return "All works here."
    return f"videofer works here; {absent} {'choice is' if absent == 1 else 'choices are'} not there."


def lines_of(finding: Finding, width: int, paint: Paint, *, unicode: bool) -> list[str]:
    """Mark, name and what was seen, wrapped beside the name; below it what mends it, on one line to copy."""
    mark, ascii_mark, colour = MARKS[finding.state]
    mark = f"{mark if unicode else ascii_mark:<2}"
    indent = len(MARGIN) + len(mark) + NAME_WIDTH
    seen = textwrap.wrap(finding.seen, width - indent, break_long_words=False, break_on_hyphens=False) or [""]
    lines = [f"{MARGIN}{paint(mark, colour)}{finding.name:<{NAME_WIDTH}}{seen[0]}".rstrip()]
    lines += [" " * indent + line for line in seen[1:]]
    if finding.mend:
        arrow = "→ " if unicode else "> "
        fits = indent + len(arrow) + len(finding.mend) <= width
        lines.append((" " * indent if fits else MARGIN + "  ") + arrow + paint(finding.mend, "cyan"))
    return lines


CODES = {"bold": "1", "cyan": "36", "green": "32", "yellow": "33", "red": "31", "bright_black": "90"}
"""Of a terminal's colours."""


class Paint:
    """Colours words for a terminal, or leaves them as they are."""

    def __init__(self, *, coloured: bool) -> None:
        self.coloured = coloured

    def __call__(self, text: str, colour: str) -> str:
        return f"\033[{CODES[colour]}m{text}\033[0m" if self.coloured else text


def _painter(out: TextIO) -> Paint:
    """Colours on a terminal only, and never where $NO_COLOR is set."""
    return Paint(coloured=out.isatty() and not os.environ.get("NO_COLOR"))


def progress(label: str) -> None:
    """What is under way, on the last line of the terminal; nothing where there is none."""
    if sys.stderr.isatty():
        print(f"\r\033[Ktrying {label.partition('/')[2]} ...", end="", file=sys.stderr, flush=True)


def progress_done() -> None:
    """Wipes that line."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
