"""`videofer weights`: the files that engines need: what there is, getting, checking and carrying them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import WeightsDir

if TYPE_CHECKING:
    from preprocessing.weights import Weight
    from preprocessing.weights.present import Present

app = typer.Typer(
    help="Weight files of the engines: list, fetch and check them, carry them to a machine without network.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
AcceptLicense = Annotated[
    bool, typer.Option("--accept-license", help="Also files whose licence does not allow every use.")
]
PackFile = Annotated[Path, typer.Argument(metavar="FILE", help="The pack: one tar file.")]


@app.command("list")
def list_weights(
    weights_dir: WeightsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for machines.")] = False,
) -> int:
    """What is known, what each is for, its size and licence, and what is here."""
    from preprocessing.weights import REGISTRY
    from preprocessing.weights.present import present

    here = {one.path.name: one for one in present(weights_dir, REGISTRY)}
    others = [str(one.path) for one in here.values() if one.known is None]
    if as_json:
        rows = [_row(weight, here.get(weight.file)) for weight in REGISTRY]
        typer.echo(json.dumps({"weights": rows, "others": others}, indent=2))
        return DONE
    _print_table([(weight, weight.file in here) for weight in REGISTRY])
    for path in others:
        typer.echo(f"also here: {path}")
    return DONE


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...", help="Names of the list, engines such as rtmlib:body-balanced, or addresses."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that can be fetched.")] = False,
    accept_license: AcceptLicense = False,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="What the file at one address must hash to.")
    ] = None,
    weights_dir: WeightsDir = None,
) -> int:
    """Download files, going on where an earlier run stopped; each is checked before it gets its name."""
    from preprocessing.weights import REGISTRY, WeightsError, find, search_dirs
    from preprocessing.weights.check import check
    from preprocessing.weights.download import fetch as fetch_file
    from preprocessing.weights.locate import download_dir
    from preprocessing.weights.order import check_licences, not_published
    from videofer.cli.transfer_progress import transferring

    weights, left_out = _ordered(names or [], everything, accept_license, sha256)
    check_licences(weights, accepted=accept_license)
    folder, num_failed = download_dir(weights_dir), 0
    for weight in weights:
        try:
            path = None if weights_dir else find(weight.file, download=False)
            if path is not None:
                check(path, weight)
                typer.echo(f"{path}  (was there)")
                continue
            with transferring(weight.name) as progress:
                path = fetch_file(weight, folder, progress=progress)
        except WeightsError as error:
            if len(weights) == 1:
                raise
            typer.echo(f"failed: {weight.name}: {error}", err=True)
            num_failed += 1
        else:
            typer.echo(f"{path}  ({weight.licence})")
    for weight in left_out:
        typer.echo(f"left out: {weight.name} ({weight.licence}): say --accept-license", err=True)
    places = {folder, *search_dirs(None)}
    for weight in not_published(names or [], REGISTRY):
        if not any((place / weight.file).is_file() for place in places):
            typer.echo(
                f"left out: {weight.name}, published nowhere: {weight.file} goes there by hand", err=True
            )
    return SOME_FAILED if num_failed else DONE


@app.command()
def verify(
    weights_dir: WeightsDir = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Hold this unchecked file to what it is now; repeatable."),
    ] = None,
) -> int:
    """Read every file that is here and compare its hash. Exit code 3 if one is wrong."""
    from preprocessing.weights import REGISTRY
    from preprocessing.weights.present import pick, present
    from preprocessing.weights.present import trust as trust_file
    from preprocessing.weights.present import verify as verify_files
    from videofer.cli.store_shared import counting

    files = present(weights_dir, REGISTRY)
    for one in pick(trust or [], files):
        trust_file(one)
    with counting("checking files") as progress:
        findings = verify_files(files, progress)
    for finding in findings:
        typer.echo(f"{finding.trust or 'WRONG':12}  {finding.problem or finding.present.path}")
    num_wrong = sum(finding.trust is None for finding in findings)
    typer.echo(f"{len(findings)} files, {num_wrong} wrong")
    return SOME_FAILED if num_wrong else DONE


@app.command()
def pack(
    file: PackFile,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Only these; else all that are here.")
    ] = None,
    weights_dir: WeightsDir = None,
) -> int:
    """Put the files that are here into one, for a machine without network."""
    from preprocessing.weights import REGISTRY
    from preprocessing.weights.pack import pack as pack_files
    from preprocessing.weights.present import pick, present
    from videofer.cli.transfer_progress import transferring

    files = present(weights_dir, REGISTRY)
    with transferring("packing") as progress:
        records = pack_files(file, pick(names, files) if names else files, progress)
    for record in records:
        typer.echo(f"{record.file}  ({record.licence})")
    typer.echo(file)
    return DONE


@app.command()
def unpack(file: PackFile, accept_license: AcceptLicense = False, weights_dir: WeightsDir = None) -> int:
    """Bring the files of a pack to where engines look for them; each is checked as a download is."""
    from preprocessing.weights import REGISTRY
    from preprocessing.weights.locate import download_dir
    from preprocessing.weights.order import check_licences
    from preprocessing.weights.pack import contents
    from preprocessing.weights.pack import unpack as unpack_files
    from videofer.cli.transfer_progress import transferring

    records = contents(file, REGISTRY)
    check_licences(records, accepted=accept_license)
    folder = download_dir(weights_dir)
    with transferring("unpacking") as progress:
        written = {path.name for path in unpack_files(file, folder, REGISTRY, progress)}
    for record in records:
        note = record.licence if record.file in written else "was there"
        typer.echo(f"{folder / record.file}  ({note})")
    return DONE


def _ordered(
    names: list[str], everything: bool, accept_license: bool, sha256: str | None
) -> tuple[list[Weight], list[Weight]]:
    """What is to be fetched, and what `--all` leaves out for its licence. WeightsError."""
    from preprocessing.weights import REGISTRY, WeightsError
    from preprocessing.weights.locate import offline
    from preprocessing.weights.order import wanted

    if bool(names) == everything:
        raise WeightsError(
            "name what to fetch, or say --all, not both; `videofer weights list` shows what there is"
        )
    if offline():
        raise WeightsError(
            "$VIDEOFER_OFFLINE forbids downloading: unset it, or bring files by `videofer weights unpack`"
        )
    if names or sha256 is not None:
        return wanted(names, REGISTRY, sha256), []
    can = [weight for weight in REGISTRY if weight.url is not None]
    return (
        [weight for weight in can if weight.commercial or accept_license],
        [weight for weight in can if not weight.commercial and not accept_license],
    )


def _row(weight: Weight, here: Present | None) -> dict[str, Any]:
    """One file for machines."""
    return {
        "name": weight.name,
        "file": weight.file,
        "purpose": weight.purpose,
        "engines": list(weight.engines),
        "licence": weight.licence,
        "commercial": weight.commercial,
        "citation": weight.citation,
        "url": weight.url,
        "sha256": weight.sha256,
        "num_bytes": weight.num_bytes,
        "path": str(here.path) if here else None,
    }


def _print_table(rows: Sequence[tuple[Weight, bool]]) -> None:
    """For people. A star marks what is here, a dash what has no address."""
    from rich.console import Console
    from rich.table import Table

    from preprocessing.quantities import as_bytes

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("", "name"):
        table.add_column(name, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for name in ("licence", "engines"):
        table.add_column(name)
    for weight, is_here in rows:
        mark = "*" if is_here else "-" if weight.url is None else ""
        size = as_bytes(weight.num_bytes) if weight.num_bytes else "?"
        licence = weight.licence if weight.commercial else "non-commercial"
        table.add_row(mark, weight.name, size, licence, ", ".join(weight.engines))
    console = Console()
    console.print(table, highlight=False)
    console.print("* here   - has no address: to be put here by hand", highlight=False)
