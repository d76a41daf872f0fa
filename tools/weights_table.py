"""Writes the tables of docs/weights.md from the registry. A test sees to it that they are up to date.

.venv/bin/python tools/weights_table.py
"""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from urllib.parse import urlsplit

from preprocessing.quantities import as_bytes
from preprocessing.weights import REGISTRY, Registry, Weight

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "weights.md"
BEGIN, END = "<!-- tables: tools/weights_table.py -->", "<!-- end of tables -->"


def tables(registry: Registry) -> str:
    """Files, which engine uses which, and whom to cite."""
    lines = ["| name | what | size | licence | known hash | from |", "|---|---|---|---|---|---|"]
    lines += [row(weight) for weight in registry]
    lines += ["", "| engine | its files |", "|---|---|"]
    engines = list(dict.fromkeys(engine for weight in registry for engine in weight.engines))
    for engine in engines:
        names = ", ".join(f"`{weight.name}`" for weight in registry.of_engine(engine))
        lines.append(f"| `{engine}` | {names} |")
    lines += ["", "Please cite, where you publish results:"]
    for citation in dict.fromkeys(weight.citation for weight in registry):
        names = ", ".join(f"`{weight.name}`" for weight in registry if weight.citation == citation)
        lines += wrap(f"- {names}: {citation}", 118, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def row(weight: Weight) -> str:
    size = as_bytes(weight.num_bytes) if weight.num_bytes else "not known"
    known = "whole" if weight.hash_is_whole else f"{len(weight.sha256)} digits" if weight.sha256 else "none"
    host = (urlsplit(weight.url).hostname or "").removeprefix("www.") if weight.url else "nobody, by hand"
    return f"| `{weight.name}` | {weight.purpose} | {size} | {weight.licence} | {known} | {host} |"


def page(text: str, registry: Registry) -> str:
    """The page with its tables anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables(registry)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), REGISTRY), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
