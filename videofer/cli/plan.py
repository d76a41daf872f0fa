"""`videofer plan`: hours, cores and limits of a run over an archive, before anybody copies a file.

A command of its own and not a mode of `preprocess`, because it opens no video and needs neither inputs nor a
store: it reads a table, or takes two numbers, and the report of a run that measured the rates.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.errors import DONE

if TYPE_CHECKING:
    from preprocessing.scale.archive import Archive
    from preprocessing.scale.plan import Order
    from preprocessing.scale.rates import Rates

PICTURES = (".png", ".pdf", ".svg")
ORDERS = ("largest first", "random", "as listed")


def plan(
    rates: Annotated[
        Path,
        typer.Option(
            help="What a video costs: a store with a finished run, or a report (preprocess --report)."
        ),
    ],
    archive: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ARCHIVE]", help="CSV or Parquet, one row a video: duration_seconds or bytes."
        ),
    ] = None,
    videos: Annotated[int | None, typer.Option(min=1, help="Without a table: how many videos, ...")] = None,
    hours: Annotated[float | None, typer.Option(help="... and how many hours they have in all.")] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Standard deviation of the log of their durations; else as measured, or 1."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cores that work; by default this machine's.")
    ] = None,
    deadline: Annotated[float | None, typer.Option(help="Hours: how many nodes are needed?")] = None,
    cores_per_node: Annotated[
        int | None, typer.Option("--cores-per-node", min=1, help="By default this machine's.")
    ] = None,
    segment_seconds: Annotated[
        float, typer.Option(min=0.0, help="Length of the parts of long videos; 0: whole.")
    ] = 300.0,
    order: Annotated[str, typer.Option(help=", ".join(ORDERS))] = "largest first",
    node_losses: Annotated[int, typer.Option(min=0, help="Nodes that are lost on the way.")] = 0,
    deaths_per_hour: Annotated[
        float | None, typer.Option(min=0.0, help="Workers that die, per worker and hour; else as measured.")
    ] = None,
    overheads: Annotated[
        Path | None, typer.Option(help="Of the driver and the store: from tools/bench_scale.py --json.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the simulated run into this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
) -> int:
    """Simulate a run over an archive: hours, core-hours, gigabytes, nodes for a deadline, and what limits."""
    from preprocessing.scale import plan as planning
    from preprocessing.scale import text
    from preprocessing.scale.overheads import Overheads, read_overheads
    from preprocessing.scale.rates import read_rates
    from preprocessing.stage.cluster import usable_cores

    if workers is not None and deadline is not None:
        raise typer.BadParameter("give either --workers or --deadline")
    if deadline is not None and not deadline > 0:
        raise typer.BadParameter(f"--deadline is {deadline:g}; it must be above 0 hours")
    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise typer.BadParameter(f"--picture {picture} must end in {', '.join(PICTURES)}")
    if archive is None and hours is not None and not hours > 0:
        raise typer.BadParameter(f"--hours is {hours:g}; an archive has hours above 0")
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
    measured = read_rates(rates)
    content = read_or_draw(archive, videos, hours, spread, measured)
    costs = Overheads() if overheads is None else read_overheads(overheads)
    setup = planning.Setup(
        num_workers=workers or usable_cores(),
        workers_per_node=cores_per_node or usable_cores(),
        segment_seconds=segment_seconds if segment_seconds > 0 else math.inf,
        order=known_order(order),
        num_node_losses=node_losses,
        deaths_per_worker_hour=deaths_per_hour,
    )
    upper = None
    if deadline is None:
        result = planning.make_plan(content, measured, setup, costs)
    else:
        seconds = deadline * 3600
        high = measured.interval()[1] / measured.mean_per_second
        result = planning.plan_for_deadline(content, measured, setup, seconds, costs)
        upper = planning.plan_for_deadline(content, measured, setup, seconds, costs, scale=max(1.0, high))
    if as_json:
        typer.echo(json.dumps(text.to_json(result, content, measured), indent=2))
    else:
        typer.echo(text.text_of(result, content, measured, upper))
    if picture is not None:
        from preprocessing.scale.picture import draw

        draw(picture, content, measured, result.setup, costs)
        typer.echo(f"picture: {picture}", err=True)
    return DONE


def read_or_draw(
    path: Path | None, videos: int | None, hours: float | None, spread: float | None, rates: Rates
) -> Archive:
    """The archive from a table, or from its number of videos and hours."""
    from preprocessing.scale.archive import DEFAULT_SPREAD, drawn_archive, fitted_spread, read_archive

    if path is not None:
        if videos is not None or hours is not None or spread is not None:
            raise typer.BadParameter("give either a table or --videos, --hours and --spread")
        return read_archive(path, rates.bytes_read_per_second)
    if videos is None or hours is None:
        raise typer.BadParameter("give a table of videos, or both --videos and --hours")
    if spread is None:
        spread = fitted_spread(rates.durations_seconds)
    return drawn_archive(videos, hours, DEFAULT_SPREAD if spread is None else spread)


def known_order(text: str) -> Order:
    """One of ORDERS, a usage error otherwise."""
    match text:
        case "largest first" | "random" | "as listed":
            return text
    raise typer.BadParameter(f"--order is {text!r}; it is one of {', '.join(map(repr, ORDERS))}")
