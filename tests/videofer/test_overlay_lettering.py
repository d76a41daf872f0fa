"""Text: what can be drawn is, what cannot never becomes an empty box, and nothing is too wide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from videofer.overlay.lettering import draw, fitted, line_height, shown, width_of


@pytest.mark.parametrize(
    "name", ["Anna Müller", "Борис", "Ελένη", "محمد", "שרה", "Ngọc Ánh", "Łukasz", "Գոհար"]
)
def test_names_of_many_scripts_are_drawn(name: str) -> None:
    assert shown(name, "person 1") == name
    image = Image.new("RGB", (200, 40))
    draw(image, (5, 20), name, 20, (255, 255, 255))
    assert np.asarray(image).max() > 200


def test_what_no_font_has_gives_way_to_the_number() -> None:
    nothing = "\U000f0000\U000f0001\U000f0002"  # private use: no font has letters there
    assert shown(nothing, "person 1") == "person 1"
    assert shown("", "person 1") == "person 1"
    assert shown("Anna \U000f0000", "person 1") == "Anna"
    assert shown("A" + nothing, "person 1") == "person 1"


def test_line_breaks_and_invisible_letters_do_not_survive() -> None:
    assert shown("Anna\n\x00Maria\u202e\t B\ud800", "x") == "Anna Maria B"


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_any_name_can_be_shown(name: str) -> None:
    text = shown(name, "person 1")
    assert text and text == text.strip() and "\n" not in text
    image = Image.new("RGB", (300, 40))
    draw(image, (0, 20), fitted(text, 300, 20), 20, (255, 255, 255))


@settings(max_examples=100)
@given(text=st.text(alphabet="abcWi é", max_size=60), width=st.integers(0, 300), bold=st.booleans())
def test_text_never_takes_more_than_its_room(text: str, width: int, bold: bool) -> None:
    short = fitted(text, width, 14, bold=bold)
    assert width_of(short, 14, bold=bold) <= width
    if width_of(text, 14, bold=bold) <= width:
        assert short == text
    elif short:
        assert short.endswith("…") and text.startswith(short[:-1])


def test_letters_grow_with_their_size() -> None:
    assert line_height(30) > 2 * line_height(14)
    assert width_of("happiness", 14, bold=True) > width_of("happiness", 14)
