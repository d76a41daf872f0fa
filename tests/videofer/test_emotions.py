"""Names, aliases, order and colours of emotions."""

from __future__ import annotations

import re

import pytest

from videofer.emotions import BASIC, COLOURS, EMOTIONS, canonical, colour, in_order, is_emotion


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("happy", "happiness"), ("Angry", "anger"), ("SAD", "sadness"), ("su", "surprise"), ("Ne", "neutral"),
        ("Panic Fear", "fear"), ("panic_fear", "fear"), (" Joy ", "happiness"), ("contempt", "contempt"),
    ],
)  # fmt: skip
def test_aliases(word: str, name: str) -> None:
    assert canonical(word) == name and is_emotion(word)


@pytest.mark.parametrize("name", EMOTIONS)
def test_every_name_is_its_own(name: str) -> None:
    assert canonical(name) == name and canonical(name.upper()) == name


def test_unknown_word_fails_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown emotion 'hapiness'; did you mean 'happiness'"):
        canonical("hapiness")
    with pytest.raises(ValueError, match="unknown emotion 'xyzzy' "):
        canonical("xyzzy")
    assert not is_emotion("xyzzy")


def test_classes_of_one_s_own() -> None:
    assert canonical("Deep Thought", ["deep_thought", "anger"]) == "deep_thought"
    assert canonical("mad", ["deep_thought"]) == "anger"


def test_order() -> None:
    assert in_order(["surprise", "zeal", "anger", "neutral", "anger", "awe"]) == [
        "neutral", "anger", "surprise", "awe", "zeal",
    ]  # fmt: skip
    assert EMOTIONS[: len(BASIC)] == BASIC


def test_colours_are_distinct() -> None:
    assert set(COLOURS) == set(EMOTIONS) and len(set(COLOURS.values())) == len(EMOTIONS)
    for value in [*COLOURS.values(), colour("zeal"), colour("awe", ["anger", "zeal", "awe"])]:
        assert re.fullmatch("#[0-9A-F]{6}", value.upper())
    assert colour("zeal", ["zeal", "awe"]) != colour("awe", ["zeal", "awe"])
