"""`videofer tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.options import Labels, RayAddress, RecipeKeys, TrainingStore


def tune(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe with a section 'search'.")],
    store: TrainingStore,
    out: Annotated[Path, typer.Option(help="Folder for trials.csv, best.yaml and trials.png.")],
    trials: Annotated[int, typer.Option(min=2, help="The first is the recipe as it stands.")],
    workers: Annotated[int, typer.Option(min=1, help="Trials at once, each with its share of cores.")] = 1,
    ray_address: RayAddress = None,
    manifest: Labels = None,
    set_: RecipeKeys = None,
) -> int:
    """Search for better values of the recipe's keys, judged by the validation subjects; never by the test."""
    from videofer.experiments.tune import tune as run_tune
    from videofer.recipe import load_recipe

    report = run_tune(
        load_recipe(recipe, set_ or []),
        store,
        out,
        trials=trials,
        workers=workers,
        ray_address=ray_address,
        manifest=manifest,
    )
    monitor = report.recipe.training.monitor
    first, best = report.trials[0], report.best
    values = ", ".join(f"{key}={value}" for key, value in best.values.items()) or "the recipe as it stands"
    typer.echo(f"best of {len(report.trials)} trials: {values}")
    standing = f"{first.kept(monitor)[monitor]:.3f}" if first.history else "-"
    typer.echo(
        f"{monitor} {best.kept(monitor)[monitor]:.3f}, as the recipe stood {standing}, on the "
        f"{report.num_val_subjects} validation subjects by whom it was chosen: on new subjects expect less"
    )
    typer.echo(f"{out / 'best.yaml'}, {out / 'trials.csv'}, {out / 'trials.png'}")
    return SOME_FAILED if any(trial.status == "failed" for trial in report.trials) else DONE
