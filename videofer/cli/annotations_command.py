"""`videofer annotations`: what people marked in ELAN, Praat, BORIS or a table, as a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cache.errors import UserError
from videofer.cli.annotation_options import (
    ClassNames,
    IgnoredLabels,
    PointSeconds,
    RenamedLabels,
    Tiers,
    numbers_of,
    pairs_of,
)
from videofer.cli.errors import DONE, SOME_FAILED

if TYPE_CHECKING:
    import pandas as pd

    from videofer.annotations.intervals import Annotations

SHOWN_LINES = 20


def import_annotations(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help=".eaf, .TextGrid, .boris, .csv or .tsv files.")
    ],
    videos: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the videos they are about.")],
    out: Annotated[Path, typer.Option(help="The manifest, a .csv file.")],
    tier: Tiers = None,
    map_: RenamedLabels = None,
    ignore_label: IgnoredLabels = None,
    class_: ClassNames = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER=NAME", help="Which person of the timeline a name means; repeatable."),
    ] = None,
    tiers_are: Annotated[
        str, typer.Option(help="Who a tier's name means: the person who is seen, or the rater.")
    ] = "person",
    raters: Annotated[
        str, typer.Option(help="Several raters: soft (shares of votes) or each (rows of each of them).")
    ] = "soft",
    min_seconds: Annotated[
        float, typer.Option(min=0, help="With soft: shorter pieces between changes are left out.")
    ] = 0.2,
    point_seconds: PointSeconds = None,
) -> int:
    """Intervals that people marked become rows of a manifest: video, start, end, label, person, rater."""
    from videofer.annotations.intervals import choose_tiers, give_points_length, name_emotions
    from videofer.annotations.read import read_annotations
    from videofer.annotations.to_manifest import manifest_rows

    if tiers_are not in ("person", "rater"):
        raise typer.BadParameter(f"--tiers-are is {tiers_are!r}, must be person or rater")
    if raters not in ("soft", "each"):
        raise typer.BadParameter(f"--raters is {raters!r}, must be soft or each")
    if out.suffix.lower() != ".csv":
        raise typer.BadParameter(f"--out is {out}, must end in .csv")
    renamed, classes = pairs_of(map_ or []), class_ or []
    persons = numbers_of(name or [])
    known = _video_names(videos)

    read: list[Annotations] = []
    failures: list[str] = []
    for path in files:
        try:
            one = choose_tiers(read_annotations(path), tier or [])
            one = name_emotions(one, renamed=renamed, ignored=ignore_label or [], classes=classes)
            read.append(give_points_length(one, point_seconds))
        except UserError as error:
            failures.append(str(error))
    rows = manifest_rows(
        read,
        known,
        persons=persons,
        tiers_are=tiers_are,  # type: ignore[arg-type]
        raters=raters,  # type: ignore[arg-type]
        min_seconds=min_seconds,
    )
    notes = [f"{one.path}: {note}" for one in read for note in one.notes] + list(rows.notes)
    failures += rows.failures
    if len(notes) > SHOWN_LINES:
        notes[SHOWN_LINES:] = [f"and {len(notes) - SHOWN_LINES} more notes"]
    for line in [f"note: {note}" for note in notes] + [f"failed {line}" for line in failures]:
        typer.echo(line, err=True)
    if rows.table.empty:
        raise UserError(f"none of the {len(files)} files gave a row; nothing is written to {out}")
    _write(rows.table, out)
    typer.echo(_summary(rows.table, len(read)))
    typer.echo(out)
    return SOME_FAILED if failures else DONE


def _video_names(folder: Path) -> list[str]:
    """Names of the videos in a folder, as preprocessing gives them."""
    from preprocessing.discover import discover

    if not folder.is_dir():
        raise UserError(f"--videos is {folder}, which is no folder")
    sources, _ = discover([folder], sidecars=False)
    if not sources:
        raise UserError(f"--videos: there are no videos in {folder}")
    return [source.name for source in sources]


def _write(table: pd.DataFrame, out: Path) -> None:
    from cache.atomic import atomic_write_text
    from videofer.formats.text import defused

    for column in ("rater", "person_name", "annotation"):
        table[column] = table[column].map(defused, na_action="ignore")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out, table.to_csv(index=False, float_format="%.6f", lineterminator="\n"))


def _summary(table: pd.DataFrame, num_files: int) -> str:
    seconds = (table["end"] - table["start"]).groupby(table["label"].fillna("(a tie)")).sum()
    each = ", ".join(
        f"{label} {value:.1f} s" for label, value in seconds.sort_values(ascending=False).items()
    )
    counts = (
        _counted(num_files, "file"), _counted(table["path"].nunique(), "video"), _counted(len(table), "row")
    )  # fmt: skip
    return f"{', '.join(counts)}: {each}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
