"""The pictures of the docs on timelines, from synthetic videos of people whom no model was trained on.

    make demo; .venv/bin/python -m tools.pictures --model demo/run [--work DIR] [--out docs/images]

Draws films of strangers (`tools.timeline_bench`), puts two of them side by side as one video of two people,
runs `videofer timeline` and `videofer app` on them as a user would, and takes the pictures with the system's
Chromium. Everything made lies in DIR (default: a temporary folder) and is used again.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from PIL import Image

from tests.browser import ARGUMENTS, find_chromium
from tools.timeline_bench.material import Film, make_films

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NUM_FILMS = 24
SECONDS = 60.0
FIRST_SEED = 5000
CONDITIONS = ("calm music", "no music", "loud music")
VIDEOFER = [sys.executable, "-c", "from videofer.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of the demo's run")
    parser.add_argument("--work", type=Path, help="folder for films and results; kept")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        work = arguments.work or Path(folder)
        films = make_films(work / "films", num_films=NUM_FILMS, seconds=SECONDS, first_seed=FIRST_SEED)
        pair = side_by_side(films[0], films[1], work / "conversation.mp4")
        arguments.out.mkdir(parents=True, exist_ok=True)
        take_report(arguments.model, pair, work / "one", arguments.out, chromium)
        take_study(arguments.model, films, work, arguments.out, chromium)
        take_app(arguments.model, pair, work / "app", arguments.out, chromium)


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise SystemExit("no Chromium: run tools/browser.sh, or set VIDEOFER_CHROMIUM")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, "--no-sandbox"])


def side_by_side(left: Film, right: Film, path: Path) -> Path:
    """Two films in one picture, with the keypoints of both beside it."""
    if path.exists():
        return path
    tables = [np.load(film.video.with_suffix(".keypoints.npz")) for film in (left, right)]
    part = path.with_suffix(".part.mp4")
    with av.open(left.video) as a, av.open(right.video) as b, av.open(part, "w", format="mp4") as out:
        width = a.streams.video[0].width
        stream = out.add_stream("libx264", 25, options={"crf": "20"})
        stream.width, stream.height = width + b.streams.video[0].width, a.streams.video[0].height
        stream.pix_fmt = "yuv420p"
        for number, pictures in enumerate(zip(a.decode(video=0), b.decode(video=0), strict=False)):
            both = np.hstack([one.to_ndarray(format="rgb24")[: stream.height] for one in pictures])
            frame = av.VideoFrame.from_ndarray(both, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    keypoints = [table["keypoints"] for table in tables]
    num_frames = min(map(len, keypoints))
    keypoints[1] = keypoints[1] + np.array([width, 0, 0], np.float32)
    np.savez_compressed(
        path.with_suffix(".keypoints.npz"),
        keypoints=np.concatenate([table[:num_frames] for table in keypoints], axis=1),
        t_seconds=tables[0]["t_seconds"][:num_frames],
        layout=tables[0]["layout"],
    )
    part.rename(path)
    return path


def take_report(model: Path, video: Path, out: Path, images: Path, chromium: Browser) -> None:
    """The report on a desk and on a phone, and a picture of the annotated video."""
    run("timeline", video, "--model", model, "--out", out, "--pose", "sidecar", "--formats", "html,mp4",
        "--skeleton", "--name", "0=Kim", "--name", "1=Sam")  # fmt: skip
    report = out / "conversation.html"
    desk = open_page(chromium, report.resolve().as_uri(), width=1360, height=1180)
    seek(desk, 20.7)
    keep(desk, images / "timeline_report.png")
    phone = open_page(chromium, report.resolve().as_uri(), width=400, height=860, dark=True)
    seek(phone, 20.7)
    keep(phone, images / "timeline_report_phone.png")
    picture = frame_at(out / "conversation_annotated.mp4", 20.7)
    Image.fromarray(picture).save(images / "timeline_annotated.png", optimize=True)


def take_study(model: Path, films: list[Film], work: Path, images: Path, chromium: Browser) -> None:
    """The index page of many videos."""
    with (work / "about.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["video", "condition", "participant"])
        for number, film in enumerate(films):
            table.writerow([film.video.name, CONDITIONS[number % len(CONDITIONS)], f"P{number + 1:02d}"])
    run("timeline", work / "films", "--model", model, "--out", work / "study", "--pose", "sidecar",
        "--formats", "parquet,html", "--metadata", work / "about.csv", "--group-by", "condition")  # fmt: skip
    page = open_page(chromium, (work / "study" / "index.html").resolve().as_uri(), width=1360, height=1180)
    keep(page, images / "study.png")


def take_app(model: Path, video: Path, folder: Path, images: Path, chromium: Browser) -> None:
    """The app with one video done and one under way."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [*VIDEOFER, "app", "--model", str(model), "--folder", str(folder), "--port", "0",
               "--pose", "none"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
        try:
            assert app.stdout is not None
            address = re.search(r"http://\S+", app.stdout.readline())
            assert address is not None, "the app says where it is"
            page = open_page(chromium, address[0], width=1000, height=760)
            page.set_input_files("#files", video)
            page.locator("li.video.done").wait_for(timeout=300_000)
            page.set_input_files("#files", {**upload(video), "name": "second conversation.mp4"})
            page.locator("li.video.working .facts", has_text="faces").wait_for()
            page.locator("#folder").evaluate("place => { place.textContent = place.textContent.replace("
                                             "/lie in .*?\\. /, 'lie in ~/videofer-app. '); }")  # fmt: skip
            keep(page, images / "timeline_app.png")
        finally:
            app.terminate()


def upload(video: Path) -> dict[str, Any]:
    """A file as Playwright hands it to a page."""
    return {"mimeType": "video/mp4", "buffer": video.read_bytes()}


def run(*arguments: object) -> None:
    """`videofer ...`, as a user would; its own report on failure."""
    subprocess.run([*VIDEOFER, *map(str, arguments)], check=True)


def open_page(chromium: Browser, address: str, *, width: int, height: int, dark: bool = False) -> Page:
    """A page, loaded."""
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if width < 500 else 1,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(address, wait_until="load")
    page.wait_for_timeout(500)
    return page


def seek(page: Page, seconds: float) -> None:
    """Show a time of the report."""
    page.evaluate(f"location.hash = 't={seconds}'")
    page.wait_for_timeout(1000)


def frame_at(video: Path, seconds: float) -> np.ndarray:
    """(h, w, 3) uint8 RGB of the picture shown at a time."""
    with av.open(video) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time + 0.04 > seconds:
                return np.asarray(frame.to_ndarray(format="rgb24"))
    raise ValueError(f"{video} ends before {seconds} s")


def keep(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    with Image.open(path) as picture:  # 256 colours are enough for a page and a third of the bytes
        picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main()
