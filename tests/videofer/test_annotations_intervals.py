"""From labels as people write them to emotions; tiers; point events."""

from __future__ import annotations

from pathlib import Path

import pytest

from videofer.annotations.intervals import (
    AnnotationError,
    Annotations,
    Interval,
    choose_tiers,
    give_points_length,
    make_table,
    name_emotions,
    person_of_tier,
)


def annotations(*intervals: Interval) -> Annotations:
    return Annotations(Path("talk.eaf"), make_table(intervals))


TALK = annotations(
    Interval("Happy ", 1, 2, tier="face"),
    Interval("glad", 2, 3, tier="face"),
    Interval("Hello", 0, 1, tier="words"),
    Interval("  ", 4, 5, tier="words"),
)


def test_a_table_is_in_order_and_empty_labels_say_nothing() -> None:
    assert TALK.table["label"].tolist() == ["Hello", "Happy", "glad"]
    assert make_table([Interval("a", -0.0004, 1)])["t_start"].tolist() == [0.0]
    assert make_table([]).empty and list(make_table([]).columns) == list(TALK.table.columns)


def test_labels_become_emotions() -> None:
    named = name_emotions(TALK, renamed={" GLAD": "joy"}, ignored=["hello"])
    assert named.table["label"].tolist() == ["happiness", "happiness"]
    own = name_emotions(TALK, classes=["Hello", "glad"])
    assert own.table["label"].tolist() == ["Hello", "happiness", "glad"]


def test_unknown_labels_are_all_named_with_their_tiers() -> None:
    with pytest.raises(AnnotationError) as caught:
        name_emotions(TALK)
    message = str(caught.value)
    assert "talk.eaf: unknown labels 'Hello' (tier 'words'), 'glad' (tier 'face')" in message
    assert "--map THEIRS=OURS" in message and "\n" not in message
    many = annotations(*(Interval(f"word{i}", i, i + 1) for i in range(9)))
    with pytest.raises(AnnotationError, match="'word4' and 4 more: say"):
        name_emotions(many)
    with pytest.raises(AnnotationError, match="--map glad=gladness: unknown emotion 'gladness'"):
        name_emotions(TALK, renamed={"glad": "gladness"})


def test_tiers_are_chosen_by_name() -> None:
    assert choose_tiers(TALK, ["words"]).table["label"].tolist() == ["Hello"]
    assert choose_tiers(TALK, []) is TALK
    with pytest.raises(AnnotationError, match=r"no tier 'Face' with labels \(there: 'words', 'face'\)"):
        choose_tiers(TALK, ["Face"])
    assert person_of_tier("emotion@Anna") == "Anna" and person_of_tier("Anna") == "Anna"


def test_point_events_go_with_a_note_or_get_a_length() -> None:
    points = annotations(Interval("anger", 0.1, 0.1), Interval("fear", 1, 2), Interval("fear", 5, 5))
    without = give_points_length(points, None)
    assert without.table["t_start"].tolist() == [1.0]
    assert without.notes == ("point events are left out: 2 (--point-seconds gives them a length)",)
    longer = give_points_length(points, 0.4).table
    assert longer["t_start"].tolist() == [0.0, 1.0, 4.8] and longer["t_end"].tolist() == [
        pytest.approx(0.3),
        2.0,
        5.2,
    ]
    assert give_points_length(without, None) is without
