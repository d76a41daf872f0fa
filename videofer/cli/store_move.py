"""`videofer store` export, import, push and pull: other formats, and other places."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE
from videofer.cli.store_shared import StorePath, counting


class Format(StrEnum):
    """What other programs read."""

    PYSKL = "pyskl"
    WEBDATASET = "webdataset"


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command("export")(export)
    app.command("import")(import_)
    app.command()(push)
    app.command()(pull)


def export(
    store: StorePath,
    out: Annotated[Path, typer.Argument(metavar="FILE.pkl|DIR")],
    format_: Annotated[Format, typer.Option("--format", help="pyskl: skeletons; webdataset: all.")],
) -> int:
    """Write labelled intervals (without labels: whole tracks) for other programs."""
    from cache.store import Store
    from preprocessing.quantities import as_count
    from videofer.upkeep.pyskl import export_pyskl
    from videofer.upkeep.webdataset import export_webdataset

    opened = Store.open(store)
    if format_ is Format.PYSKL:
        done = export_pyskl(opened, out)
        typer.echo(
            f"{out}: {done['num_written']} annotations; {done['num_bodyless']} without a body left out"
        )
    else:
        done = export_webdataset(opened, out)
        num_samples, num_shards = (
            as_count(done[f"num_{one}"], what) for one, what in (("written", "sample"), ("shards", "shard"))
        )
        typer.echo(f"{out}: {num_samples} in {num_shards}")
    return DONE


def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE.pkl|DIR")],
    out: Annotated[Path, typer.Option(help="The new store.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="By default: a folder is webdataset, a file pyskl.")
    ] = None,
    layout: Annotated[str | None, typer.Option(help="Joint layout of a pyskl file.")] = None,
    fps: Annotated[float | None, typer.Option(help="Of a pyskl file without times.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names of a pyskl file's classes, one a line, in their order.")
    ] = None,
) -> int:
    """Make a store of skeletons in a pyskl pickle, or of a WebDataset that `export` wrote."""
    from videofer.upkeep.pyskl import import_pyskl
    from videofer.upkeep.webdataset import import_webdataset

    chosen = format_ or (Format.WEBDATASET if source.is_dir() else Format.PYSKL)
    if chosen is not Format.PYSKL:
        for option, value in (("--layout", layout), ("--fps", fps), ("--labels", labels)):
            if value is not None:
                raise typer.BadParameter(f"{option} is for a pyskl file; a WebDataset says it by itself")
    if chosen is Format.PYSKL:
        names = labels.read_text(encoding="utf-8").split("\n") if labels is not None else []
        names = [name.strip() for name in names if name.strip()]
        importer = import_pyskl(source, out, layout=layout, fps=fps, labels=names)
    else:
        importer = import_webdataset(source, out)
    typer.echo(f"{out}: {importer.num_videos} videos; {importer.num_twice} were there twice")
    return DONE


def push(
    store: StorePath,
    url: Annotated[str, typer.Argument(metavar="URL", help="s3://bucket/store, gs://..., any fsspec URL.")],
) -> int:
    """Bring an object store up to date with a store here: shards first, then the records that name them."""
    from cache.remote import Remote
    from cache.store import Store

    opened = Store.open(store)
    with counting("uploading files") as progress:
        done = Remote(url).push(opened, progress=progress)
    typer.echo(f"{url}: sent {done}")
    return DONE


def pull(
    url: Annotated[str, typer.Argument(metavar="URL")],
    out: Annotated[Path, typer.Argument(metavar="DIR")],
    records_only: Annotated[
        bool, typer.Option("--records-only", help="No shards: enough to look and to go on preprocessing.")
    ] = False,
) -> int:
    """Copy a store from an object store, or bring a copy up to date."""
    from cache.remote import Remote

    with counting("downloading files") as progress:
        done = Remote(url).pull(out, shards=not records_only, progress=progress)
    typer.echo(f"{out}: fetched {done}")
    return DONE
