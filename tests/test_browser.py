"""The fixtures that drive a browser: a page that complains, throws or calls out is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import Browse, accessibility_faults, scrolls_sideways

pytestmark = pytest.mark.browser

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>good</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>Good</h1><label>Name <input></label><button style="height:30px">Go</button></main></body>
</html>"""


def page_of(folder: Path, html: str) -> Path:
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    return path


def test_a_good_page_passes(browse: Browse, tmp_path: Path) -> None:
    page = browse.open(page_of(tmp_path, GOOD))
    assert accessibility_faults(page) == []
    assert not scrolls_sideways(page)
    assert browse.keep(page, "browser-fixture").stat().st_size > 0
    assert browse.requests == [(tmp_path / "page.html").as_uri()]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('oh')</script>", "error: oh"),
        ("<script>console.warn('hm')</script>", "warning: hm"),
        ("<script>setTimeout(() => { throw new Error('thrown late') })</script>", "thrown late"),
        ("<script>Promise.reject(new Error('nobody waits'))</script>", "nobody waits"),
        ("<img src='http://example.org/x.png' alt=''>", "asked the network for http://example.org/x.png"),
        ("<script>fetch('https://10.0.0.1/').catch(() => 0)</script>", "network for https://10.0.0.1/"),
        ("<meta http-equiv=Content-Security-Policy content=script-src><script>1</script>", "error: "),
    ],
)  # fmt: skip
def test_what_a_page_does_wrong_is_caught(browse: Browse, tmp_path: Path, body: str, complaint: str) -> None:
    page = browse.open(page_of(tmp_path, GOOD.replace("<main>", "<main>" + body)))
    page.wait_for_timeout(100)
    assert any(complaint in line for line in browse.complaints), browse.complaints
    browse.complaints.clear()


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<button style='width:40px;height:40px'></button>", "has no name"),
        ("<input>", "has no name"),
        ("<img src='data:,'>", "has no alt"),
        ("<p style='color:#999;background:#fff'>pale</p>", "contrast 2.8"),
        ("<h3>jump</h3>", "heading jumps from 1 to 3"),
        ("<p id=a>1</p><p id=a>2</p>", "#a: twice"),
        ("<button style='height:12px'>x</button>", "target of"),
        ("<p tabindex=3>first</p>", "tabindex above 0"),
        (
            "<div aria-hidden=true><button style='height:30px'>two</button></div>",
            "focus inside of aria-hidden",
        ),
        ("<p aria-labelledby=none>x</p>", "points at nothing"),
    ],
)
def test_each_rule_of_accessibility_has_its_fault(
    browse: Browse, tmp_path: Path, body: str, fault: str
) -> None:
    page = browse.open(page_of(tmp_path, GOOD.replace("</main>", body + "</main>")))
    found = accessibility_faults(page)
    assert len(found) == 1 and fault in found[0], found
    browse.complaints.clear()  # `data:,` is no picture


def test_a_wide_page_scrolls_sideways(browse: Browse, tmp_path: Path) -> None:
    wide = GOOD.replace("<h1>", "<div style='width:500px'>x</div><h1>")
    page = browse.open(page_of(tmp_path, wide), width=390, touch=True)
    assert scrolls_sideways(page)


def test_dark_and_calm_reach_the_page(browse: Browse, tmp_path: Path) -> None:
    path = page_of(tmp_path, GOOD)
    asks = "(query) => matchMedia(query).matches"
    assert browse.open(path, dark=True).evaluate(asks, "(prefers-color-scheme: dark)")
    assert browse.open(path).evaluate(asks, "(prefers-color-scheme: light)")
    assert browse.open(path).evaluate(asks, "(prefers-reduced-motion: reduce)")
    assert not browse.open(path, calm=False).evaluate(asks, "(prefers-reduced-motion: reduce)")
