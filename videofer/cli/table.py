"""`videofer table`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videofer.cli.errors import DONE

if TYPE_CHECKING:
    from videofer.evaluation.paper_table import PaperRow


def table(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Folders that evaluate, crossval or crosscorpus wrote, or NAME=FOLDER."
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="war, uar, f1, map, mra, ers, ccc ...; repeatable. Else the usual ones."),
    ] = None,
    format: Annotated[
        Literal["markdown", "latex", "csv"], typer.Option(help="How it is written.")
    ] = "markdown",
    spread: Annotated[
        Literal["interval", "folds", "none"],
        typer.Option(help="95 % interval over subjects; mean and standard deviation over folds or corpora."),
    ] = "interval",
    heads: Annotated[bool, typer.Option("--heads", help="A row for each branch: face, body, fused.")] = False,
    classes: Annotated[bool, typer.Option("--classes", help="Also the recall of each class.")] = False,
    published: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET[:LABELS]",
            help="Also what publications report on this data set, such as gemep:gemep7.",
        ),
    ] = None,
    caption: Annotated[str, typer.Option(help="Above the table.")] = "",
    out: Annotated[Path | None, typer.Option(help="File to write; else it is printed.")] = None,
) -> int:
    """Results as a table for a paper: figures with intervals, the best bold, reported numbers beside."""
    from cache.atomic import atomic_write_text
    from videofer.evaluation.paper_table import choose_metrics, read_rows, with_distinct_names
    from videofer.evaluation.paper_table_text import write_table

    pairs = []
    for run in runs:
        name, path = _name_and_folder(run)
        pairs += [(path, row) for row in read_rows(path, name, heads=heads, spread=spread)]
    rows = with_distinct_names(pairs)
    metrics = choose_metrics(rows, metric or [])
    if published is not None:
        rows += published_rows(published, metrics)
    text = write_table(rows, metrics, format, spread=spread, classes=classes, caption=caption)
    if out is None:
        typer.echo(text, nl=False)
        return DONE
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out, text)
    typer.echo(f"{out}: {len(rows)} rows")
    return DONE


def published_rows(asked: str, metrics: list[str]) -> list[PaperRow]:
    """A row for each published system on a data set that has one of the metrics.

    Numbers by a protocol that no run repeats are left out. EvaluationError where none is known.
    """
    from videofer.datasets.adapters import ADAPTERS
    from videofer.evaluation.paper_table import Cell, PaperRow
    from videofer.evaluation.table import EvaluationError
    from videofer.reproduce.published import Published, published

    dataset, _, labels = asked.partition(":")
    if dataset not in ADAPTERS:
        raise EvaluationError(f"no data set is called '{dataset}' (there are {', '.join(ADAPTERS)})")
    systems: dict[tuple[str, str, str, str], list[Published]] = {}
    for one in published(dataset):
        if one.protocol != "other" and labels in ("", one.labels) and one.metric in metrics:
            systems.setdefault((one.system, one.labels, one.branch, one.source), []).append(one)
    if not systems:
        raise EvaluationError(
            f"no number is known of {asked} by {', '.join(metrics)} that a run of a known protocol repeats"
        )
    rows = []
    branches = {branch for _, _, branch, _ in systems}
    for (system, label_set, branch, source), numbers in systems.items():
        looks_at = branch if len(branches) > 1 or branch != "face" else ""
        more = ", ".join(filter(None, [label_set if not labels else "", looks_at]))
        notes = list(dict.fromkeys(one.note for one in numbers if one.note))
        if any(one.on_test for one in numbers):
            notes.append("chosen on the test fold")
        rows.append(
            PaperRow(
                system=f"{system} ({more})" if more else system,
                cells={one.metric: Cell(one.value) for one in numbers},
                source=source,
                note="; ".join(notes),
            )
        )
    return rows


def _name_and_folder(run: str) -> tuple[str | None, Path]:
    """NAME=FOLDER, or a folder, whose own name may have a "="."""
    name, equals, folder = run.partition("=")
    if equals and name and folder and not Path(run).exists():
        return name, Path(folder)
    return None, Path(run)
