"""The report in words, and its colours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.videofer.timeline_examples import example_timeline
from videofer import emotions
from videofer.report import provenance, words
from videofer.report.palette import DARK_PAPER, contrast, palette_css, shades
from videofer.timeline.settings import Smoothing, TimelineSettings
from videofer.timeline.summary import summarise
from videofer.timeline.timeline import UNCERTAIN, Person


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0.0 s"), (19.685, "19.7 s"), (59.96, "1 min 0 s"), (724, "12 min 4 s"), (7200, "2 h 0 min")],
)
def test_lengths(seconds: float, said: str) -> None:
    assert words.length(seconds).replace("\u00a0", " ") == said


@pytest.mark.parametrize(
    ("seconds", "hours", "said"),
    [
        (0, False, "0:00.0"), (62.34, False, "1:02.3"), (59.96, False, "1:00.0"),
        (3661.5, False, "1:01:01.5"), (5, True, "0:00:05.0"),
    ],
)  # fmt: skip
def test_clocks(seconds: float, hours: bool, said: str) -> None:
    assert words.clock(seconds, hours=hours) == said


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (0.004, "< 1 %"), (0.01, "1 %"), (0.546, "55 %"), (1, "100 %")]
)
def test_percents(share: float, said: str) -> None:
    assert words.percent(share).replace("\u00a0", " ") == said


def test_the_first_sentence() -> None:
    one = example_timeline(num_persons=1)
    assert words.lead(one, summarise(one)).startswith("One person over 12.0\u00a0s. ")
    two = example_timeline(num_persons=2)
    said = words.lead(two, summarise(two))
    assert said.startswith("Two people over 12.0\u00a0s. ") and "of their time" in said
    named = example_timeline(num_persons=1, names=("Anna",))
    assert words.lead(named, summarise(named)).startswith("Anna over ")
    nobody = example_timeline(num_persons=0)
    assert words.lead(nobody, summarise(nobody)) == "Nobody was seen in these 12.0\u00a0s."


def test_shares_of_a_person_are_said_largest_first() -> None:
    timeline = example_timeline(num_persons=1)
    rows = timeline.rows.copy()
    rows.loc[:4, "label"] = UNCERTAIN
    timeline = replace(timeline, rows=rows)
    one = words.person_words(timeline, summarise(timeline).persons[0])
    assert [share.permille for share in one.shares] == sorted((s.permille for s in one.shares), reverse=True)
    assert sum(share.permille for share in one.shares) == pytest.approx(1000, abs=3)
    assert {"uncertain", "no answer"} <= {share.label for share in one.shares}
    assert all(share.first is None for share in one.shares if share.css == "none")
    assert not any(name == "One person throughout" for name, _ in one.figures)


def test_a_doubtful_track_is_said_to_be_one() -> None:
    timeline = example_timeline(num_persons=1)
    timeline = replace(timeline, persons=(Person(id=0, name="Anna", certainty=0.9),))
    one = words.person_words(timeline, summarise(timeline).persons[0])
    assert ("One person throughout", "90\u00a0% sure") in one.figures


@pytest.mark.parametrize("method", ["none", "hmm", "viterbi", "kernel"])
def test_every_smoothing_has_words(method: str) -> None:
    timeline = example_timeline()
    settings = TimelineSettings(smoothing=Smoothing(method=method, lag_seconds=0.5), min_confidence=0.4)  # type: ignore[arg-type]
    facts = dict(
        dict(provenance.facts(replace(timeline, settings=settings), "linked"))["From windows to rows"]
    )
    assert ("ahead" in facts["Smoothing"]) == (method != "none")
    assert facts["Uncertain"] == "below 40\u00a0%"


def test_names_lose_what_is_no_character() -> None:
    assert words.shown("An\x00na\ud800\n") == "Anna"
    assert words.shown("\x01") == "?"
    assert words.shown("a\u202egpj.exe\u2028b") == "agpj.exeb"  # would read backwards
    assert words.shown("\u05d0\u05e0\u05d4 \u4e2d \U0001f600") == "\u05d0\u05e0\u05d4 \u4e2d \U0001f600"


def test_colours_stand_out_from_the_dark_paper() -> None:
    for name, shade in zip(emotions.EMOTIONS, shades(emotions.EMOTIONS, dark=True), strict=True):
        assert contrast(shade.fill, DARK_PAPER) >= 3.0, name
    for dark in (False, True):
        for name, shade in zip(emotions.EMOTIONS, shades(emotions.EMOTIONS, dark=dark), strict=True):
            assert contrast(shade.ink, shade.fill) >= 4.5, name  # letters on it


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the well-known pair


def test_names_of_classes_do_not_enter_the_stylesheet() -> None:
    css = palette_css(("neutral", "}</style><script>", "anger"))
    assert "<" not in css and css.count("--c:") == 6
