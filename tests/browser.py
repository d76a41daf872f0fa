"""Fixtures that drive a real Chromium as a person would: pages that complain or call out fail the test.

    def test_it(browse: Browse) -> None:
        page = browse.open(path_or_url, width=390, touch=True, dark=True)   # a Playwright page
        page.get_by_role("button", name="Play").click()
        browse.keep(page, "playing")                                        # a screenshot

When the test ends, it fails if any page wrote an error or a warning to the console, threw, or asked for
anything but its own file, `data:`, `blob:` and this machine. Screenshots go to $VIDEOFER_SCREENSHOTS, or to
the tests' temporary folder. The browser is the system's ($VIDEOFER_CHROMIUM, or what PATH has);
tools/browser.sh installs one where it may. Without one these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL_SCHEMES = ("file", "data", "blob", "about")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
ARGUMENTS = (
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
    # Chromium itself must not call anywhere either: names outside this machine do not resolve.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
ACCESSIBILITY_JS = Path(__file__).with_name("accessibility.js")


def find_chromium() -> str | None:
    """Path of the browser, or None."""
    return os.environ.get("VIDEOFER_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser a module: Playwright's event loop would be in the way of other modules' own."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: run tools/browser.sh as root on Debian or Ubuntu, or set VIDEOFER_CHROMIUM")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is missing: pip install playwright"
    )
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=list(ARGUMENTS), chromium_sandbox=not is_root
        )
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Browser, screenshots: Path) -> Iterator[Browse]:
    """Opens pages; fails the test at its end if one of them complained or called out."""
    session = Browse(chromium, screenshots)
    yield session
    session.close()
    assert session.complaints == []


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of pages are kept."""
    chosen = os.environ.get("VIDEOFER_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Browse:
    """Pages under watch. `complaints` lists what they did that they should not."""

    def __init__(self, browser: Browser, screenshots: Path) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []  # addresses asked for, in order, `data:` and `blob:` apart
        self._browser, self._screenshots = browser, screenshots
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        target: Path | str,
        *,
        width: int = 1280,
        height: int = 800,
        scale: float = 1.0,
        touch: bool = False,
        dark: bool = False,
        calm: bool = True,
        before: str | None = None,
        **context_options: Any,
    ) -> Page:
        """A page that shows a file or an address, loaded.

        width, height: of the window in CSS pixels; scale: device pixels of one. touch: a phone. dark: the
        reader's system is dark. calm: the reader wants no motion. before: JavaScript that runs first.
        """
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            has_touch=touch,
            is_mobile=touch,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if calm else "no-preference",
            **context_options,
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        context.route("**/*", self._judge)
        context.on("console", self._listen)
        context.on("weberror", lambda error: self.complaints.append(f"thrown: {error.error}"))
        page = context.new_page()
        page.on("crash", lambda _: self.complaints.append("the page crashed"))
        if before is not None:
            page.add_init_script(before)
        page.goto(target.resolve().as_uri() if isinstance(target, Path) else target, wait_until="load")
        return page

    def keep(self, page: Page, name: str, *, whole: bool = False) -> Path:
        """Keep a picture of what the window shows, or of the whole page, as NAME.png."""
        path = self._screenshots / f"{name}.png"
        page.screenshot(path=path, full_page=whole)
        return path

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _judge(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in LOCAL_SCHEMES or address.hostname in LOOPBACK:
            self.requests.append(route.request.url)
            route.continue_()
        else:
            self.complaints.append(f"asked the network for {route.request.url}")
            route.abort()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{message.type}: {message.text}")


def accessibility_faults(page: Page) -> list[str]:
    """What keeps people out, one line each: see tests/accessibility.js for the rules."""
    faults: list[str] = page.evaluate(ACCESSIBILITY_JS.read_text(encoding="utf-8"))
    return faults


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    wider: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider


def wait_until(page: Page, condition: str, *, seconds: float = 20.0) -> None:
    """Wait for a JavaScript expression to be true; pages with a policy forbid Playwright's own polling."""
    for _ in range(int(seconds / 0.02)):
        if page.evaluate(f"Boolean({condition})"):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"not true within {seconds} s: {condition}")
