"""`videofer evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE
from videofer.cli.options import By, Labels, Model


def evaluate(
    model: Model,
    store: Annotated[Path, typer.Option(help="The store to evaluate on.")],
    out: Annotated[Path, typer.Option(help="Folder for the page, tables and pictures.")],
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all; by default test if the manifest has it.")
    ] = None,
    manifest: Labels = None,
    by: By = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
) -> int:
    """Measure a model: WAR, UAR, F1, calibration, with intervals over subjects; OUT/report.html shows it."""
    from videofer.evaluation.charts import print_metrics
    from videofer.evaluation.report import evaluate as run_evaluation

    report = run_evaluation(model, store, out, split=split, manifest=manifest, by=by, device=device)
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    print_metrics(report.metrics, f"{model}, split '{report.split}'")
    typer.echo(f"report: {out / 'report.html'}")
    return DONE
