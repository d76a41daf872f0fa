"""The page of an evaluation: one HTML file that needs no other and no network, to read, show and print.

Templates lie beside this module; jinja2 escapes every value. plotly's JavaScript is in its Python package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np

from videofer import emotions
from videofer.data.targets import POSITIVE
from videofer.evaluation.bootstrap import MIN_GROUPS
from videofer.evaluation.comparison import Comparison
from videofer.evaluation.figures import NUM_BINS
from videofer.evaluation.metrics import Metrics
from videofer.evaluation.multi_results import MultiResults
from videofer.evaluation.page_charts import confusion_chart, reliability_chart
from videofer.evaluation.paired import Paired
from videofer.evaluation.reliability import AFTER, BEFORE
from videofer.evaluation.results import Results
from videofer.evaluation.table import PUBLISHED_NAME, fold_words

MAX_ROWS = 500
"""Of a table of labelled intervals: more would make the page slow; files hold them all."""


def report_page(results: Results) -> str:
    """The HTML of an evaluation."""
    answer = results.heads[results.answer]
    fold_is, folds_are = fold_words(results.source)
    num_classes = len(results.labels)
    charts = {}
    for head, one in results.heads.items():
        charts[f"confusion_{head}"] = confusion_chart(one.metrics)
        charts[f"reliability_{head}"] = reliability_chart(*one.curves)
    parts = [("figures", "Figures"), ("classes", "Classes"), ("confusion", "Confusion")]
    parts.append(("confidence", "Confidence"))
    if answer.dimensions:
        parts.insert(1, ("dimensions", "Dimensions"))
    if answer.folds or answer.seeds:
        parts.append(("folds", f"{folds_are.capitalize()} and seeds"))
    if answer.breakdowns:
        parts.append(("groups", "Groups"))
    if results.side is not None:
        parts += [("fusion", "Face, body, and both"), ("differ", "Where they differ")]
    parts.append(("measured", "What was measured"))
    side = results.side
    rows = [] if side is None else side.disagreements.head(MAX_ROWS).to_dict("records")
    return render(
        "report.html",
        charts,
        kind="evaluation",
        title=results.title,
        parts=parts,
        r=results,
        one_of={"folds": fold_is, "seeds": "seed"},
        folds_are=folds_are,
        confused=confused_with(answer.metrics),
        confusion_size=(320 if num_classes <= 8 else 480, min(860, 200 + 55 * num_classes)),
        has_raw=any(one.raw is not None for one in results.heads.values()),
        before=BEFORE,
        after=AFTER,
        num_bins=NUM_BINS,
        log_classes=math.log(num_classes),
        min_groups=MIN_GROUPS,
        published_name=PUBLISHED_NAME,
        span=1.0 if side is None else span_of(*side.gains.values()),
        disagreements=rows,
        num_disagreements=0 if side is None else len(side.disagreements),
        source=[(name, value) for name, value in results.source.items() if not isinstance(value, list)],
        lists=[(name, value) for name, value in results.source.items() if isinstance(value, list) and value],
    )


def multi_page(results: MultiResults) -> str:
    """The HTML of an evaluation of multi targets."""
    charts = {f"reliability_{head}": reliability_chart(*one.curves) for head, one in results.heads.items()}
    parts = [("figures", "Figures"), ("classes", "Classes"), ("confidence", "Confidence")]
    if results.heads[results.answer].dimensions:
        parts.insert(1, ("dimensions", "Dimensions"))
    return render(
        "multi.html",
        charts,
        kind="evaluation",
        title=results.title,
        parts=[*parts, ("measured", "What was measured")],
        r=results,
        folds_are=fold_words(results.source)[1],
        before=BEFORE,
        after=AFTER,
        positive=POSITIVE,
        source=[(name, value) for name, value in results.source.items() if not isinstance(value, list)],
        lists=[(name, value) for name, value in results.source.items() if isinstance(value, list) and value],
    )


def compare_page(comparison: Comparison) -> str:
    """The HTML of a comparison."""
    answer = comparison.answer
    parts = [("difference", "Difference"), ("right", "Who is right"), ("classes", "Recall per class")]
    ends = [end for pair in answer.recall_intervals or () for end in pair]
    return render(
        "compare.html",
        {},
        kind="comparison",
        title=f"{comparison.b.title} against {comparison.a.title}",
        parts=[*parts, ("differ", "Where they differ")],
        c=comparison,
        span=span_of(*comparison.pairs.values()),
        class_span=_span([*answer.recall_difference, *ends]),
        p_value=f"= {answer.p_value:.2g}" if answer.p_value >= 1e-4 else "< 0.0001",
        seeds_a=answer.a.num_seeds,
        seeds_b=answer.b.num_seeds,
        rows=comparison.differing.head(MAX_ROWS).to_dict("records"),
        num_differing=len(comparison.differing),
    )


def confused_with(metrics: Metrics) -> dict[str, str]:
    """Per class what it is most often taken for, with the share."""
    found = {}
    for place, label in enumerate(metrics.labels):
        counts = metrics.confusion[place].copy()
        total, counts[place] = counts.sum(), 0
        worst = int(counts.argmax())
        found[label] = (
            f"{metrics.labels[worst]} ({100 * counts[worst] / total:.0f}\u00a0%)" if counts[worst] else ""
        )
    return found


def span_of(*compared: Paired) -> float:
    """Half the length of a line on which the differences of all fit with their intervals."""
    names = ("war", "uar", "macro_f1", "weighted_f1")
    ends = [one.difference[name] for one in compared for name in names]
    return _span(
        [*ends, *(end for one in compared if one.intervals for n in names for end in one.intervals[n])]
    )


def _span(values: Sequence[float]) -> float:
    """The largest magnitude, rounded up to a tenth."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.1)
    return min(1.0, max(0.1, math.ceil(largest * 10) / 10))


def render(template: str, charts: Mapping[str, Any], *, package: str = __package__, **values: Any) -> str:
    """A page from a template, with plotly's JavaScript in it where there are charts.

    package: whose folder `templates` is looked into first, before the one of this package.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    folders = [files(name) / "templates" for name in (package, __package__)]

    def load(name: str) -> str:
        return next(f / name for f in folders if (f / name).is_file()).read_text(encoding="utf-8")

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(load),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": partial(_shown, factor=100, digits=1),
        "points": partial(_shown, factor=100, digits=1, signed=True),
        "fixed": _fixed,
        "signed": partial(_shown, factor=1, digits=3, signed=True),
        "number": _number,
        "place": _place,
        "colour": emotions.colour,
        "sentence": _sentence,
    }
    environment.tests["known"] = _is_known
    # Our own files and plotly's, not to be escaped.
    css, js = Markup(load("page.css")), Markup(load("page.js"))  # noqa: S704
    return environment.get_template(template).render(
        charts=charts,
        css=css,
        js=js,
        plotly=_plotly_js() if charts else "",
        version=version("videofer"),
        **values,
    )


def _plotly_js() -> Any:
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

    return Markup(get_plotlyjs())  # noqa: S704


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("95 %", "95\u00a0%")


def _is_known(value: Any) -> bool:
    return value is not None and bool(np.isfinite(value))


def _fixed(value: Any, digits: int = 3) -> str:
    return _shown(value, factor=1, digits=digits)


def _number(value: Any) -> str:
    """For a machine to sort by."""
    return f"{value:.6f}" if _is_known(value) else ""


def _place(value: float) -> str:
    """A share as a length of CSS."""
    return f"{100 * min(max(float(value), 0.0), 1.0):.2f}%"


def _shown(value: Any, *, factor: float, digits: int, signed: bool = False) -> str:
    """A number for people: a true minus sign, and a dash where there is none."""
    if not _is_known(value):
        return "\u2013"
    text = f"{factor * float(value):{'+' if signed else ''}.{digits}f}"
    return text.replace("-", "\u2212")
