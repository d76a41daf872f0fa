"""A results table as Markdown, LaTeX (booktabs) or CSV; the best figure of each column is bold."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from videofer.evaluation.paper_table import LESS_IS_BETTER, METRICS, Cell, PaperRow, Spread, remarks

_NOTHING = "-"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "\N{EN DASH}": "--", "±": r"$\pm$", "²": r"$^2$",
}  # fmt: skip


@dataclass(frozen=True)
class _Column:
    """One column of figures."""

    title: str
    of: Callable[[PaperRow], Cell | None]
    is_percent: bool
    less_is_better: bool = False
    with_spread: bool = True

    def best(self, rows: Sequence[PaperRow]) -> str | None:
        """The best figure as it is shown: figures that look the same are equally good."""
        cells = [cell for cell in map(self.of, rows) if cell is not None]
        if len(cells) < 2:
            return None
        choose = min if self.less_is_better else max
        return self.shown(choose(cells, key=lambda cell: cell.value).value)

    def shown(self, value: float) -> str:
        return f"{100 * value:.1f}" if self.is_percent else f"{value:.3f}"


def write_table(
    rows: Sequence[PaperRow],
    metrics: Sequence[str],
    kind: str,
    *,
    spread: Spread = "interval",
    classes: bool = False,
    caption: str = "",
) -> str:
    """The text. kind: markdown, latex or csv. classes: also the recall of each class."""
    if kind == "csv":
        return _csv(rows, metrics, classes)
    columns = _columns(rows, metrics, classes)
    says = remarks(rows, metrics, spread)
    return (_latex if kind == "latex" else _markdown)(rows, columns, says, caption)


def latex_escape(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _columns(rows: Sequence[PaperRow], metrics: Sequence[str], classes: bool) -> list[_Column]:
    columns = [
        _Column(METRICS[name][0], _cell_of(name), METRICS[name][2], name in LESS_IS_BETTER)
        for name in metrics
    ]
    labels = dict.fromkeys(label for row in rows for label in row.labels) if classes else ()
    return [*columns, *(_Column(label, _recall_of(label), True, with_spread=False) for label in labels)]


def _cell_of(name: str) -> Callable[[PaperRow], Cell | None]:
    return lambda row: row.cells.get(name)


def _recall_of(label: str) -> Callable[[PaperRow], Cell | None]:
    return lambda row: row.recalls.get(label)


def _markdown(rows: Sequence[PaperRow], columns: Sequence[_Column], says: Sequence[str], caption: str) -> str:
    titles = ["System", "n", *(column.title for column in columns)]
    lines = [f"*{_plain(caption)}*", ""] if caption else []
    lines += [_line(titles), "|---|" + "---:|" * (len(titles) - 1)]
    best = [column.best(rows) for column in columns]
    for row in rows:
        cells = [_plain(row.system), _count(row)]
        for column, top in zip(columns, best, strict=True):
            cells.append(_figure(row, column, top, "**{}**", " [{}, {}]", " ± {}"))
        lines.append(_line(cells))
    return "\n".join([*lines, "", *says]) + "\n"


def _latex(rows: Sequence[PaperRow], columns: Sequence[_Column], says: Sequence[str], caption: str) -> str:
    titles = ["System", "$n$", *(latex_escape(column.title) for column in columns)]
    ends = "" if caption.rstrip().endswith((".", "!", "?")) else "."
    what = " ".join([f"{caption.rstrip()}{ends}", *says] if caption else says)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}[t]",
        "\\centering",
        f"\\caption{{{latex_escape(what)}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(titles) - 1)}}}",
        "\\toprule",
        " & ".join(titles) + " \\\\",
        "\\midrule",
    ]
    best = [column.best(rows) for column in columns]
    for place, row in enumerate(rows):
        if row.source and place and not rows[place - 1].source:
            lines.append("\\midrule")
        cells = [latex_escape(row.system), _dash(_count(row)).replace(",", "{,}")]
        for column, top in zip(columns, best, strict=True):
            shown = _figure(
                row,
                column,
                top,
                "\\textbf{{{}}}",
                " {{\\scriptsize [{}, {}]}}",
                " {{\\scriptsize $\\pm$ {}}}",
            )
            cells.append(_dash(shown).replace("-0.", "$-$0."))
        lines.append(" & ".join(cells) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]) + "\n"


def _csv(rows: Sequence[PaperRow], metrics: Sequence[str], classes: bool) -> str:
    labels = list(dict.fromkeys(label for row in rows for label in row.labels)) if classes else []
    header = ["system", "num_samples", "num_subjects", "num_folds", "num_seeds"]
    header += [f"{name}{end}" for name in metrics for end in ("", "_low", "_high", "_sd")]
    header += [f"recall_{label}{end}" for label in labels for end in ("", "_low", "_high")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, "source", "note"])
    for row in rows:
        values: list[object] = [row.system, row.num_samples, row.num_subjects]
        values += [row.num_folds, row.num_seeds] if row.labels else [None, None]
        for name in metrics:
            cell = row.cells.get(name)
            values += [None] * 4 if cell is None else [cell.value, cell.low, cell.high, cell.sd]
        for label in labels:
            cell = row.recalls.get(label)
            values += [None] * 3 if cell is None else [cell.value, cell.low, cell.high]
        writer.writerow([*("" if value is None else value for value in values), row.source, row.note])
    return text.getvalue()


def _figure(row: PaperRow, column: _Column, top: str | None, bold: str, interval: str, sd: str) -> str:
    cell = column.of(row)
    if cell is None:
        return _NOTHING
    shown = column.shown(cell.value)
    text = bold.format(shown) if shown == top else shown
    if not column.with_spread:
        return text
    if cell.sd is not None:
        return text + sd.format(column.shown(cell.sd))
    if cell.low is not None and cell.high is not None:
        return text + interval.format(column.shown(cell.low), column.shown(cell.high))
    return text


def _count(row: PaperRow) -> str:
    return _NOTHING if row.num_samples is None else f"{row.num_samples:,}"


def _dash(shown: str) -> str:
    return "--" if shown == _NOTHING else shown


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(text: str) -> str:
    """Text that no Markdown reader takes for anything else."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))
