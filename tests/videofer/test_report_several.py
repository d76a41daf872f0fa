"""The report of a model that says several classes at once: its words, its bytes, the page in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.browser import Browse, accessibility_faults, scrolls_sideways, wait_until
from tests.videofer.report_timelines import HOSTILE
from tests.videofer.several_examples import CLASSES, THRESHOLDS, several_timeline
from tests.videofer.test_report_browser import faces_of
from tests.videofer.test_report_pack import unpack
from tests.videofer.timeline_examples import example_timeline
from tests.videos import write_video
from videofer.report import provenance, words_several
from videofer.report.pack import pack_rows, quantised_questions, threshold_steps
from videofer.report.write import write_report
from videofer.timeline.several import holding
from videofer.timeline.summary import summarise
from videofer.timeline.timeline import Timeline, probability_columns

NO_CLASS = np.full((55, len(CLASSES)), 0.02)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def held(timeline: Timeline, person: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """t_start (R,) of a person's rows, and which classes hold in them (R, n)."""
    rows = timeline.rows_of(person)
    p = rows[probability_columns(timeline.classes)].to_numpy(np.float64)
    return rows["t_start"].to_numpy(), holding(p, np.array(THRESHOLDS))


@settings(max_examples=80)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_packed_probabilities_stay_on_their_side_of_the_threshold(num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    thresholds = rng.uniform(0.002, 1.0, num_classes)
    p = rng.beta(0.3, 0.3, (40, num_classes))
    p[:20] = np.clip(thresholds + rng.normal(0, 2e-3, (20, num_classes)), 0, 1)  # where it is close
    p[3] = 0
    p[5] = np.nan
    packed = quantised_questions(p, thresholds)
    assert ((packed >= threshold_steps(thresholds)) == holding(p, thresholds))[np.arange(40) != 5].all()
    known = np.arange(40) != 5
    assert np.abs(packed[known] / 255 - p[known]).max() <= 2 / 255 + 1e-9
    assert packed[known].any(axis=1).all() and not packed[5].any()


def test_rows_are_packed_so_and_those_of_one_class_as_ever() -> None:
    several = unpack(pack_rows(several_timeline(), 0))["p_answer"].reshape(-1, len(CLASSES))
    assert not (several.sum(axis=1) == 255).all()
    single = unpack(pack_rows(example_timeline(), 0))["p_answer"].reshape(-1, 4)
    assert set(single.sum(axis=1).tolist()) == {0, 255}


def test_shares_are_those_of_the_time_in_which_each_class_holds() -> None:
    timeline = several_timeline()
    one = summarise(timeline).persons[0]
    _, holds = held(timeline)
    np.testing.assert_allclose(list(one.share_holding.values()), holds.mean(axis=0), atol=1e-9)
    assert sum(one.share_holding.values()) > 1.2
    both = float((holds[:, 0] & holds[:, 3]).sum() * 0.2)
    assert one.seconds_together["happiness"]["esteem"] == pytest.approx(both) and both > 0
    assert one.transitions == {}


def test_of_one_class_at_a_time_they_are_the_shares_of_the_labels() -> None:
    one = summarise(example_timeline()).persons[0]
    assert one.share_holding == {name: one.share_by_label[name] for name in one.share_holding}
    assert one.share_none_holds == 0 and one.seconds_together == {} and one.transitions


def test_the_first_sentence() -> None:
    timeline = several_timeline(names=("Anna",))
    said = plain(words_several.lead(timeline, summarise(timeline)))
    assert said.startswith("Anna over 12.0 s. Happiness in 51 % of the time, sadness in ")
    assert said.endswith("; several may hold at once.")
    none = several_timeline(p=NO_CLASS)
    assert plain(words_several.lead(none, summarise(none))).endswith("Nearly all of the time no class holds.")
    half = several_timeline(p=NO_CLASS[:25])
    assert "no class in 47 %;" in plain(words_several.lead(half, summarise(half)))
    nobody = several_timeline(num_persons=0)
    assert plain(words_several.lead(nobody, summarise(nobody))) == "Nobody was seen in these 12.0 s."


def test_a_person_in_words_with_thresholds_none_and_states() -> None:
    timeline = several_timeline(p=NO_CLASS[:25])
    said = words_several.person_words(timeline, summarise(timeline).persons[0], np.array(THRESHOLDS))
    assert [share.label for share in said.shares][-2:] == ["none holds", "no answer"]
    thresholds = {share.label: plain(share.threshold) for share in said.shares}
    assert thresholds["surprise"] == "35 %" and thresholds["none holds"] == ""
    assert not said.transitions and said.together[0][4].endswith("s")


def test_how_it_was_made_names_the_thresholds() -> None:
    facts = dict(provenance.facts(several_timeline(), "")[2][1])
    assert "happiness 50 %, surprise 35 %" in plain(facts["A class holds"]) and "Uncertain" not in facts
    assert "end below 70 % of it" in plain(facts["Segments"])
    assert "A class holds" not in dict(provenance.facts(example_timeline(), "")[2][1])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", pts=range(300), size_wh=(128, 72))


@pytest.fixture(scope="module")
def page_of_one(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("several") / "one.html"
    write_report(several_timeline(names=("Anna",)), out, media=film, faces=faces_of(1))
    return out


COLOUR = """([t, place, share]) => {
  const lane = videofer.lanes.all[0];
  const ratio = lane.canvas.width / videofer.view.width;
  const step = lane.lay.ribbon / videofer.facts.classes.length;
  const y = lane.lay.ribbonTop + (place + 1) * step - 8 - share * (step - 10);
  const copy = document.createElement('canvas');
  copy.width = copy.height = 1;
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(lane.canvas, videofer.view.x(t) * ratio, y * ratio, 1, 1, 0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
}"""


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_it(browse: Browse, page_of_one: Path, dark: bool, width: int) -> None:
    page = browse.open(page_of_one, width=width, dark=dark)
    wait_until(page, "document.querySelector('#video').readyState >= 2")
    assert accessibility_faults(page) == []
    assert not scrolls_sideways(page)
    assert page.locator("#views").count() == 0  # no stacked areas
    assert page.locator(".shares").count() == 0
    browse.keep(page, f"several-{width}-{'dark' if dark else 'light'}")


@pytest.mark.browser
def test_a_row_is_full_where_its_class_holds_and_pale_elsewhere(browse: Browse, page_of_one: Path) -> None:
    page = browse.open(page_of_one)
    full = page.evaluate(COLOUR, [2.0, 0, 0.2])
    assert full[3] == 255 and full[2] < 60 < full[0]  # the yellow of happiness
    pale = page.evaluate(COLOUR, [7.6, 0, 0.1])
    assert 0 < pale[3] < 120


@pytest.mark.browser
@pytest.mark.parametrize("t", [0.3, 2.5, 4.1, 6.5, 10.1])
def test_what_holds_at_the_cursor_is_told(browse: Browse, page_of_one: Path, t: float) -> None:
    page = browse.open(page_of_one)
    page.evaluate("t => videofer.seek(t)", t)
    wait_until(page, f"Math.abs(videofer.player.time - {t}) < 0.05")
    starts, holds = held(several_timeline())
    expected = {
        name for name, one in zip(CLASSES, holds[np.flatnonzero(starts <= t)[-1]], strict=True) if one
    }
    names = "[...document.querySelectorAll('.tags .on')].map((one) => one.innerText).sort().join()"
    wait_until(page, f"{names} === '{','.join(sorted(expected))}'")
    said = page.locator(".one .says").inner_text().strip()
    assert set(said.split(" + ")) == (expected or {"none holds"})
    assert page.locator(".one .bars i:not(.off)").count() == len(expected)
    assert page.locator("#slider").get_attribute("aria-valuetext").endswith(said)  # type: ignore[union-attr]
    # Segments begin and end by hysteresis: those of the classes that hold are marked, and at most a few more.
    marked = set(page.locator("#segment-table tr.on td.label").all_inner_texts())
    assert expected <= marked


@pytest.mark.browser
def test_nothing_holds(browse: Browse, tmp_path: Path) -> None:
    write_report(several_timeline(p=NO_CLASS), tmp_path / "none.html")
    page = browse.open(tmp_path / "none.html")
    page.evaluate("videofer.seek(3)")
    wait_until(page, "document.querySelector('.one .says').innerText.trim() === 'none holds'")
    assert page.locator(".tags .on").count() == 0
    page.evaluate("videofer.seek(7.2)")  # no prediction is something else
    wait_until(page, "document.querySelector('.one .says').innerText.trim() === 'no answer'")
    assert "Nearly all of the time no class holds" in page.locator(".lead").inner_text()


@pytest.mark.browser
def test_the_pointer_tells_and_a_class_alone_is_large(browse: Browse, page_of_one: Path) -> None:
    page = browse.open(page_of_one)
    height = "document.querySelector('.lane canvas').clientHeight"
    rows = page.evaluate(height)
    page.locator(".lane canvas").hover(position={"x": 300, "y": 100})
    assert page.locator("#tip .rail b").count() == len(CLASSES)  # ticks at the thresholds
    page.locator("#legend button").nth(1).click()
    wait_until(page, f"{height} !== {rows}")
    assert page.evaluate(COLOUR.replace("videofer.facts.classes.length", "1"), [1.0, 0, 0.1])[3] == 255
    page.keyboard.press("v")  # there is no other view
    page.locator("#legend button").nth(1).click()
    wait_until(page, f"{height} === {rows}")


@pytest.mark.browser
def test_several_people_many_classes_a_truth_and_hostile_names(browse: Browse, tmp_path: Path) -> None:
    import pandas as pd

    classes = (*CLASSES, *HOSTILE, *(f"class {i}" for i in range(12)))
    timeline = several_timeline(
        num_persons=3, classes=classes, thresholds=tuple(np.linspace(0.2, 0.7, len(classes))), names=HOSTILE
    )
    truth = pd.DataFrame({"t_start": [0.0], "t_end": [4.0], "label": ["fear"]})
    write_report(
        replace(timeline, model=replace(timeline.model, name=HOSTILE[0])), tmp_path / "a.html", truth=truth
    )
    page = browse.open(tmp_path / "a.html")
    page.evaluate("videofer.seek(3)")
    assert page.evaluate("window.pwned") is None
    assert (
        page.locator(".lane").count() == 3
        and page.locator(".lane").nth(0).locator(".tags span").count() >= 25
    )
    assert not scrolls_sideways(page)
