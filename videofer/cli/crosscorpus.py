"""`videofer crosscorpus`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import By, RayAddress, RecipeFile, RecipeKeys, seeds_of


def crosscorpus(
    recipe: RecipeFile,
    train: Annotated[Path, typer.Option(metavar="STORE", help="The store to train on, all of it.")],
    test: Annotated[list[Path], typer.Option(metavar="STORE", help="A store to test on; repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder for runs, predictions and the report.")],
    seeds: Annotated[str, typer.Option(help="A model is trained with each, like 0,1,2.")] = "0",
    train_manifest: Annotated[
        Path | None, typer.Option(help="Labels of the first, if not those kept in the store.")
    ] = None,
    test_manifest: Annotated[
        list[Path] | None, typer.Option(help="Labels of the others, one for each, in their order.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Seeds at once, each with its share of cores.")] = 1,
    ray_address: RayAddress = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; finished seeds are kept.")] = False,
    by: By = None,
    set_: RecipeKeys = None,
) -> int:
    """Train on one store and test on others, by the classes that all of them have."""
    from videofer.evaluation.charts import print_metrics
    from videofer.experiments.crosscorpus import crosscorpus as run_crosscorpus
    from videofer.recipe import load_recipe

    report = run_crosscorpus(
        load_recipe(recipe, set_ or []),
        train,
        test,
        out,
        seeds=seeds_of(seeds),
        workers=workers,
        ray_address=ray_address,
        train_manifest=train_manifest,
        test_manifests=test_manifest or [],
        resume=resume,
        by=by,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    print_metrics(report.metrics, f"trained on {report.train}, tested on {', '.join(report.tests)}")
    for note in report.notes:
        typer.echo(note)
    for result in report.failed:
        typer.echo(f"failed: seed {result.seed}: {result.reason}", err=True)
    typer.echo(f"report: {report.path / 'report.html'}, figures of each: {report.path / 'corpora.csv'}")
    return SOME_FAILED if report.failed else DONE
