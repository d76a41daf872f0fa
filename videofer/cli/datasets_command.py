"""`videofer datasets`: what the known data sets are, which one a folder is, its manifest, FER2013's store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videofer.cli.errors import DONE
from videofer.cli.leaks import leaks
from videofer.cli.options import WeightsDir
from videofer.cli.store_shared import counting

if TYPE_CHECKING:
    from videofer.datasets.fer2013_store import ImportReport

app = typer.Typer(
    help="Known data sets: what a copy is, how much of it is there, its labels and official lists.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


DataSetPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A copy of a data set: its folder, or a table or list.")
]
Name = Annotated[
    str | None, typer.Option(help="Which data set it is, if its layout does not tell (see `list`).")
]
LabelSetName = Annotated[
    str | None,
    typer.Option("--labels", help="Another label set, such as gemep7: a map must lead there."),
]
Codes = Annotated[
    str | None, typer.Option(help="What the numbers 0, 1, ... of a list mean: happiness,sadness,...")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="What a data set lets choose: channel, kind, pattern."),
]


app.command("leaks")(leaks)


@app.command("list")
def list_() -> int:
    """The data sets that are known, with their labels and protocols."""
    from videofer.cli.datasets_report import print_adapters
    from videofer.datasets.adapters import ADAPTERS

    print_adapters(ADAPTERS.values())
    return DONE


@app.command("inspect")
def inspect(
    path: DataSetPath,
    name: Name = None,
    labels: LabelSetName = None,
    codes: Codes = None,
    set_: Options = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> int:
    """Which data set it is, how much of it is there, what is odd, and what to do next."""
    import json

    from videofer.cli import datasets_report
    from videofer.datasets.adapters import ADAPTERS, recognise
    from videofer.datasets.copy import read_copy

    reading, _ = read_copy(path, name, labels, codes, set_ or [])
    if as_json:
        typer.echo(json.dumps(datasets_report.as_json(reading), indent=2, ensure_ascii=False))
    else:
        adapter = ADAPTERS[reading.dataset]
        datasets_report.print_reading(reading, recognise(path), adapter, path)
    return DONE


@app.command("manifest")
def manifest(
    path: DataSetPath,
    out: Annotated[Path, typer.Option(help="The table to write: .csv, .tsv, .parquet or .jsonl.")],
    name: Name = None,
    labels: LabelSetName = None,
    codes: Codes = None,
    set_: Options = None,
) -> int:
    """Write the table of videos, labels, subjects and official lists, for `videofer preprocess`."""
    from videofer.datasets.copy import read_copy
    from videofer.datasets.manifest import write_manifest

    reading, dropped = read_copy(path, name, labels, codes, set_ or [])
    write_manifest(reading.table, out)
    coverage = reading.coverage
    of = f" of {coverage.expected:,}" if coverage.expected is not None else ""
    typer.echo(f"{out}: {len(reading.table):,} rows; {coverage.found:,}{of} videos are there")
    if dropped:
        left_out = ", ".join(f"{count:,} {word}" for word, count in dropped.items())
        typer.echo(f"left out, as {reading.labels.name} has no such class: {left_out}")
    if coverage.missing or coverage.odd:
        typer.echo(
            f"{len(coverage.missing):,} missing, {len(coverage.odd):,} odd: videofer datasets inspect {path}",
            err=True,
        )
    return DONE


@app.command("acted")
def acted(
    out: Annotated[Path, typer.Option(help="The folder to make; new or empty.")],
    classes: Annotated[
        Literal["7", "12", "17"],
        typer.Option(help="The literature's 7 (55 videos) or 12 (120), or the whole core set (145)."),
    ] = "17",
    performers: Annotated[int, typer.Option(min=2, max=10, help="Simulated people.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same set.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> int:
    """Make a synthetic set in GEMEP's layout: whole-body videos of acted states, with known joints."""
    from videofer.cli.datasets_report import print_acted
    from videofer.synthetic.acted import make_acted

    with counting("videos") as progress:
        made = make_acted(
            out,
            classes=int(classes),
            num_performers=performers,
            seed=seed,
            num_workers=workers,
            progress=progress,
        )
    print_acted(made)
    return DONE


@app.command("fer2013")
def fer2013(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="fer2013.csv, a packed .npz file, or a folder of either.")
    ],
    out: Annotated[Path, typer.Option(help="The store; made if it is not there, continued if it is.")],
    aligned: Annotated[
        bool,
        typer.Option("--aligned", help="Warp the faces as those of videos are; else pictures as they are."),
    ] = False,
    labels: Annotated[
        Literal["fer2013", "ferplus"],
        typer.Option(help="The set's own labels, or the votes of FER+ as soft labels of 8 classes."),
    ] = "fer2013",
    votes: Annotated[
        Path | None, typer.Option(help="fer2013new.csv of FER+, if it is not beside the CSV file.")
    ] = None,
    test: Annotated[
        Literal["publictest", "privatetest"], typer.Option(help="The list that is the test split.")
    ] = "publictest",
    official_lists: Annotated[
        bool, typer.Option("--official-lists", help="Keep copies of test pictures in Training.")
    ] = False,
    faces: Annotated[
        str | None, typer.Option(help="With --aligned: auto (the default), yunet or mtcnn.")
    ] = None,
    landmarks: Annotated[
        Literal["none", "mesh", "mesh468", "fan", "fan3d"],
        typer.Option(help="Dense landmarks of each face: 68 or all by the face mesh, or 68 by FAN."),
    ] = "none",
    weights_dir: WeightsDir = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default one a core where it pays.")
    ] = None,
) -> int:
    """FER2013: pictures as one-frame tracks, the official lists as splits, a tenth of Training as val."""
    from videofer.datasets.fer2013 import read_fer2013
    from videofer.datasets.fer2013_lists import make_lists
    from videofer.datasets.fer2013_store import AS_IT_IS, aligned_spec, import_fer2013

    if faces is not None and not aligned:
        raise typer.BadParameter("--faces goes with --aligned: pictures as they are need no detector")
    spec = (aligned_spec(faces or "auto") if aligned else AS_IT_IS).model_copy(
        update={"landmarks": landmarks}
    )
    data = read_fer2013(path, votes)
    lists = make_lists(data, labels=labels, test=test, official_lists=official_lists)
    with counting("pictures") as progress:
        report = import_fer2013(
            data, lists, out, spec, weights_dir=weights_dir, num_workers=workers, progress=progress
        )
    for line in lines_of(report):
        typer.echo(line)
    if not report.num_rows["test"]:
        typer.echo(f"{path} holds no picture of the list {test}: the test split is empty", err=True)
    return DONE


def lines_of(report: ImportReport) -> list[str]:
    """What an import did, for people."""
    stills, rows = report.stills, report.num_rows
    lines = [
        f"pictures: {stills.num_stored:,} stored, {stills.num_there_before:,} were there",
        f"rows: {rows['train']:,} train, {rows['val']:,} val, {rows['test']:,} test",
    ]
    if stills.detector.name != "precropped" and stills.num_stored:
        lines.append(
            f"faces: {stills.detector.reason}; none found in {stills.num_without_face:,} pictures, which are "
            "placed like the others and marked low_quality"
        )
    if stills.num_without_landmarks:
        lines.append(f"landmarks: none found in {stills.num_without_landmarks:,} pictures")
    if report.num_dropped:
        lines.append(f"rows of Training left out, as they are in the test split too: {report.num_dropped:,}")
    if stills.num_refused:
        lines.append(
            f"pictures left out, as they were removed from this store for good: {stills.num_refused:,}"
        )
    return lines
