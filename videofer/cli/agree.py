"""`videofer agree`: a timeline beside an annotation, two annotations, or two timelines."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.annotation_options import (
    ClassNames,
    IgnoredLabels,
    PointSeconds,
    RenamedLabels,
    pairs_of,
    two_of,
)
from videofer.cli.errors import DONE

if TYPE_CHECKING:
    from videofer.annotations.agreement import Agreement

PICTURE, FIGURES = "agreement.png", "agreement.json"


def agree(
    timeline: Annotated[
        Path, typer.Argument(metavar="TIMELINE", help="Parquet or CSV of a timeline, or an annotation file.")
    ],
    annotation: Annotated[
        Path, typer.Argument(metavar="ANNOTATION", help="The reference: the same kinds of files.")
    ],
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|NAME",
            help="Who, else who is there longest; given twice: of the first file, of the second.",
        ),
    ] = None,
    tier: Annotated[
        list[str] | None, typer.Option(metavar="T", help="Of annotations; given twice: as --person.")
    ] = None,
    rater: Annotated[
        list[str] | None, typer.Option(metavar="R", help="Of annotations; given twice: as --person.")
    ] = None,
    video: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which one, where a file is about several.")
    ] = None,
    gaps: Annotated[str, typer.Option(help="Time without an annotation: ignore it, or neutral.")] = "ignore",
    tolerance: Annotated[
        float, typer.Option(min=0, help="Seconds around changes of the reference that do not count.")
    ] = 0.0,
    map_: RenamedLabels = None,
    ignore_label: IgnoredLabels = None,
    class_: ClassNames = None,
    point_seconds: PointSeconds = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the picture and all figures as JSON.")
    ] = None,
) -> int:
    """Cohen's kappa over time, segment F1, onset lag and the confusion in seconds, of one person."""
    from cache.atomic import atomic_write, atomic_write_text
    from videofer.annotations.agreement import agreement
    from videofer.annotations.sides import Choice, Reading, open_sides

    if gaps not in ("ignore", "neutral"):
        raise typer.BadParameter(f"--gaps is {gaps!r}, must be ignore or neutral")
    persons, tiers = two_of("--person", person), two_of("--tier", tier)
    raters = two_of("--rater", rater)
    choices = [Choice(persons[i], tiers[i], raters[i], video) for i in (0, 1)]
    reading = Reading(pairs_of(map_ or []), ignore_label or [], class_ or [], point_seconds)
    said, reference = open_sides((timeline, annotation), (choices[0], choices[1]), reading, gaps)  # type: ignore[arg-type]
    result = agreement(said, reference, tolerance_seconds=tolerance)
    written: list[Path] = []
    if out is not None:
        from videofer.annotations.agreement_plot import plot_agreement

        out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(out / FIGURES, json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
        with atomic_write(out / PICTURE) as file:
            plot_agreement(result, said, reference, file)
        written = [out / PICTURE, out / FIGURES]
    for note in (*said.notes, *reference.notes):
        typer.echo(f"note: {note}", err=True)
    _print(result)
    for path in written:
        typer.echo(path)
    return DONE


def _print(result: Agreement) -> None:
    """The figures, and a table of labels."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from videofer.annotations.agreement import IOU

    score = result.segments
    figures = Table.grid(padding=(0, 2))
    lag = result.onsets["error_seconds"]
    silent = max(0.0, result.seconds_reference - result.seconds_compared)
    for name, value in (
        ("said", escape(result.said)),
        ("reference", escape(result.reference)),
        ("compared", f"{result.seconds_compared:.1f} s; no answer for {silent:.1f} s of the reference"),
        ("same label", f"{100 * result.share_same:.1f} % of the time"),
        ("Cohen's kappa", _number(result.kappa)),
        (
            f"segment F1, IoU {IOU:g}",
            f"{_number(score.f1)}   ({score.num_matched} found of {score.num_truth}, {score.num_said} said)",
        ),
        (
            "onset lag",
            f"{_number(result.onset_lag_seconds)} s median, {_number(float(lag.abs().median()))} s without"
            f" its sign   ({len(lag)} on both sides)",
        ),
    ):
        figures.add_row(name, value)
    table = Table(title="seconds compared", title_justify="left")
    for name in ("label", "reference", "said", "both", "recall", "precision", "F1"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for label in result.labels:
        seconds = (label.seconds_reference, label.seconds_said, label.seconds_both)
        rates = (label.recall, label.precision, label.f1)
        table.add_row(escape(label.label), *(f"{one:.1f}" for one in seconds), *map(_number, rates))
    console = Console()
    console.print(figures, highlight=False)
    console.print(table, highlight=False)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # never -0.00
