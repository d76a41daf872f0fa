"""The page as text, without a browser: whole, closed to foreign scripts, the same for the same timeline."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.errors import UserError
from tests.html_page import HtmlPage
from tests.videofer.report_timelines import HOSTILE, long_timeline
from tests.videofer.timeline_examples import example_timeline
from videofer.report.page import SCRIPTS, card_html, script
from videofer.report.write import truth_spans, write_report
from videofer.timeline.timeline import Timeline

MAX_SCRIPT_LINES = 300  # of one file


class Page(HtmlPage):
    def facts(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(
            next(text for attrs, text in self.scripts if attrs.get("id") == "facts")
        )
        return found


def page_of(tmp_path: Path, timeline: Timeline, **options: object) -> Page:
    out = tmp_path / "report.html"
    assert write_report(timeline, out, **options) == [out]  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    return Page(out.read_text(encoding="utf-8"))


def hash_of(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def expect_closed(page: Page) -> None:
    """Nothing runs but our script, nothing is asked for."""
    running = [
        text for attrs, text in page.scripts if attrs.get("type") not in ("application/json", "text/plain")
    ]
    assert len(running) == 1
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert f"script-src 'sha256-{hash_of(running[0])}';" in policy
    assert f"style-src 'sha256-{hash_of(page.styles[0])}';" in policy and len(page.styles) == 1
    assert "unsafe" not in policy and "default-src 'none'" in policy
    for tag, attrs in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
        for name in ("src", "href", "action", "formaction", "data", "poster", "srcset"):
            value = attrs.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, attrs)


def test_the_page_is_whole(tmp_path: Path) -> None:
    timeline = example_timeline(names=("Anna", "Bela"))
    page = page_of(tmp_path, timeline)
    expect_closed(page)
    facts = page.facts()
    assert facts["duration"] == 12.0 and facts["classes"] == list(timeline.classes)
    assert [one["name"] for one in facts["persons"]] == ["Anna", "Bela"]  # type: ignore[attr-defined]
    for said in (
        "interview.mp4",
        "Anna",
        "perceived expression",
        "AI Act",
        "A model of tests.",
        "Two people over",
    ):
        assert said in page.text, said
    blobs = {attrs["id"] for attrs, _ in page.scripts if attrs.get("type") == "text/plain"}
    assert blobs == {"rows-0", "rows-1", "segments-data"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=30), st.text(max_size=200))
def test_any_name_is_text(tmp_path: Path, name: str, card: str) -> None:
    timeline = example_timeline(num_persons=1, names=(name,), duration_seconds=3.0)
    timeline = replace(timeline, model=replace(timeline.model, card=card, name=name))
    expect_closed(page_of(tmp_path, timeline, title=name))


def test_hostile_names_are_text(tmp_path: Path) -> None:
    path = "/".join(name.replace("/", "") for name in HOSTILE)
    timeline = example_timeline(num_persons=3, names=HOSTILE[:3], classes=HOSTILE[3:], video_name=path)
    timeline = replace(timeline, provenance={"warnings": list(HOSTILE), "decoder": HOSTILE[0]})
    truth = pd.DataFrame({"t_start": [0.0], "t_end": [1.0], "label": [HOSTILE[0]]})
    page = page_of(tmp_path, timeline, title=HOSTILE[0], truth=truth)
    expect_closed(page)
    assert HOSTILE[0] in page.text and HOSTILE[1] in page.text
    assert page.facts()["truth"] == [[0, 0.0, 1.0, HOSTILE[0]]]


def test_names_that_are_no_characters_can_be_written(tmp_path: Path) -> None:
    """As Python reads file names that are not UTF-8."""
    timeline = example_timeline(video_name="folder/caf\udce9.mp4")
    assert "caf.mp4" in page_of(tmp_path, timeline).text


@pytest.mark.parametrize("line", HOSTILE)
def test_model_cards_are_text(line: str) -> None:
    html = str(card_html(f"# Title\n\n{line}\n\n[a](javascript:alert(1)) ![b](http://example.org/b.png)\n"))
    assert html.startswith("<h3>Title</h3>")
    assert set(re.findall(r"<(\w+)", html)) <= {"h3", "p", "strong", "em", "code"}


def test_model_cards_have_tables() -> None:
    html = str(card_html("| | WAR |\n|---|---|\n| face | 0.5 |\n"))
    assert "<th>WAR</th>" in html and "<td>0.5</td>" in html


def test_only_states_and_modalities_that_occur_are_offered(tmp_path: Path) -> None:
    timeline = long_timeline(hours=1 / 60, num_persons=1)
    values = [a.get("value") for t, a in page_of(tmp_path, timeline).tags if t == "button"]
    assert [v for v in values if v in ("answer", "face", "body", "fused")] == [
        "answer",
        "face",
        "body",
        "fused",
    ]
    rows = timeline.rows.copy()
    rows[[c for c in rows.columns if c.startswith("body_p_")]] = np.nan
    rows["state"] = "ok"
    page = page_of(tmp_path, replace(timeline, rows=rows))
    values = [a.get("value") for t, a in page.tags if t == "button"]
    assert [v for v in values if v in ("answer", "face", "body", "fused")] == ["answer", "face", "fused"]
    assert not any("data-state" in attrs for _, attrs in page.tags)


def test_nothing_is_left_where_the_video_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        write_report(example_timeline(), tmp_path / "a.html", media=tmp_path / "gone.mp4")
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    shares: list[float] = []
    write_report(example_timeline(), tmp_path / "a.html", on_progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_truth_belongs_to_somebody() -> None:
    timeline = example_timeline(num_persons=2)
    truth = pd.DataFrame({"t_start": [0.0, 2.0], "t_end": [2.0, 3.0], "label": ["anger", "neutral"]})
    assert truth_spans(timeline, truth) == [(0, 0.0, 2.0, "anger"), (0, 2.0, 3.0, "neutral")]  # seen longest
    assert truth_spans(timeline, truth.assign(person=[1, 7])) == [(1, 0.0, 2.0, "anger")]
    assert truth_spans(timeline, None) == [] == truth_spans(example_timeline(num_persons=0), truth)


def test_scripts_are_small_modules() -> None:
    folder = Path(__file__).resolve().parents[2] / "videofer" / "report" / "templates"
    files = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.js")}
    assert set(files) == set(SCRIPTS)
    for name, text in files.items():
        assert text.startswith("// "), f"{name}.js does not say what it does"
        assert len(text.splitlines()) <= MAX_SCRIPT_LINES, name
        assert "innerHTML" not in text and "eval(" not in text and "</script" not in text, name
    assert script().count("\n// core.js\n") == 1
