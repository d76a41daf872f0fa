"""The line on standard error that says which model answers, and what its answers are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from videofer.emotions import PERCEIVED

if TYPE_CHECKING:
    from videofer.checkpoint import TrainedModel


def tell_model(model: TrainedModel) -> None:
    """`model: builtin 1.0 (perceived expression: neutral, anger, ...)`."""
    typer.echo(f"model: {model.title} ({PERCEIVED}: {', '.join(model.labels)})", err=True)
