"""`videofer datasets`: data sets that are more than a folder of videos, brought into a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videofer.cli.errors import DONE
from videofer.cli.options import WeightsDir
from videofer.cli.store_shared import counting

if TYPE_CHECKING:
    from videofer.datasets.fer2013_store import ImportReport

app = typer.Typer(
    help="Bring a known data set into a store, with its labels and official lists.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


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
    faces: Annotated[str, typer.Option(help="With --aligned: auto, yunet or mtcnn.")] = "auto",
    landmarks: Annotated[
        Literal["none", "mesh", "mesh468"],
        typer.Option(help="Dense landmarks of each face: 68 by the face mesh, or all of its points."),
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

    spec = (aligned_spec(faces) if aligned else AS_IT_IS).model_copy(update={"landmarks": landmarks})
    data = read_fer2013(path, votes)
    lists = make_lists(data, labels=labels, test=test, official_lists=official_lists)
    with counting("pictures") as progress:
        report = import_fer2013(
            data, lists, out, spec, weights_dir=weights_dir, num_workers=workers, progress=progress
        )
    for line in lines_of(report):
        typer.echo(line)
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
