"""docs/datasets.md says what the adapters, the label sets and the published numbers say."""

from __future__ import annotations

import re

import pytest

from tools.datasets_table import PAGE, anchor, highest, known_sets, linked, numbers, page, systems_of
from videofer.reproduce.published import PUBLISHED, Published

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_has_what_the_code_says() -> None:
    assert page(TEXT) == TEXT, "run: python -m tools.datasets_table"


def test_a_page_without_a_marker_is_refused() -> None:
    with pytest.raises(AssertionError, match="no part 'maps' on the page"):
        page(TEXT.replace("<!-- maps -->", ""))


def test_every_set_has_a_section_and_a_command() -> None:
    for adapter in known_sets():
        assert f"\n### {adapter.title}\n" in TEXT
        assert f"\n| licence | {adapter.licence} |\n" in TEXT
        assert f"(#{anchor(adapter.title)})" in TEXT
        assert systems_of(adapter), f"`videofer reproduce` has nothing for {adapter.name}"


def test_every_published_number_is_on_the_page() -> None:
    assert all(f"| {one.system}" in TEXT for one in PUBLISHED)


def test_no_line_of_text_is_long() -> None:
    assert [line for line in TEXT.splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_every_place_on_the_page_that_is_pointed_to_is_there() -> None:
    headings = {anchor(line.lstrip("# ")) for line in TEXT.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= headings


def test_numbers_of_one_system_by_one_protocol_are_one_row() -> None:
    one = Published("net", "dfew", "official", "war", 0.5, "arXiv 2307.02227", on_test=True)
    two = Published("net", "dfew", "official", "uar", 0.4056, "arXiv 2307.02227", on_test=True)
    other = Published("net", "dfew", "other", "ers", 0.25, "a letter", "how?", branch="body")
    assert numbers([one, two, other]) == [
        "Reported:",
        "",
        "| system | sees | WAR | UAR | ERS | protocol | read in |",
        "|---|---|---|---|---|---|---|",
        f"| net † | face | 50.00 | 40.56 |  | official | {linked('arXiv 2307.02227')} |",
        "| net | body |  |  | 0.2500 | other | a letter; how? |",
    ]
    assert numbers([]) == ["No published number from pictures or joints alone was found."]


def test_the_highest_number_is_of_a_protocol_that_is_run() -> None:
    low = Published("low", "dfew", "official", "war", 0.5, "a letter", on_test=True)
    high = Published("high", "dfew", "official", "uar", 0.9, "a letter")
    other = Published("other", "dfew", "other", "war", 0.95, "a letter", "how?")
    assert highest([low, high, other]) == "WAR 50.00: low †"
    assert highest([high, other]) == "UAR 90.00: high"
    assert highest([other]) == "none by such a protocol"
    assert highest([]) == "none found"


def test_sources_are_links_where_they_are_addresses() -> None:
    assert linked("github.com/a/b-c, report") == "[b-c](https://github.com/a/b-c), report"
    assert linked("github.com/a/b-c-d-e-f") == "[b-c-d](https://github.com/a/b-c-d-e-f)"
    assert linked("arXiv 2307.02227 v1") == "arXiv [2307.02227](https://arxiv.org/abs/2307.02227) v1"
    assert linked("doi.org/10.3390/s21227665") == "[10.3390/s21227665](https://doi.org/10.3390/s21227665)"
    assert linked("CEUR-WS 2744, paper 32") == "CEUR-WS 2744, paper 32"
