"""`videofer reproduce`: a published system on its data set by its protocol, beside what was reported."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import Gpu, RayAddress, WeightsDir, seeds_of

if TYPE_CHECKING:
    from videofer.reproduce.plan import Plan
    from videofer.reproduce.run import Reproduced

SHOWN_FAILURES = 20


def reproduce(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="System and data set; without it: all there are.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The copy of the data set.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the store, the runs and the card.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, say what would be done.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; what is finished is kept.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --resume: try videos again that could not be stored.")
    ] = False,
    seeds: Annotated[str, typer.Option(help="Every fold is trained with each, like 0,1,2.")] = "0",
    max_videos: Annotated[
        int | None, typer.Option(min=2, help="For a trial: so many, spread over folds and classes.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that preprocess; by default one a core.")
    ] = None,
    folds_at_once: Annotated[int, typer.Option(min=1, help="Folds that are trained at a time.")] = 1,
    weights_dir: WeightsDir = None,
    gpu: Gpu = False,
    ray_address: RayAddress = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A recipe key; preprocess.KEY; dataset.KEY, what the data set lets choose.",
        ),
    ] = None,
) -> int:
    """A published system on your copy of its data set: preprocess, train, test, compare, one HTML card."""
    from videofer.reproduce.plan import make_plan
    from videofer.reproduce.systems import system_of

    if name is None:
        if data is not None or out is not None or dry_run or resume:
            raise typer.BadParameter("NAME is missing: the system; `videofer reproduce` alone lists them")
        from videofer.cli.reproduce_text import print_systems

        print_systems()
        return DONE
    if retry_failed and not resume:
        raise typer.BadParameter("--retry-failed goes with --resume; a new reproduction tries all videos")
    system = system_of(name)
    if data is None or (out is None and not dry_run):
        raise typer.BadParameter(f"{name} needs --data, your copy, and --out, a folder for what is made")
    plan = make_plan(system, data, changes=set_ or [], seeds=seeds_of(seeds), max_videos=max_videos)
    if dry_run:
        from videofer.cli.reproduce_text import print_plan

        print_plan(plan, weights_dir)
        return DONE
    assert out is not None
    done = _run(plan, out, resume, retry_failed, workers, folds_at_once, weights_dir, ray_address, gpu)
    for line in done.failures[:SHOWN_FAILURES]:
        typer.echo(f"not in the figures: {line}", err=True)
    if len(done.failures) > SHOWN_FAILURES:
        typer.echo(f"and {len(done.failures) - SHOWN_FAILURES:,} more: see the card", err=True)
    _summarise(done)
    return SOME_FAILED if done.failures else DONE


def _run(
    plan: Plan,
    out: Path,
    resume: bool,
    retry_failed: bool,
    workers: int | None,
    folds_at_once: int,
    weights_dir: Path | None,
    ray_address: str | None,
    gpu: bool,
) -> Reproduced:
    from preprocessing.device import FIRST_GPU
    from preprocessing.stage.report import text_of
    from videofer.cli.progress import StageProgress
    from videofer.cli.store_shared import counting
    from videofer.reproduce.run import Machine, Shown, reproduce

    machine = Machine(
        workers=workers,
        folds_at_once=folds_at_once,
        weights_dir=weights_dir,
        ray_address=ray_address,
        device=FIRST_GPU if gpu else None,
    )
    shown = Shown(
        stage=StageProgress,
        stills=lambda: counting("pictures"),
        on_stored=lambda account: typer.echo(text_of(account), err=True),
        step=lambda step: typer.echo(f"== {step}", err=True),
    )
    command = ["videofer", *sys.argv[1:]]
    try:
        return reproduce(
            plan,
            out,
            command=command,
            machine=machine,
            shown=shown,
            resume=resume,
            retry_failed=retry_failed,
        )
    except KeyboardInterrupt:
        again = [*command, *([] if resume else ["--resume"])]
        typer.echo(f"to go on: {shlex.join(again)}", err=True)
        raise


def _summarise(done: Reproduced) -> None:
    from videofer.reproduce.compare import sentence

    typer.echo(sentence(done.result))
    for line in done.result.why_a_trial:
        typer.echo(f"a trial, not a reproduction: {line}")
    typer.echo(f"card: {done.card}")
