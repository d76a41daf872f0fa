"""`videofer compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE


def compare(
    eval_a: Annotated[Path, typer.Argument(metavar="EVAL_A", help="Folder that `evaluate` wrote.")],
    eval_b: Annotated[Path, typer.Argument(metavar="EVAL_B", help="Another one, of the same videos.")],
    out: Annotated[Path | None, typer.Option(help="Folder for a page and tables; else only printed.")] = None,
) -> int:
    """Is B better than A? Paired differences with intervals over subjects, McNemar's test, per class."""
    from videofer.evaluation.charts import print_comparison
    from videofer.evaluation.compare import compare as run_comparison

    comparison = run_comparison(eval_a, eval_b, out)
    for line in comparison.warnings:
        typer.echo(f"warning: {line}", err=True)
    print_comparison(comparison)
    if out is not None:
        typer.echo(f"page: {out / 'compare.html'}")
    return DONE
