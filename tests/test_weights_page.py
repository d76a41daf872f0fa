"""docs/weights.md says what the registry says."""

from __future__ import annotations

from preprocessing.weights import REGISTRY, Registry
from tools.weights_table import BEGIN, PAGE, page, tables


def test_the_tables_are_those_of_the_registry() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, REGISTRY) == text, "run python -m tools.weights_table"


def test_another_registry_makes_another_page() -> None:
    some = Registry([weight for weight in REGISTRY if weight.name in ("sfd", "scrfd")])
    text = page(f"before\n{BEGIN}\nold\n<!-- end of tables -->\nafter\n", some)
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| `sfd` | face detector | 89.8 MB | BSD-3-Clause | whole | adrianbulat.com |" in text
    assert "| `face-alignment:scrfd` | `scrfd` |" in tables(some)
