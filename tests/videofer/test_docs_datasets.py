"""The tables of docs/datasets.md are those of the code. Run as a script, this file writes them there."""

from __future__ import annotations

import re
from pathlib import Path

from videofer.datasets.adapters import ADAPTERS
from videofer.emotions.label_sets import _MAPS, LABEL_SETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


def tables() -> dict[str, str]:
    """Marker -> table."""
    sets = ["| name | data set | labels | protocol | from whom |", "|---|---|---|---|---|"]
    for adapter in ADAPTERS.values():
        if adapter.access == "one's own":
            continue
        official = adapter.official
        protocol = {"folds": f"{official.num_folds} folds", "split": "train and test"}.get(
            official.kind, f"`{official.crossval.removeprefix('--protocol ')}`"
        )
        sets.append(
            f"| `{adapter.name}` | {adapter.title} | `{adapter.labels.name}` "
            f"| {protocol} ({official.source}) | {adapter.access} |"
        )
    labels = ["| label set | classes | |", "|---|---|---|"]
    labels += [f"| `{one.name}` | {', '.join(one.classes)} | {one.about} |" for one in LABEL_SETS.values()]
    maps = ["| from | to | left out | merged |", "|---|---|---|---|"]
    for (source, target), (left_out, becomes) in _MAPS.items():
        merged = ", ".join(f"{word} into {name}" for word, name in becomes.items())
        maps.append(f"| `{source}` | `{target}` | {', '.join(left_out.split())} | {merged} |")
    return {name: "\n".join(rows) for name, rows in (("sets", sets), ("label sets", labels), ("maps", maps))}


def filled(page: str) -> str:
    """The page with the tables between their markers."""
    for name, table in tables().items():
        between = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        page, count = re.subn(between, lambda m, t=table: f"{m[1]}{t}\n{m[2]}", page, flags=re.S)
        assert count == 1, name
    return page


def test_the_page_has_the_tables_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == filled(page), "run: PYTHONPATH=. python tests/videofer/test_docs_datasets.py"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
