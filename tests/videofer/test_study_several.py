"""A study of a model that says several classes at once: shares overlap, in tables and index."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.browser import Browse, accessibility_faults, scrolls_sideways
from tests.videofer.several_examples import CLASSES, several_timeline
from tests.videofer.study_examples import done_video, example_study
from tests.videofer.test_study_page import data_of
from videofer.study.digest import shares_of
from videofer.study.metadata import Described
from videofer.study.page import index_page
from videofer.study.run import Done
from videofer.study.tables import videos_table
from videofer.timeline.timeline import Timeline

QUIET = np.full((25, len(CLASSES)), 0.02)


def timelines() -> list[Timeline]:
    """Six videos; in the first nothing holds for a while."""
    made = [
        several_timeline(duration_seconds=12.0 + place, p=QUIET if place == 0 else None) for place in range(6)
    ]
    return [
        dataclasses.replace(one, video=dataclasses.replace(one.video, name=f"{place}.mp4"))
        for place, one in enumerate(made)
    ]


@pytest.fixture(scope="module")
def study() -> tuple[list[Done], Described]:
    done = [done_video(one, f"v{place}", {f"v{place}.csv": (1, 1)}) for place, one in enumerate(timelines())]
    rows = tuple((("a", "b")[place % 2],) for place in range(len(done)))
    return done, Described(columns=("condition",), rows=rows, unknown=(), without=())


def test_shares_of_the_table_are_of_the_time_in_which_each_class_holds(
    study: tuple[list[Done], Described],
) -> None:
    done, about = study
    table = videos_table(done, about, "a model")
    for place, timeline in enumerate(timelines()):
        one = timeline.summary().persons[0]
        found = [table[f"share_{name}"][place] for name in CLASSES]
        assert found == pytest.approx(list(one.share_holding.values()))
        assert table["share_uncertain"][place] == pytest.approx(one.share_none_holds)
    assert table["share_uncertain"][0] > 0.3
    assert max(sum(table[f"share_{name}"][place] for name in CLASSES) for place in range(6)) > 1.2


def test_of_one_class_at_a_time_they_are_what_they_were() -> None:
    done, _ = example_study(2)
    for one in done:
        assert not one.account.digest["several"]
        for person in one.account.digest["persons"]:
            assert shares_of(person) == pytest.approx(person["share_by_label"])
            old = {key: value for key, value in person.items() if not key.startswith("share_")}
            assert shares_of(old | {"share_by_label": {"x": 1.0}}) == {"x": 1.0}  # of an earlier version


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_index_has_a_bar_for_each_label(
    study: tuple[list[Done], Described], browse: Browse, tmp_path: Path, width: int, dark: bool
) -> None:
    done, about = study
    text = index_page(done, about, [], title="Several", group_by="condition")
    assert data_of(text)["several"] and "none holds" in data_of(text)["labels"]
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    page = browse.open(tmp_path / "index.html", width=width, dark=dark)
    assert page.locator(".apart").count() == 2 and page.locator(".stack").count() == 0
    words = page.locator(".apart").first.inner_text()
    assert "happiness" in words and "none holds" in words
    assert "Several classes may hold at once" in page.locator("#shares-note").inner_text()
    assert accessibility_faults(page) == []
    assert not scrolls_sideways(page)
    browse.keep(page, f"study-several-{width}")
