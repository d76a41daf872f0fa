"""`videofer train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    member: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RUN", help="Of an ensemble: take this run as the member; repeatable."),
    ] = None,
    set_: RecipeKeys = None,
) -> int:
    """Train face and body models and their fusion, or an ensemble; validation subjects are carved from the
    training ones."""
    from videofer.ensembles.recipe import is_ensemble

    if dry_run and ray_address is not None:
        raise typer.BadParameter(
            f"--dry-run takes its batch on this machine, not at --ray-address {ray_address}: leave that out"
        )
    common: dict[str, Any] = {
        "workers": workers,
        "resume": resume,
        "manifest": manifest,
        "ray_address": ray_address,
        "dry_run": dry_run,
        "wandb": wandb,
    }
    if is_ensemble(recipe):
        return _train_ensemble(recipe, store, out, set_ or [], _runs(member or []), common)
    if member:
        raise typer.BadParameter(f"--member is for the recipe of an ensemble; {recipe} has no members")
    return _train_one(recipe, store, out, set_ or [], common)


def _train_one(recipe: Path, store: Path, out: Path, keys: list[str], common: dict[str, Any]) -> int:
    from videofer.recipe import load_recipe
    from videofer.training.log import log_to_console
    from videofer.training.run import train as run_training

    with log_to_console():
        report = run_training(load_recipe(recipe, keys), store, out, **common)
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    if common["dry_run"]:
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


def _train_ensemble(
    recipe: Path, store: Path, out: Path, keys: list[str], given: dict[str, Path], common: dict[str, Any]
) -> int:
    from videofer.ensembles.recipe import load_ensemble_recipe
    from videofer.training.ensemble import train_ensemble
    from videofer.training.log import log_to_console

    with log_to_console():
        report = train_ensemble(load_ensemble_recipe(recipe, keys), store, out, given=given, **common)
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    if common["dry_run"]:
        typer.echo("\n".join([*report.tried, "a dry run: nothing was written"]))
        return DONE
    for name, figures in report.members.items():
        typer.echo(f"{name}: {_figures(figures)}")
    *_, answer = report.val_metrics.values()
    typer.echo(f"{out}: {_figures(answer)}, on {report.num_val} validation intervals")
    return DONE


def _figures(values: Any) -> str:
    if values["war"] is None:
        return "nothing to measure"
    return f"accuracy {values['war']:.3f}, UAR {values['uar']:.3f}, NLL {values['nll']:.3f}"


def _runs(members: list[str]) -> dict[str, Path]:
    """NAME=RUN, taken apart."""
    found: dict[str, Path] = {}
    for text in members:
        name, equals, run = text.partition("=")
        if not (name and equals and run):
            raise typer.BadParameter(f"--member must be NAME=RUN, not {text!r}")
        if name in found:
            raise typer.BadParameter(f"--member {name} is given twice")
        found[name] = Path(run)
    return found
