"""The table as Markdown, and where it stands on the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocessing.weights import REGISTRY
from tools.engine_bench.engines import Engine, Kind

BEGIN, END = "<!-- measured: tools/bench_engines.py -->", "<!-- end of measured -->"
OPTIONS: dict[Kind, str] = {
    "decoder": "--decoder",
    "faces": "--faces",
    "landmarks": "--landmarks",
    "pose": "--pose",
}
NONE = "-"


@dataclass(frozen=True)
class Row:
    """What was measured of one engine."""

    engine: Engine
    frames_per_second: float
    memory_mib: float
    found: str
    agreement: str


def table(rows: Sequence[Row], unusable: Sequence[tuple[Engine, str]], machine: str) -> str:
    """One table of what was measured, one of what could not be, and where."""
    lines = [machine, "", *_lines(["frames/s a core", "found", "agreement", "memory"], _figures(rows))]
    if unusable:
        why = {engine: [_cell(reason)] for engine, reason in unusable}
        lines += ["", "Not usable on that machine:", "", *_lines(["why"], why)]
    return "\n".join(lines)


def _figures(rows: Sequence[Row]) -> dict[Engine, list[str]]:
    return {
        row.engine: [_rate(row.frames_per_second), row.found, row.agreement, f"{row.memory_mib:.0f} MiB"]
        for row in rows
    }


def _lines(columns: list[str], cells: dict[Engine, list[str]]) -> list[str]:
    """Of a table, with what stands beside every engine."""
    table = [["engine", *columns, "licence: code; weights", "when to choose it"]]
    table.append(["---"] * len(table[0]))
    for engine, values in cells.items():
        table.append([f"`{_option(engine)}`", *values, licences(engine), engine.advice])
    return [f"| {' | '.join(line)} |" for line in table]


def licences(engine: Engine) -> str:
    """Of the code, and of the weights where they are others' and known."""
    weights = [weight.licence for weight in REGISTRY.of_engine(engine.name)]
    return "; ".join(dict.fromkeys([engine.licence, *weights]))


def write_into(page: Path, text: str) -> None:
    """Put the text between the page's markers. ValueError where it has none."""
    content = page.read_text(encoding="utf-8")
    begin, end = content.find(BEGIN), content.find(END)
    if not 0 <= begin < end:
        raise ValueError(f"{page} has no lines {BEGIN} and {END}, in this order")
    page.write_text(f"{content[: begin + len(BEGIN)]}\n{text}\n{content[end:]}", encoding="utf-8")


def _option(engine: Engine) -> str:
    if engine.name == "torchcodec:cuda":
        return "--decoder torchcodec --gpu"
    return f"{OPTIONS[engine.kind]} {engine.name}"


def _rate(frames_per_second: float) -> str:
    return f"{frames_per_second:,.0f}" if frames_per_second >= 10 else f"{frames_per_second:.1f}"


def _cell(why: str) -> str:
    """In one line, without the addresses that a command fetches files from."""
    return re.sub(r"(`videofer weights fetch [^`]*`) gets .*", r"\1", " ".join(why.split())).replace(
        "|", "\\|"
    )
