"""`videofer train` and `videofer evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="One complete YAML file.")],
    store: Annotated[Path, typer.Option(help="The store to train on.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    workers: Annotated[int, typer.Option(min=1, help="More than 1: Ray Train, DDP.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was interrupted.")] = False,
    manifest: Annotated[Path | None, typer.Option(help="Labels, if not those kept in the store.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any recipe key.")
    ] = None,
) -> int:
    """Train face and body models and their fusion; validation subjects are carved from the training ones."""
    from videofer.recipe import load_recipe
    from videofer.training.run import train as run_training

    report = run_training(
        load_recipe(recipe, set_ or []), store, out, workers=workers, resume=resume, manifest=manifest
    )
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    figures = ", ".join(
        f"{head} -" if m["war"] is None else f"{head} {m['war']:.3f}"  # no interval shows that modality
        for head, m in report.val_metrics.items()
    )
    typer.echo(
        f"{out}: best epoch {report.best_epoch} of {report.num_epochs}, {report.num_train} intervals, "
        f"{report.seconds:.0f} s; accuracy on the validation subjects: {figures}"
    )
    return DONE


def evaluate(
    model: Annotated[Path, typer.Option(help="Folder of a run.")],
    store: Annotated[Path, typer.Option(help="The store to evaluate on.")],
    out: Annotated[Path, typer.Option(help="Folder for tables and pictures.")],
    split: Annotated[str | None, typer.Option(help="Rows of the manifest; 'test' if it has any.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="Labels, if not those kept in the store.")] = None,
) -> int:
    """WAR, UAR, macro-F1 and confusion matrix for face, body and fused."""
    from videofer.evaluation.charts import print_metrics
    from videofer.evaluation.report import evaluate as run_evaluation

    report = run_evaluation(model, store, out, split=split, manifest=manifest)  # type: ignore[arg-type]
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    print_metrics(report.metrics, f"{model}, split '{report.split}'")
    typer.echo(f"tables and pictures: {out}")
    return DONE
