"""What `videofer reproduce` says without running anything: the systems, and what a run would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from videofer.reproduce.plan import Plan
    from videofer.reproduce.published import Published
    from videofer.reproduce.systems import System


def print_systems() -> None:
    """All systems by data set, with their protocols and the published numbers."""
    from rich.console import Console

    from videofer.datasets.adapters import ADAPTERS
    from videofer.reproduce.systems import SYSTEMS

    console = Console(highlight=False)
    name, protocol, numbers = (
        max(len(word(system)) for system in SYSTEMS.values())
        for word in (lambda system: system.name, protocol_of, numbers_of)
    )
    for dataset in dict.fromkeys(system.dataset for system in SYSTEMS.values()):
        console.print(ADAPTERS[dataset].title, style="bold")
        for system in (one for one in SYSTEMS.values() if one.dataset == dataset):
            line = (
                f"  {system.name:<{name}}  {protocol_of(system):<{protocol}}  {numbers_of(system):<{numbers}}"
            )
            console.print(f"{line}  {system.title}", markup=False, soft_wrap=True)
    console.print(
        "\nPercent, of the system itself; else the highest that was reported by the same protocol."
        "\n* by another protocol"
        "\nvideofer reproduce NAME --data PATH --out DIR --dry-run says what a run would do",
        markup=False,
        soft_wrap=True,
    )


def protocol_of(system: System) -> str:
    """As people call it."""
    from videofer.datasets.adapters import ADAPTERS

    official = ADAPTERS[system.dataset].official
    if system.protocol == "kfold":
        return f"{system.num_folds} folds"
    if system.protocol == "official":
        return f"{official.num_folds} folds" if official.kind == "folds" else "train and test"
    return {"loso": "a subject left out", "lopo": "a performer left out"}[system.protocol]


def numbers_of(system: System) -> str:
    """Those of the system, else the best that is reported."""
    from videofer.reproduce.published import published

    rows = [one for one in published(system.dataset) if one.labels == system.labels]
    own = [one for one in rows if system.reproduces and one.system == system.reproduces]
    if own:
        whole = [one for one in own if one.branch == "whole"] or own
        mark = "" if whole[0].protocol == system.protocol else " *"
        return ", ".join(f"{one.metric.upper()} {_shown(one)}" for one in whole) + mark
    for metric in ("war", "ers", "uar"):
        found = [one for one in rows if one.metric == metric and one.protocol == system.protocol]
        if found:
            best = max(found, key=lambda one: one.value)
            return f"{metric.upper()} {_shown(best)}: {best.system}"
    return "-"


def _shown(one: Published) -> str:
    return f"{one.value:.3f}" if one.metric in ("ers", "ccc", "r2") else f"{100 * one.value:.1f}"


def print_plan(plan: Plan, weights_dir: Path | None) -> None:
    """What would be read, stored, trained and compared. WeightsError where the engines lack weights."""
    from preprocessing.engines import engines_of
    from preprocessing.stage.run import describe
    from videofer.datasets.adapters import ADAPTERS
    from videofer.reproduce.card import parameters_of

    coverage, first = plan.reading.coverage, plan.first
    of = f" of {coverage.expected:,}" if coverage.expected is not None else ""
    num_subjects = plan.table["subject"].nunique()
    whose = f"{num_subjects:,} subject{'s' * (num_subjects != 1)}" if num_subjects else "subjects not known"
    num_trained = len(plan.folds.folds) * len(plan.seeds)
    rows = [
        ("system", f"{plan.system.title} (configs/{plan.system.recipe})"),
        ("data", f"{ADAPTERS[plan.system.dataset].title}: {coverage.found:,}{of} rows, {whose}; "
                 f"{len(plan.table):,} are used"),
        ("coverage", f"{coverage.num_missing:,} missing, {len(coverage.odd):,} odd"),
        ("classes", ", ".join(first.data.classes)),
        ("protocol", plan.folds.note),
        ("folds", ", ".join(f"{int(fold.is_test.sum()):,}" for fold in plan.folds.folds) + " rows tested"),
        ("store", _store_words(plan)),
        ("model", f"{parameters_of(plan)} parameters"),
        ("begins", _beginning(plan)),
        ("training", f"{first.training.epochs} epochs, {num_trained} training{'s' * (num_trained != 1)}"),
        ("published", numbers_of(plan.system)),
    ]  # fmt: skip
    for name, value in rows:
        typer.echo(f"{name:<10}{value}")
    for line in (*plan.notes, *plan.reading.quirks):
        typer.echo(f"{'to know':<10}{line}")
    for line in plan.why_a_trial:
        typer.echo(f"{'a trial':<10}{line}")
    if plan.system.dataset != "fer2013":
        typer.echo(f"{'engines':<10}{describe(engines_of(plan.spec, weights_dir))}")
    typer.echo("a dry run: nothing was written")


def _beginning(plan: Plan) -> str:
    """With which weights."""
    sources = {recipe.training.pretrained_trunk for recipe in plan.recipes.values()} - {None}
    if not sources:
        return "with random weights"
    shown = ", ".join(sorted(map(str, sources)))
    return f"with a trunk of {shown}, which is looked for (imagenet: fetched) before anything is written"


def _store_words(plan: Plan) -> str:
    spec = plan.spec
    num_files = plan.table["name"].nunique()
    return f"{num_files:,} inputs, faces {spec.faces} at {spec.crop_size} pixels, pose {spec.pose}"
