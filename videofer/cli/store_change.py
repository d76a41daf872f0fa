"""`videofer store` remove, relabel, merge and split: what changes the content of stores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.store_shared import StorePath, counting

if TYPE_CHECKING:
    from cache.store import Store
    from videofer.upkeep.runs import RunUse

SHOWN = 40


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (remove, relabel, merge, split):
        app.command()(command)


def remove(
    store: StorePath,
    subject: Annotated[
        list[str] | None, typer.Option(help="All videos that show them, by the manifest; repeatable.")
    ] = None,
    video: Annotated[
        list[str] | None, typer.Option(metavar="NAME|KEY", help="One video; repeatable.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Kept, without names.")] = "removed from the store",
    runs: Annotated[
        list[Path] | None, typer.Option(help="Folder in which runs are looked for; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
) -> int:
    """Remove videos for good, as for withdrawn consent: no byte, name or label of them stays in the store.

    The same content is refused by later runs of preprocess. Without --subject and --video, a removal that was
    killed is finished, and with --runs the runs are listed that were trained on anything ever removed.
    """
    from cache.removals import Removals
    from cache.remove import finish, keys_of_subjects, names_of
    from cache.remove import remove as remove_videos
    from cache.store import Store
    from cache.vacate import known_keys
    from videofer.upkeep.runs import runs_that_saw

    for folder in runs or []:
        if not folder.is_dir():  # before anything is gone
            raise typer.BadParameter(f"--runs {folder} is not a folder")
    opened = Store.open(store)
    keys = set(keys_of_subjects(opened, subject)) if subject else set()
    if video:
        keys |= {key for found in known_keys(opened, video).values() for key in found}
    if dry_run:
        for name in sorted(names_of(opened, keys)):
            typer.echo(f"would remove {name!r}")
        _list_runs(runs_that_saw(runs or [], keys.__contains__), [])
        return DONE
    _others_in(opened, keys, subject or [])
    with opened.lock(), counting("shards") as progress:
        report = finish(opened, progress)
        if keys:
            report = remove_videos(opened, keys, subjects=subject or [], reason=reason, progress=progress)
    if report is None and not runs:
        raise typer.BadParameter("say what to remove: --subject or --video")
    if report is not None:
        for name in report.names[:SHOWN]:
            typer.echo(f"removed {name!r}")
        typer.echo(
            f"{report.num_videos} videos removed for good; {report.num_shards} shards written anew, "
            f"{report.num_manifest_rows} rows of the manifest dropped"
        )
        if report.quarantine_dropped:
            typer.echo("the quarantine was deleted, for it may have held some of it")
        for name, why in report.lost.items():
            typer.echo(f"{name!r} was damaged and has to be done again: {why}")
    removed = Removals(opened.path)
    _list_runs(runs_that_saw(runs or [], removed.__contains__), runs or [])
    if report is not None:
        typer.echo("not touched: the input files, other stores (merged, split, copied), exports and backups")
    return SOME_FAILED if report is not None and report.lost else DONE


def relabel(
    store: StorePath,
    manifest: Annotated[
        Path | None, typer.Option(help="Table whose rows replace those of the same videos.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Its rows replace the whole manifest, not only those videos'.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="Set in every row that fits.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Which rows, for --set; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the differences, change nothing.")
    ] = False,
) -> int:
    """Change labels, subjects, splits or any other column. Prints what changes. The shards hold no labels."""
    from cache.labels import labels_of
    from cache.store import Store
    from videofer.datasets.manifest import read_manifest
    from videofer.upkeep.relabel import differences, replaced, with_values

    if (manifest is None) == (not set_):
        raise typer.BadParameter("give either --manifest FILE or --set COLUMN=VALUE")
    if replace and manifest is None:
        raise typer.BadParameter("--replace goes with --manifest")
    opened = Store.open(store)
    missing: list[str] = []
    with opened.lock():
        old = labels_of(opened)
        if manifest is not None:
            known = [] if old is None else [str(label) for label in old["label"].dropna().unique()]
            table = read_manifest(manifest, classes=known)
            new, missing = replaced(old, table, opened.videos(), all_rows=replace)
        elif old is None:
            raise typer.BadParameter(f"{store} has no manifest: give one by --manifest")
        else:
            new = with_values(old, set_ or [], where=where or [])
        lines = differences(old, new)
        if not dry_run and lines:
            opened.write_manifest(new)
    for line in lines[:SHOWN]:
        typer.echo(line)
    if len(lines) > SHOWN:
        typer.echo(f"... and {len(lines) - SHOWN} more")
    for line in missing[:SHOWN]:
        typer.echo(f"manifest: {line}", err=True)
    typer.echo(f"{len(lines)} rows {'would differ' if dry_run else 'changed'}, {len(new)} rows in all")
    return SOME_FAILED if missing else DONE


def merge(
    stores: Annotated[list[Path], typer.Argument(metavar="STORE...")],
    out: Annotated[Path, typer.Option(help="The new store.")],
    keep_first: Annotated[
        bool, typer.Option("--keep-first", help="Where manifests disagree, the first store is right.")
    ] = False,
) -> int:
    """Make one store of several that have the same input contract and codec."""
    from cache.merge import merge as merge_stores

    if len(stores) < 2:
        raise typer.BadParameter("give at least two stores")
    with counting("stores") as progress:
        numbers = merge_stores(stores, out, keep_first=keep_first, progress=progress)
    typer.echo(
        f"{out}: {numbers['num_videos']} videos; {numbers['num_twice']} were in two stores, "
        f"{numbers['num_removed']} left out as removed; {numbers['num_rows']} rows of labels"
    )
    return DONE


def split(
    store: StorePath,
    out: Annotated[Path, typer.Option(help="Folder for the new stores.")],
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A store for each value: split, subject, label, ...")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Two stores, `a` with this share of the videos; no subject in both.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of --fraction.")] = 0,
) -> int:
    """Take a store apart. The old one stays as it is; files are linked where that is possible."""
    from cache.labels import labels_of
    from cache.merge import split as split_store
    from cache.store import Store
    from videofer.upkeep.parts import by_column, by_fraction

    if (by is None) == (fraction is None):
        raise typer.BadParameter("give either --by COLUMN or --fraction SHARE")
    opened = Store.open(store)
    videos, manifest = opened.videos(), labels_of(opened)
    parts = (
        by_column(videos, manifest, by)
        if by is not None
        else by_fraction(videos, manifest, fraction or 0.0, seed)
    )
    for name, number in split_store(opened, parts, out).items():
        typer.echo(f"{out / name}: {number} videos")
    return DONE


def _list_runs(found: Sequence[RunUse], folders: list[Path]) -> None:
    for use in found:
        typer.echo(f"trained on it: {use}")
    if folders and not found:
        typer.echo(f"no run in {', '.join(map(str, folders))} was trained on it")


def _others_in(opened: Store, keys: set[str], subjects: list[str]) -> None:
    """Say which other subjects lose videos, since a video goes as a whole."""
    from cache.labels import labels_of

    table = labels_of(opened)
    if table is None or not subjects or not {"key", "subject"} <= set(table.columns):
        return
    others = table[table["key"].isin(keys) & ~table["subject"].astype(str).isin(subjects)]["subject"].dropna()
    if len(others):
        typer.echo(f"these videos show others as well: {', '.join(sorted(set(map(str, others))))}")
