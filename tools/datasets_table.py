"""Writes what docs/datasets.md says of each data set: from the adapters, label sets and published numbers.

.venv/bin/python -m tools.datasets_table

A test sees to it that the page is up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, wrap

from videofer.datasets.adapter import Adapter
from videofer.datasets.adapters import ADAPTERS
from videofer.emotions.label_sets import _MAPS, LABEL_SETS
from videofer.reproduce.published import Metric, Published, published
from videofer.reproduce.systems import SYSTEMS, System

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "datasets.md"
WIDTH = 118
SHARES: tuple[Metric, ...] = ("war", "uar", "f1")  # shown in per cent
SHOWN = 5  # commands of a set; the others are counted


def known_sets() -> list[Adapter]:
    """The adapters of data sets that others made."""
    return [adapter for adapter in ADAPTERS.values() if adapter.access != "one's own"]


def overview() -> str:
    """One row a data set."""
    head = [
        "data set",
        "where to ask; licence",
        "classes",
        "protocol",
        "highest reported",
        "`videofer reproduce`",
    ]
    rows = [
        [
            f"[{adapter.title}](#{anchor(adapter.title)})",
            f"{adapter.access}; {adapter.licence}".replace("; not found", "; licence not found"),
            f"`{adapter.labels.name}`",
            protocol(adapter),
            highest(published(adapter.name)),
            f"`{systems_of(adapter)[0].name}`",
        ]
        for adapter in known_sets()
    ]
    return _table([head, *rows])


def layout(adapter: Adapter) -> list[str]:
    """What a copy looks like, by the lines in the adapter's docstring."""
    (block,) = [part for part in _docstring(adapter).split("\n\n") if part.startswith("    ")]
    return dedent(block).splitlines()


def highest(reported: Iterable[Published]) -> str:
    """The highest number that a run can be set beside, by the first metric that there is."""
    known = list(reported)
    fair = [one for one in known if one.protocol != "other"]
    for metric in ("war", "uar", "ers"):
        if found := [one for one in fair if one.metric == metric]:
            best = max(found, key=lambda one: one.value)
            of = f" of `{best.labels}`" if best.labels else ""
            return f"{metric.upper()} {_figure(metric, best.value)}{of}: {best.system}{' †' * best.on_test}"
    return "none by such a protocol" if known else "none found"


def sections() -> str:
    """What there is to know of each data set, the numbers of publications with it."""
    return "\n\n".join(section(adapter) for adapter in known_sets())


def section(adapter: Adapter) -> str:
    """Of one data set: its layout and quirks are the adapter's docstring."""
    summary, *paragraphs = _docstring(adapter).split("\n\n")
    text = summary.partition(": ")[2].replace("\n", " ")
    lines = [f"### {adapter.title}", text[0].upper() + text[1:], ""]
    for paragraph in paragraphs:
        if paragraph.startswith("    "):
            lines += ["```", *layout(adapter), "```"]
        else:
            lines += [*_wrapped(paragraph), ""]
    first, *others = systems_of(adapter)
    facts = {
        "where to ask": adapter.access,
        "licence": adapter.licence,
        "classes": f"`{adapter.labels.name}`: {', '.join(adapter.labels.classes)}",
        "protocol": f"{protocol(adapter)} ({adapter.official.source})",
        "the one command": f"`{command(first, adapter)}`: {first.title}",
    }
    if others:
        names = ", ".join(f"`{system.name}`" for system in others[:SHOWN])
        facts["others"] = names + (f" and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
    if adapter.name in _PAGES:
        title, place = _PAGES[adapter.name]
        facts["more"] = f"[{title}]({place})"
    lines.append(_table([["`" + adapter.name + "`", ""], *([key, fact] for key, fact in facts.items())]))
    lines += ["", *numbers(published(adapter.name))]
    return "\n".join(lines)


def numbers(reported: Iterable[Published]) -> list[str]:
    """A table of published numbers: a row for each system on the same classes by the same protocol."""
    rows: dict[Published, dict[Metric, float]] = {}  # a row is known by all but its metric and value
    metrics: list[Metric] = []
    for one in reported:
        rows.setdefault(replace(one, metric="war", value=0), {})[one.metric] = one.value
        metrics += [one.metric] if one.metric not in metrics else []
    if not rows:
        return ["No published number from pictures or joints alone was found."]
    has_branches = any(row.branch != "face" for row in rows)
    has_labels = any(row.labels for row in rows)
    lines = []
    for row, values in rows.items():
        said = f"{linked(row.source)}; {row.note}" if row.note else linked(row.source)
        lines.append(
            [
                row.system + " †" * row.on_test,
                *[row.branch] * has_branches,
                *[f"`{row.labels}`"] * has_labels,
                *(_figure(metric, values.get(metric)) for metric in metrics),
                row.protocol,
                said,
            ]
        )
    head = ["system", *["sees"] * has_branches, *["classes"] * has_labels, *(m.upper() for m in metrics)]
    return ["Reported:", "", *_table([[*head, "protocol", "read in"], *lines]).split("\n")]


def linked(source: str) -> str:
    """A source with an address to open."""
    for pattern, address in _ADDRESSES:
        source = re.sub(pattern, rf"[\g<shown>](https://{address}\g<rest>)", source)
    return source


def command(system: System, adapter: Adapter) -> str:
    """What to type for it."""
    needs = "".join(f" --set dataset.{key}={_SAID.get(key, 'N')}" for key in system.needs)
    return f"videofer reproduce {system.name} --data {_folder(adapter)} --out OUT{needs}"


def systems_of(adapter: Adapter) -> list[System]:
    """What can be run again on a data set, the first one first."""
    return [system for system in SYSTEMS.values() if system.dataset == adapter.name]


def protocol(adapter: Adapter) -> str:
    """The protocol of a set in words."""
    official = adapter.official
    words = {"folds": f"{official.num_folds} folds", "split": "train and test"}
    return words.get(official.kind, f"`{official.crossval.removeprefix('--protocol ')}`")


def label_sets() -> str:
    """The label sets and their classes."""
    rows = [[f"`{one.name}`", ", ".join(one.classes), one.about] for one in LABEL_SETS.values()]
    return _table([["label set", "classes", ""], *rows])


def maps() -> str:
    """Which label set becomes which, and what that costs."""
    rows = [["from", "to", "left out", "merged"]]
    for (source, target), (left_out, becomes) in _MAPS.items():
        merged = ", ".join(f"{word} into {name}" for word, name in becomes.items())
        rows.append([f"`{source}`", f"`{target}`", ", ".join(left_out.split()), merged])
    return _table(rows)


def anchor(title: str) -> str:
    """The address of a heading on the page."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def page(text: str) -> str:
    """The page with everything between its markers anew."""
    parts = {"sets": overview(), "each set": sections(), "label sets": label_sets(), "maps": maps()}
    for name, new in parts.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        assert begin and end, f"no part {name!r} on the page"
        text = f"{before}{begin}{new}\n{end}{after}"
    return text


_PAGES = {"gemep": ("Face and body together", "hybrid.md"), "fer2013": ("FER2013", "fer2013.md")}
_SAID = {"fps": "FPS", "size": "WIDTHxHEIGHT"}
_ADDRESSES = (  # what of a source is shown, and what is put before the rest
    (r"\bgithub\.com/(?P<rest>[\w.-]+/(?P<shown>[\w.]+(-[\w.]+)?(-[\w.]+)?)[\w.-]*)", "github.com/"),
    (r"(?<=arXiv )(?P<rest>(?P<shown>\d{4}\.\d{5}))", "arxiv.org/abs/"),
    (r"\bdoi\.org/(?P<rest>(?P<shown>\S+))", "doi.org/"),
)


def _table(rows: list[list[str]]) -> str:
    head, *others = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *others])


def _docstring(adapter: Adapter) -> str:
    return (sys.modules[type(adapter).__module__].__doc__ or "").strip()


def _folder(adapter: Adapter) -> str:
    return re.sub(r"[^\w\-+]", "", adapter.title)


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False)


def _figure(metric: Metric, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.2f}" if metric in SHARES else f"{value:.4f}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
