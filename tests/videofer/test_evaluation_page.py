"""The pages: whole, safe, asking for nothing from the network, and running in a browser."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from evaluation_tables import HEADS, make_table

from tests.browser import find_chromium
from tests.html_page import HtmlPage
from videofer.emotions import BASIC
from videofer.evaluation.compare import compare
from videofer.evaluation.page import confused_with, report_page
from videofer.evaluation.report import write_report
from videofer.evaluation.results import make_results

CHROMIUM = find_chromium()


class Page(HtmlPage):
    def charts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0][1])
        return found


def page_of(labels: tuple[str, ...] = BASIC, heads: tuple[str, ...] = HEADS, **table: Any) -> Page:
    results = make_results(
        make_table(labels, heads=heads, **table), labels, heads, title="fused: test split",
        source={"model": "runs/fused", "store": "data/store", "unused": ["a.mp4: nobody is seen"]},
    )  # fmt: skip
    return Page(report_page(results))


def test_the_page_says_what_was_found() -> None:
    page = page_of(num_subjects=20, num_folds=5, num_seeds=2, missing_body=0.1)
    parts = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert parts == [
        "figures", "classes", "confusion", "confidence", "folds", "groups", "fusion", "differ", "measured"
    ]  # fmt: skip
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == [f"#{part}" for part in parts]
    words = ("perceived expression", "20 subjects", "5 folds", "2 seeds", "gender", "published mixture",
             "runs/fused", "a.mp4: nobody is seen", "1000 bootstrap draws")  # fmt: skip
    for word in words:
        assert word in page.text, word
    assert set(page.charts()) == {f"{kind}_{head}" for kind in ("confusion", "reliability") for head in HEADS}
    assert "nan" not in page.text.lower() and "none" not in page.text.lower()


def test_corpora_are_not_called_folds() -> None:
    table = make_table(BASIC, heads=HEADS, num_subjects=20, num_folds=2)
    for protocol, word, other in (("cross-corpus", "corpora", "fold"), ("kfold", "folds", "corpora")):
        results = make_results(table, BASIC, HEADS, title="t", source={"protocol": protocol})
        page = Page(report_page(results))
        assert f"{word.capitalize()} and seeds" in page.text and f"2 {word}" in page.text
        assert other not in page.text.lower()


@pytest.mark.parametrize("num_classes", [2, 26])
def test_few_and_many_classes_of_one_modality(num_classes: int) -> None:
    labels = tuple(f"state {i}" for i in range(num_classes))
    page = page_of(labels, ("face",), num_subjects=4, takes=1)
    assert all(label in page.text for label in labels)
    assert "no interval" in page.text and "here are 4" in page.text
    parts = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert "fusion" not in parts and "differ" not in parts and "folds" not in parts
    cells = page.charts()["confusion_face"]["data"][0]
    assert len(cells["z"]) == num_classes and bool(cells["texttemplate"]) == (num_classes == 2)


def test_what_is_not_known_is_said() -> None:
    table = make_table(num_subjects=3).drop(columns=["gender", "age"])
    table = table[table["label"] != "fear"].assign(subject=lambda t: t["key"])
    results = make_results(table, BASIC, HEADS, title="t", source={})
    text = " ".join(results.unknowns())
    for words in ("manifest has no such columns", "names no subject", "How fear would be read", "one seed"):
        assert words in text
    certain = make_table(BASIC[:2], num_subjects=10, heads=("face",))
    for name in BASIC[:2]:
        certain[f"face_p_{name}"] = (certain["label"] == name).astype(float)
    unsure = make_results(certain, BASIC[:2], ("face",), title="t", source={}).unknowns()
    assert any("How sure an accuracy of 100% is" in line for line in unsure)
    known = make_results(
        make_table(num_subjects=12, num_seeds=2), BASIC, HEADS, title="t", source={}
    ).unknowns()
    assert len(known) == 1 and "felt" in known[0]


def test_an_empty_head_is_shown_as_such() -> None:
    results = make_results(make_table(missing_body=1.0), BASIC, HEADS, title="t", source={})
    assert results.heads["body"].metrics.num_samples == 0 and results.side is None
    Page(report_page(results))


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = page_of(num_subjects=4)
    for tag, attrs in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "background"):
            value = attrs.get(name)
            assert value is None or value.startswith("#"), f"<{tag} {name}={value!r}>"
    css = page.styles[0]
    assert "@import" not in css and "url(" not in css
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy is not None and policy.startswith("default-src 'none'") and "http" not in policy
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "img", "object", "embed", "base")]


HOSTILE = "</script><img src=x onerror=alert(1)>&<b>"


def test_names_cannot_become_markup() -> None:
    labels = ("neutral", HOSTILE)
    table = make_table(labels, num_subjects=4)
    table["name"] = HOSTILE + table["name"]
    table["gender"] = HOSTILE
    results = make_results(
        table, labels, HEADS, title=HOSTILE, source={"model": HOSTILE, "unused": [HOSTILE]}, notes=[HOSTILE]
    )
    page = Page(report_page(results))
    assert not [tag for tag, _ in page.tags if tag in ("img", "b")]
    assert page.text.count(HOSTILE) > 10
    assert "<img" not in json.dumps(page.charts())  # plotly reads some markup in texts


def test_most_frequent_mix_up_by_hand() -> None:
    results = make_results(make_table(num_subjects=12), BASIC, HEADS, title="t", source={})
    metrics = results.metrics["face"]
    for place, label in enumerate(BASIC):
        row = {
            other: int(n) for other, n in zip(BASIC, metrics.confusion[place], strict=True) if other != label
        }
        match = re.fullmatch(r"(.+) \((\d+)\s%\)", confused_with(metrics)[label])
        assert match is not None and row[match[1]] == max(row.values())
        assert int(match[2]) == round(100 * row[match[1]] / metrics.support[place])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation and a comparison on the disk."""
    path = tmp_path_factory.mktemp("pages")
    labels = BASIC[:3]
    for name, seed in (("a", 0), ("b", 1)):
        table = make_table(labels, num_subjects=12, takes=1, seed=seed)
        write_report(table, labels, HEADS, path / name, title=name, source={"model": name})
    compare(path / "a", path / "b", path / "compare")
    return path


def test_the_comparison_page_is_whole(folder: Path) -> None:
    page = Page((folder / "compare" / "compare.html").read_text(encoding="utf-8"))
    assert "B \u2212 A" in page.text and "McNemar" in page.text
    assert page.charts() == {}
    assert all(
        len(text) < 50_000 for text in (*page.styles, *(text for _, text in page.scripts))
    )  # no charts, no plotly


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("name", ["a/report.html", "compare/compare.html"])
def test_a_browser_runs_the_page_without_complaints(folder: Path, name: str, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    # What goes wrong is written into the page, and the page is read when its scripts have run.
    html = (folder / name).read_text(encoding="utf-8")
    watch = (
        "<script>window.bad = [];"
        "addEventListener('error', (e) => bad.push(e.message || 'not loaded'), true);"
        "addEventListener('securitypolicyviolation', (e) => bad.push(e.violatedDirective));"
        "for (const kind of ['error', 'warn']) console[kind] = (...words) => bad.push(words.join(' '));"
        "addEventListener('load', () => setTimeout(() => {"
        "  const input = document.querySelector('input[type=search]');"
        "  input.value = document.querySelector('#differences tbody tr').cells[1].textContent;"
        "  input.dispatchEvent(new Event('input'));"
        "  document.querySelector('table.sortable th:nth-child(2)').click();"
        "  const shown = [...document.querySelectorAll('#differences tbody tr')].filter((r) => !r.hidden);"
        "  const fits = (row) => row.textContent.includes(input.value);"
        "  document.body.dataset.fit = shown.length > 0 && shown.every(fits);"
        "  document.body.dataset.bad = JSON.stringify(bad);"
        "}, 500));</script>"
    )
    (tmp_path / "page.html").write_text(html.replace("<style>", watch + "<style>", 1), encoding="utf-8")
    result = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900", "--virtual-time-budget=5000",
            "--dump-dom", (tmp_path / "page.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    body = re.search(r"<body([^>]*)>", result.stdout)
    assert body is not None, result.stderr[-2000:]
    assert 'data-bad="[]"' in body[1], body[1]
    assert 'data-fit="true"' in body[1], body[1]  # the search found the rows with the word, and no others
    assert result.stdout.count('class="main-svg"') >= html.count('class="chart"')
