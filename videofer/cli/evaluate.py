"""`videofer evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videofer.cli.errors import DONE
from videofer.cli.options import By, Labels, Model, TestTimeAugmentation, WeightsDir
from videofer.cli.store_shared import counting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videofer.evaluation.metrics import Metrics
    from videofer.evaluation.multilabel import MultilabelMetrics
    from videofer.evaluation.tta import Views


def evaluate(
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder for the page, tables and pictures.")],
    store: Annotated[Path | None, typer.Option(help="The store to evaluate on.")] = None,
    fer2013: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Or FER2013: its CSV file, a packed file, or a folder of either."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="train, val, test or all; by default test if the manifest has it. Of FER2013: publictest "
            "(default), privatetest, val or training."
        ),
    ] = None,
    manifest: Labels = None,
    by: By = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = None,
    tta: TestTimeAugmentation = None,
    weights_dir: WeightsDir = None,
    votes: Annotated[
        Path | None, typer.Option(help="fer2013new.csv of FER+, if it is not beside FER2013's CSV file.")
    ] = None,
) -> int:
    """Measure a model: WAR, UAR, F1, calibration, with intervals over subjects; OUT/report.html shows it."""
    from videofer.evaluation.charts import print_dimensions, print_metrics
    from videofer.evaluation.report import evaluate as run_evaluation

    if (store is None) == (fer2013 is None):
        raise typer.BadParameter("say either --store or --fer2013")
    if out.is_file():  # said now, not when all is measured
        raise typer.BadParameter(f"--out {out} is a file, not a folder")
    if fer2013 is not None:
        if manifest is not None or by:
            raise typer.BadParameter("--manifest and --by are for --store; FER2013 has its own labels")
        return on_fer2013(model, fer2013, out, split or "publictest", device, tta, weights_dir, votes)
    if votes is not None:
        raise typer.BadParameter("--votes is for --fer2013")
    assert store is not None
    report = run_evaluation(model, store, out, split=split, manifest=manifest, by=by, device=device, tta=tta)
    for line in report.unused:
        typer.echo(f"not used: {line}", err=True)
    print_metrics(report.metrics, f"{model}, split '{report.split}'")
    print_dimensions(report.dimensions)
    for head, score in report.scores.items():
        ends = "" if score.interval is None else " [{:.3f}, {:.3f}]".format(*score.interval)
        typer.echo(f"ERS, the score of BoLD, {head}: {score.value:.3f}{ends}")
    print_tta(report.metrics, report.tta)
    typer.echo(f"report: {out / 'report.html'}")
    return DONE


def on_fer2013(
    model: str,
    data: Path,
    out: Path,
    split: str,
    device: str | None,
    tta: Views | None,
    weights_dir: Path | None,
    votes: Path | None,
) -> int:
    """The same on a list of FER2013, by one or two sets of labels."""
    from videofer.evaluation.charts import print_metrics
    from videofer.evaluation.fer2013 import LISTS, evaluate_fer2013

    chosen = next((name for name in LISTS if name == split), None)
    if chosen is None:
        raise typer.BadParameter(f"--split of FER2013 is one of {', '.join(LISTS)}, not {split!r}")
    with counting("pictures") as progress:
        report = evaluate_fer2013(
            model, data, out,
            split=chosen, device=device, tta=tta, votes=votes, weights_dir=weights_dir, progress=progress,
        )  # fmt: skip
    who = report.title if report.title.startswith(f"{model}:") else f"{model}, {report.title}"
    for labels in dict.fromkeys(one.labels for one in report.evaluations.values()):
        mine = {name: one for name, one in report.evaluations.items() if one.labels == labels}
        answers = {name: one.metrics[one.answer] for name, one in mine.items()}
        print_metrics(answers, f"{who}, {next(iter(mine.values())).words}")
        for one in mine.values():
            print_tta(one.metrics, one.tta)
    for note in report.notes:
        typer.echo(note)
    typer.echo(f"report: {out / next(iter(report.evaluations)) / 'report.html'}")
    return DONE


def print_tta(metrics: Mapping[str, Metrics | MultilabelMetrics], tta: Mapping[str, Metrics] | None) -> None:
    """What test-time augmentation changes per head, where it was asked for."""
    for head, one in (tta or {}).items():
        figures = (
            f"{name.upper()} {getattr(one, name):.3f} "
            f"({getattr(one, name) - getattr(metrics[head], name):+.3f})"
            for name in ("war", "uar", "ece")
        )
        typer.echo(f"{head} with test-time augmentation: {', '.join(figures)}")
