from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.videofer.timeline_examples import example_timeline
from videofer.formats.text import defused, one_line, person_names

TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates and controls, too


def test_what_no_format_can_hold_is_replaced_and_the_rest_stays() -> None:
    assert one_line("  Zoë O'Brien-Łukasz 李小龍 👩‍🔬 ") == "Zoë O'Brien-Łukasz 李小龍 👩‍🔬"
    assert one_line("a\nb\tc\u2028d\x85e") == "a b c d e"
    assert one_line("\x00\x1b[31m\ud800\uffff") == "\ufffd\ufffd[31m\ufffd\ufffd"
    assert one_line("\n\t") == ""


@settings(max_examples=300)
@given(TEXT)
def test_any_text_becomes_one_line_that_xml_and_utf8_hold(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    assert one_line(line) == line
    assert line.encode("utf-8").decode("utf-8") == line
    element = ET.Element("a", name=line)
    element.text = line
    again = ET.fromstring(ET.tostring(element, encoding="utf-8"))
    assert (again.get("name"), again.text or "") == (line, line)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t\r\n=1", "'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1;-2", "a;'=1;'-2"),
        ('a;"=1', "a;\"'=1"),
    ],
)
def test_formulas_are_defused(text: str, safe: str) -> None:
    assert defused(text) == safe


@pytest.mark.parametrize("text", ["Anna", "a=b", "a - b", "'=1", "3", "", "Jean-Luc"])
def test_other_text_is_left_alone(text: str) -> None:
    assert defused(text) == text


@settings(max_examples=100)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_persons_have_distinct_names_of_one_line(names: list[str]) -> None:
    timeline = example_timeline(num_persons=len(names), names=tuple(names), duration_seconds=8.0)
    shown = person_names(timeline)
    assert list(shown) == [person.id for person in timeline.persons]
    assert len(set(shown.values())) == len(names)
    for person, name in shown.items():
        assert name == one_line(name) != ""
        plain = one_line(names[person])
        assert name.startswith(plain or "person")


def test_namesakes_are_numbered() -> None:
    timeline = example_timeline(num_persons=4, names=("Anna", "Anna", "Anna (2)", ""))
    assert list(person_names(timeline).values()) == ["Anna", "Anna (2)", "Anna (2) (2)", "person 3"]
