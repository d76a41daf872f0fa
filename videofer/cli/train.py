"""`videofer train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE
from videofer.cli.options import Labels, RayAddress, RecipeFile, RecipeKeys, TrainingStore


def train(
    recipe: RecipeFile,
    store: TrainingStore,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that share each batch, through Ray Train.")
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run was interrupted.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Take one batch through everything, and write nothing.")
    ] = False,
    manifest: Labels = None,
    ray_address: RayAddress = None,
    wandb: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Send the figures to Weights & Biases.")
    ] = None,
    set_: RecipeKeys = None,
) -> int:
    """Train face and body models and their fusion; validation subjects are carved from the training ones."""
    from videofer.recipe import load_recipe
    from videofer.training.log import log_to_console
    from videofer.training.run import train as run_training

    with log_to_console():
        report = run_training(
            load_recipe(recipe, set_ or []),
            store,
            out,
            workers=workers,
            resume=resume,
            manifest=manifest,
            ray_address=ray_address,
            dry_run=dry_run,
            wandb=wandb,
        )
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    if dry_run:
        typer.echo("\n".join([*report.tried, "a dry run: nothing was written"]))
        return DONE
    figures = ", ".join(
        f"{head} -" if m["war"] is None else f"{head} {m['war']:.3f}"  # no interval shows that modality
        for head, m in report.val_metrics.items()
    )
    typer.echo(
        f"{out}: epoch {report.kept_epoch} of {report.num_epochs}, {report.num_train} intervals, "
        f"{report.seconds:.0f} s; accuracy on the validation subjects: {figures}"
    )
    return DONE
