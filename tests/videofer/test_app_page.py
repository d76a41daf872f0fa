"""The app as a person uses it: drop a video into the page, see the report, download, delete."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import skimage

from preprocessing.spec import PreprocessSpec
from tests.browser import Browse, accessibility_faults, scrolls_sideways, wait_until
from tests.videofer.app_server import Served, served
from tests.videofer.timeline_helpers import make_model
from videofer.app.analysis import Plan, analyse
from videofer.study.products import ProductOptions
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.timeline import Timeline

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> =cmd &amp; 'quote'.mp4"


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a face that moves a little, with sound."""
    path = tmp_path_factory.mktemp("portrait") / "portrait.mp4"
    face = skimage.data.astronaut()[0:256, 96:352]
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", 25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 256, 256, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.roll(face, number // 5, axis=1), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A small untrained model of faces behind all that the app does."""
    spec = PreprocessSpec(faces="mtcnn", crop_size=48)
    model = replace(make_model("face"), contract=spec.contract())
    formats = ("csv", "parquet", "eaf", "html", "mp4")
    return Plan(
        model=model, spec=spec, settings=TimelineSettings(), formats=formats, options=ProductOptions()
    )


@pytest.fixture
def app(tmp_path: Path, plan: Plan) -> Iterator[Served]:
    with served(tmp_path / "app", lambda video, folder, report: analyse(plan, video, folder, report)) as it:
        yield it


def wait_for_report(page: Page) -> None:
    page.locator("li.video.done, li.video.failed").wait_for(timeout=120_000)
    assert page.locator("li.video.failed .facts").all_inner_texts() == []


def test_an_upload_of_a_real_video_ends_in_a_report(
    app: Served, browse: Browse, portrait: Path, tmp_path: Path
) -> None:
    page = browse.open(app.address)
    assert page.url == f"http://127.0.0.1:{app.port}/", "the key left the address bar"
    page.get_by_text("appears here").wait_for()
    assert accessibility_faults(page) == []
    page.set_input_files("#files", portrait)
    wait_for_report(page)
    assert page.locator("li .name").inner_text() == "portrait.mp4"
    assert accessibility_faults(page) == []
    browse.keep(page, "app-done")

    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open report").click()
    report = opened.value
    report.wait_for_load_state()
    wait_until(report, "document.querySelector('video').readyState >= 2")
    assert "portrait" in report.title()
    browse.keep(report, "app-report")

    page.get_by_text("Files", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="portrait.parquet").click()
    download.value.save_as(tmp_path / "it.parquet")
    timeline = Timeline.load(tmp_path / "it.parquet")
    assert timeline.video.name == "portrait.mp4" and timeline.duration_seconds == pytest.approx(2.0)
    assert len(timeline.persons) == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as parcel:
        suffixes = {Path(name).suffix for name in parcel.namelist()}
        assert {".csv", ".parquet", ".eaf", ".html", ".mp4"} <= suffixes

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete portrait.mp4").click()
    page.locator("li.video").wait_for(state="detached")
    assert [path.name for path in app.library.folder.iterdir() if path.is_dir()] == []


def test_a_hostile_name_is_only_a_name(app: Served, browse: Browse, portrait: Path) -> None:
    page = browse.open(app.address)
    page.evaluate("() => { window.alert = () => { window.attacked = true; }; }")
    page.set_input_files(
        "#files", {"name": HOSTILE, "mimeType": "video/mp4", "buffer": portrait.read_bytes()}
    )
    wait_for_report(page)
    assert page.locator("li .name").inner_text() == HOSTILE
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open report").click()
    opened.value.wait_for_load_state()
    assert not page.evaluate("Boolean(window.attacked)")
    assert opened.value.locator("img[src=x]").count() == 0


def test_what_is_no_video_is_said_on_the_page(app: Served, browse: Browse) -> None:
    page = browse.open(app.address)
    page.set_input_files("#files", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"})
    page.get_by_role("alert").wait_for()
    assert "notes.txt is no video" in page.get_by_role("alert").inner_text()
    assert page.locator("li.video").count() == 0
    browse.complaints = [
        one for one in browse.complaints if "415" not in one
    ]  # the browser notes the refusal


def test_files_dropped_onto_the_page_are_taken(app: Served, browse: Browse, portrait: Path) -> None:
    page = browse.open(app.address)
    data = list(portrait.read_bytes())
    page.evaluate(
        """([data]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "dropped.mp4", { type: "video/mp4" }));
            const drop = document.getElementById("drop");
            drop.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
        }""",
        [data],
    )
    wait_for_report(page)
    (item,) = app.library.items()
    assert item.name == "dropped.mp4"
    told = json.loads((app.library.path(item.id) / "item.json").read_text())
    assert told["state"] == "done" and told["report"] == "dropped.html"


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_for_phones_and_for_the_dark(app: Served, browse: Browse, dark: bool) -> None:
    page = browse.open(app.address, width=360, height=740, touch=True, dark=dark)
    page.get_by_text("appears here").wait_for()
    assert not scrolls_sideways(page) and accessibility_faults(page) == []
    browse.keep(page, f"app-phone-{'dark' if dark else 'light'}")
