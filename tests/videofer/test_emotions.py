"""Names, aliases, order and colours of emotions."""

from __future__ import annotations

import re

import pytest

from videofer.emotions import BASIC, COLOURS, EMOTIONS, canonical, colour, in_order, is_emotion
from videofer.emotions.label_sets import LABEL_SETS
from videofer.emotions.words import BROAD_OF, FINER, FINER_OF, meanings


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


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Ärger", "anger"), ("aerger", "anger"), ("COLÈRE", "anger"), ("colere", "anger"),
        ("rabbia", "anger"), ("enojo", "anger"), ("raiva", "anger"), ("愤怒", "anger"), ("憤怒", "anger"),
        ("Angst", "fear"), ("peur", "fear"), ("Überraschung", "surprise"),
        ("sorpresa", "surprise"), ("tristeza", "sadness"),
        ("高兴", "happiness"), ("dégoût", "disgust"), ("nojo", "disgust"), ("neutrale", "neutral"),
        ("mépris", "contempt"), ("vergüenza", "shame"), ("Doubt/Confusion", "confusion"),
    ],
)  # fmt: skip
def test_words_of_other_languages(word: str, name: str) -> None:
    assert canonical(word) == name and is_emotion(word)


def test_a_given_class_wins_over_the_broad_name() -> None:
    assert canonical("joy") == "happiness" and canonical("joy", ["joy", "anger"]) == "joy"
    assert canonical("joie", ["joy"]) == "joy" and canonical("joie", ["happiness"]) == "happiness"
    assert canonical("engaged", ["engagement"]) == "engagement" and canonical("engaged") == "interest"
    assert is_emotion("pleasure", ["pleasure"]) and not is_emotion("pleasure")


def test_a_finer_word_alone_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match=r"^'irritated' is 'irritation', a class of .* 'label_set'"):
        canonical("irritated")


def test_no_word_has_two_meanings_of_one_kind() -> None:
    assert set(BROAD_OF.values()) == set(EMOTIONS) and set(FINER_OF.values()) == set(FINER)
    assert all(meanings(word) for word in [*BROAD_OF, *FINER_OF])
    assert meanings("joy") == ["joy", "happiness"] and meanings("xyzzy") == []


def test_many_classes_have_different_colours() -> None:
    classes = LABEL_SETS["bold26"].classes
    assert len({colour(name, classes) for name in classes}) == 26
