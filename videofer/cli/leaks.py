"""`videofer datasets leaks`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import Labels

SHOWN = 20


def leaks(
    store: Annotated[Path, typer.Option(help="The store whose videos are compared.")],
    manifest: Labels = None,
    against: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Another store: what is in both.")
    ] = None,
    side: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column whose values are the sides; else fold, else split."),
    ] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Copies within a side as well.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for a table and a page with the faces.")] = None,
) -> int:
    """Who or what is on several sides: subjects, files, and copies of a recording however encoded."""
    from cache.store import Store
    from videofer.cli.store_shared import counting
    from videofer.datasets.leaks import LeakError, check, check_corpora, videos_table
    from videofer.evaluation.labels import load_labels
    from videofer.experiments.corpora import corpus_names

    if against is not None and (side is not None or everywhere):
        raise typer.BadParameter("--side and --everywhere are for one store, without --against")
    if against is not None and store.resolve() == against.resolve():
        raise typer.BadParameter(f"{store} is compared with itself: leave --against out")
    opened = Store.open(store)
    if manifest is None and opened.manifest() is None:
        table = videos_table(opened)
    else:
        table, missing = load_labels(opened, manifest, [])
        for line in missing[:SHOWN]:
            typer.echo(f"not compared: {line}", err=True)
    if table.empty:
        raise LeakError(f"{store} holds no video of the manifest")
    with counting("faces and pairs") as bar:

        def progress(_what: str, done: int, total: int) -> None:
            bar(done, total)

        if against is not None:
            names = corpus_names([store, against])
            tables = (table, videos_table(Store.open(against)))
            places = zip(names, (store, against), tables, strict=True)
            report = check_corpora({name: (path, each) for name, path, each in places}, progress=progress)
        else:
            sides = None
            if side is not None:
                if side not in table.columns or table[side].isna().any():
                    have = ", ".join(str(name) for name in table.columns if table[name].notna().all())
                    raise LeakError(f"no column '{side}' that every row has a value of (columns: {have})")
                sides = [f"{side} {value}" for value in table[side]]
            report = check(store, table, sides=sides, everywhere=everywhere, progress=progress)
    for pair in report.pairs[:SHOWN]:
        typer.echo(f"{pair.kind}: {pair.line()}")
    if len(report.pairs) > SHOWN:
        typer.echo(f"and {len(report.pairs) - SHOWN:,} more{'' if out else ': --out DIR keeps them all'}")
    if out is not None:
        report.save(out)
        typer.echo(f"page: {out / 'leaks.html'}, table: {out / 'leaks.csv'}")
    for note in report.notes():
        if not note.startswith(("leak: ", "copy: ")):
            typer.echo(note)
    return DONE if report.is_clean else SOME_FAILED
