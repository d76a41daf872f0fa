"""`videofer crossval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import By, Labels, RayAddress, RecipeFile, RecipeKeys, seeds_of

if TYPE_CHECKING:
    from videofer.experiments.crossval import CrossvalReport


def crossval(
    recipe: RecipeFile,
    store: Annotated[Path, typer.Option(help="The store to train and test on.")],
    out: Annotated[Path, typer.Option(help="Folder for runs, predictions and the report.")],
    protocol: Annotated[
        str, typer.Option(help="kfold, loso (a fold for each subject), lopo (performer) or official.")
    ] = "kfold",
    folds: Annotated[int | None, typer.Option(min=2, help="Of kfold; by default 5.")] = None,
    group_by: Annotated[
        str | None, typer.Option(help="Column of the manifest that takes the subject's place.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Every fold is trained with each, like 0,1,2.")] = "0",
    workers: Annotated[int, typer.Option(min=1, help="Folds at once, each with its share of cores.")] = 1,
    ray_address: RayAddress = None,
    manifest: Labels = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; finished folds are kept.")] = False,
    by: By = None,
    set_: RecipeKeys = None,
) -> int:
    """Train and test on folds in which nobody is on both sides, and pool what the models predict."""
    from videofer.experiments.crossval import crossval as run_crossval
    from videofer.recipe import load_recipe

    if folds is not None and protocol != "kfold":
        raise typer.BadParameter(f"--folds is of the protocol kfold; {protocol} has its own number of folds")
    report = run_crossval(
        load_recipe(recipe, set_ or []),
        store,
        out,
        protocol=protocol,  # type: ignore[arg-type]  # checked there
        num_folds=folds or 5,
        group_by=group_by,
        seeds=seeds_of(seeds),
        workers=workers,
        ray_address=ray_address,
        manifest=manifest,
        resume=resume,
        by=by,
    )
    summarise(report)
    return SOME_FAILED if report.failed else DONE


def summarise(report: CrossvalReport) -> None:
    """Pooled figures with their intervals, mean and spread over the folds, and what failed."""
    from videofer.evaluation.charts import print_metrics

    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    print_metrics(report.metrics, f"{report.path}, all folds together")
    typer.echo(report.spread())
    for note in report.notes:
        typer.echo(note)
    for result in report.failed:
        typer.echo(f"failed: seed {result.seed} fold {result.fold}: {result.reason}", err=True)
    typer.echo(f"report: {report.path / 'report.html'}, figures of each fold: {report.path / 'folds.csv'}")
