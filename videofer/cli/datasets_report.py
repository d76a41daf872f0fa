"""How `videofer datasets` shows a reading: tables for people at 80 columns, one object for programs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.text import Text

    from videofer.datasets.adapter import Adapter, Reading
    from videofer.synthetic.acted import ActedSet

SHOWN = 5  # of files that are missing or odd
BAR = 30  # characters


def print_adapters(adapters: Iterable[Adapter]) -> None:
    """All known sets, one line each where there is room."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "data set", "labels", "protocol"):
        table.add_column(column, no_wrap=column in ("name", "labels"), overflow="fold")
    for adapter in adapters:
        is_general = adapter.access == "one's own"
        table.add_row(
            adapter.name,
            adapter.title,
            "any" if is_general else f"{adapter.labels.name} ({len(adapter.labels.classes)})",
            "as its columns say" if is_general else _protocol(adapter),
        )
    Console().print(table)
    typer.echo("videofer datasets inspect PATH says which of them a folder is, and how much of it is there")


def print_reading(
    reading: Reading, why: Sequence[tuple[Adapter, str]], adapter: Adapter, given: Path
) -> None:
    """What the copy is, how much of it is there, and what to type next."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = {each.name: reason for each, reason in why}
    layout = Text(found.get(adapter.name, "named, not recognised by its layout"))
    others = [name for name in found if name not in (adapter.name, "folders", "table", "list")]
    if others:
        layout.append(f"\nit could be {', '.join(others)} as well: choose with --name", "yellow")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    sections = [
        (adapter.title, Text.assemble(layout, (_terms(adapter), "dim"))),
        ("Coverage", _coverage(reading)),
        ("Labels", _labels(reading)),
        ("Protocol", Text(f"{_parts(reading)}; {reading.official.source}")),
        *(("To know" if place == 0 else "", Text(line)) for place, line in enumerate(reading.quirks)),
    ]
    for place, (title, content) in enumerate(sections):
        if title and place:
            grid.add_row()
        grid.add_row(title, content)
    console = Console(highlight=False)
    console.print(grid)
    console.print("\n[bold]Next[/bold]")
    for line in _next(reading, given):
        console.print(line, markup=False, soft_wrap=True)


def print_acted(made: ActedSet) -> None:
    """What was made, what the best possible observer can reach on it, and what to type next."""
    typer.echo(f"{made.root}: {made.num_videos:,} synthetic videos in the layout of GEMEP")
    for name, best in made.ceilings.items():
        shown = ", ".join(f"{modality} {value:.3f}" for modality, value in best.items())
        typer.echo(f"best possible accuracy, {name}: {shown}")
    typer.echo(f"videofer datasets inspect {shlex.quote(str(made.root))} says how to go on")


def as_json(reading: Reading) -> dict[str, Any]:
    """The same for programs. Keys stay as they are from release to release."""
    coverage = reading.coverage
    return {
        "dataset": reading.dataset,
        "root": str(reading.root),
        "label_set": reading.labels.name,
        "classes": list(reading.labels.classes),
        "found": coverage.found,
        "expected": coverage.expected,
        "is_whole": coverage.is_whole,
        "missing": list(coverage.missing),
        "odd": [{"path": each.path, "why": each.why} for each in coverage.odd],
        "counts": reading.counts(),
        "expected_counts": dict(coverage.expected_by_label),
        "num_subjects": _num_subjects(reading),
        "splits": {str(k): int(n) for k, n in reading.table["split"].value_counts().items()},
        "folds": {str(k): int(n) for k, n in reading.table["fold"].value_counts().sort_index().items()},
        "protocol": {
            "kind": reading.official.kind,
            "num_folds": reading.official.num_folds,
            "source": reading.official.source,
            "crossval": reading.official.crossval,
        },
        "quirks": list(reading.quirks),
        "preprocess": reading.preprocess,
    }


def _terms(adapter: Adapter) -> str:
    """Where to ask, and the licence; nothing for data of one's own."""
    own = adapter.access == adapter.licence
    return "" if own else f"\nfrom {adapter.access}\nlicence: {adapter.licence}"


def _coverage(reading: Reading) -> Text:
    from rich.text import Text

    coverage, table = reading.coverage, reading.table
    colour = {True: "green", False: "yellow", None: "bold"}[coverage.is_whole]
    of = f" of {coverage.expected:,}" if coverage.expected is not None else ""
    num_files = table["name"].nunique()
    what = "videos" if num_files == len(table) else f"rows of {num_files:,} videos"
    people = _num_subjects(reading)
    text = Text.assemble(
        (f"{coverage.found:,}{of} {what}", colour),
        f", {people:,} subject{'s' * (people != 1)}" if people else ", subjects not known",
        f"; {coverage.num_missing:,} missing, {len(coverage.odd):,} odd",
    )
    if coverage.num_missing and not coverage.missing:
        text.append("\nmissing  ", "yellow").append("which ones is in no list of this copy")
    for line in _grouped(coverage.missing):
        text.append("\nmissing  ", "yellow").append(line)
    odd = [f"{each.path}: {each.why}" for each in coverage.odd]
    for line in odd[:SHOWN]:
        text.append("\nodd  ", "yellow").append(line)
    if len(odd) > SHOWN or len(coverage.missing) > SHOWN:
        text.append("\nall of them: --json", "dim")
    return text


def _grouped(paths: Sequence[str]) -> list[str]:
    """A few files by themselves, many by their folders."""
    if len(paths) <= SHOWN:
        return list(paths)
    folders = Counter(path.rpartition("/")[0] for path in paths)
    lines = [f"{folder or 'beside'}: {count:,}" for folder, count in folders.most_common(SHOWN)]
    rest = len(folders) - len(lines)
    return [*lines, f"and in {rest:,} more folders"] if rest else lines


def _labels(reading: Reading) -> Text:
    """A bar for each class: how many there are, of how many where that is known."""
    from rich.text import Text

    counts, expected = reading.counts(), reading.coverage.expected_by_label
    text = Text(f"{reading.labels.name}, {len(reading.labels.classes)} classes")
    if not counts:
        return text.append(", soft and several at once: columns p_...")
    most = max([*counts.values(), *expected.values()])
    wide = max(len(name) for name in reading.labels.classes)
    wide_of = max([len(f" of {whole:,}") for whole in expected.values()], default=0)
    for name in reading.labels.classes:
        number, whole = counts.get(name, 0), expected.get(name)
        of = f" of {whole:,}" if whole is not None else ""
        text.append(f"\n{name:<{wide}} {number:>6,}").append(f"{of:<{wide_of}} ", "dim")
        text.append("█" * max(round(BAR * number / most), 1 if number else 0), "cyan")
        text.append("░" * (round(BAR * (whole or 0) / most) - round(BAR * number / most)), "dim")
    return text


def _parts(reading: Reading) -> str:
    """The official lists as they are here."""
    if reading.official.kind == "split":
        count = reading.table["split"].value_counts()
        return ", ".join(f"{count[name]:,} {name}" for name in ("train", "val", "test") if name in count)
    if reading.official.kind == "folds":
        here, all_folds = reading.table["fold"].nunique(), reading.official.num_folds
        return f"{all_folds} folds" if here == all_folds else f"{here} of {all_folds} folds have videos"
    return f"no lists of its own, {reading.official.crossval}"


def _next(reading: Reading, given: Path) -> list[str]:
    """The commands that go on from here: step by step, and all at once where the set has a protocol."""
    from videofer.reproduce.systems import SYSTEMS

    place = shlex.quote(str(given))
    system = next((system for system in SYSTEMS.values() if system.dataset == reading.dataset), None)
    needs = () if system is None else system.needs  # of sets that have joints and no pictures
    at_once = [] if system is None else [
        f"or at once, beside what was reported:\nvideofer reproduce {system.name} --data {place} --out runs"
        + "".join(f" --set dataset.{key}=..." for key in needs)
    ]  # fmt: skip
    if reading.dataset == "fer2013":
        return [f"videofer datasets fer2013 {place} --out store", *at_once]
    options = f" {reading.preprocess}" if reading.preprocess else ""
    root, becomes = shlex.quote(str(reading.root)), ""
    if system is not None and needs:
        root = "joints"
        becomes = "".join(f" --set {key}" for key in ("joints_to=joints", *(f"{key}=..." for key in needs)))
        options = "".join(f" --set {key}" for key in system.preprocess)
    lines = [
        f"videofer datasets manifest {place}{becomes} --out labels.csv",
        f"videofer preprocess {root} --manifest labels.csv --only-manifest --out store{options}",
        f"videofer crossval RECIPE --store store --out runs {reading.official.crossval}",
    ]
    return lines + at_once


def _protocol(adapter: Adapter) -> str:
    kind = adapter.official.kind
    if kind == "none":
        return adapter.official.crossval.removeprefix("--protocol ")
    return f"{adapter.official.num_folds} folds" if kind == "folds" else "train and test"


def _num_subjects(reading: Reading) -> int:
    return int(reading.table["subject"].nunique())
