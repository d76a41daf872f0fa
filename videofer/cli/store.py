"""`videofer store`: what a store holds, and whether it is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED

app = typer.Typer(help="What a store holds, and whether it is whole.", no_args_is_help=True)

StorePath = Annotated[Path, typer.Argument(metavar="STORE")]


@app.command()
def info(
    store: StorePath,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> int:
    """List the videos, their people and the failures."""
    from cache.info import info as store_info
    from cache.store import Store

    facts = store_info(Store.open(store))
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return DONE
    typer.echo(f"{store}: {len(facts['videos'])} videos, {len(facts['failures'])} failures")
    for video in facts["videos"]:
        typer.echo(
            f"{', '.join(map(repr, video['names']))}: {video['width']}x{video['height']}, "
            f"{video['num_frames']} frames, {video['t_start']:.3f} to {video['t_end']:.3f} s"
        )
        for warning in video["warnings"]:
            typer.echo(f"  {warning}")
        for track in video["tracks"]:
            states = "; ".join(
                f"{part} {', '.join(f'{n} {state}' for state, n in track[f'{part}_states'].items())}"
                for part in ("face", "body")
            )
            typer.echo(
                f"  person {track['id']}: {track['t_start']:.3f} to {track['t_end']:.3f} s, "
                f"{track['num_frames']} frames; {states}"
            )
    for failure in facts["failures"]:
        typer.echo(f"failed {failure['name']!r}: {failure['stage']}: {failure['reason']}")
    return DONE


@app.command()
def verify(
    store: StorePath,
    deep: Annotated[bool, typer.Option("--deep", help="Also read every byte and check its sum.")] = False,
) -> int:
    """Check that everything the records name is there and whole. Exit code 3 if it is not."""
    from cache.store import Store
    from cache.verify import verify as verify_store

    problems = verify_store(Store.open(store), deep=deep)
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{store}: {len(problems)} problems" if problems else f"{store}: whole")
    return SOME_FAILED if problems else DONE
