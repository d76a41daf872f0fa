"""Products of one timeline: every format, in places that harm nobody, and no face that may not be seen."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from cache.errors import UserError
from cache.reader import StoreReader
from tests.videofer.overlay_helpers import face_video, store_of, timeline_of
from tests.videofer.several_examples import several_timeline
from tests.videofer.small_store import make_store
from tests.videofer.timeline_examples import example_timeline
from tests.videos import write_video
from videofer.formats.write import FORMATS
from videofer.study.products import (
    ProductOptions,
    faces_of,
    focus_of,
    wanted_formats,
    write_products,
)
from videofer.timeline.timeline import Timeline


@pytest.fixture
def reader(tmp_path: Path) -> StoreReader:
    return StoreReader(make_store(tmp_path / "S", ["v.mp4"], num_frames=300).path)


@pytest.fixture
def timeline() -> Timeline:
    """12 s, as the video of the store has; two persons, of whom the store knows the first."""
    made = example_timeline(num_persons=2)
    return replace(made, video=replace(made.video, width=64, height=48))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.mp4", pts=tuple(range(300)))


def test_every_format_is_written_beside_the_original(timeline: Timeline, video: Path) -> None:
    before = video.read_bytes()
    shares: list[float] = []
    paths = write_products(timeline, video.parent, "v", ["all"], media=video, on_progress=shares.append)
    assert video.read_bytes() == before  # STEM.mp4 is the original here
    names = {path.name for path in paths}
    assert {
        "v.csv",
        "v.parquet",
        "v.eaf",
        "v.TextGrid",
        "v.vtt",
        "v.png",
        "v.html",
        "v_annotated.mp4",
    } <= names
    assert all(path.stat().st_size > 0 for path in paths) and len(paths) >= len(FORMATS)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_every_format_is_written_of_several_classes_at_once(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", pts=range(60), size_wh=(640, 360))
    timeline = several_timeline()
    short = replace(timeline, video=replace(timeline.video, duration_seconds=2.4))
    paths = write_products(short, tmp_path / "out", "talk", FORMATS, media=film)
    assert len(paths) == len(FORMATS) + 1  # BIDS has two files
    assert all(path.stat().st_size for path in paths)


def test_only_videos_are_drawn_upon(timeline: Timeline, tmp_path: Path) -> None:
    still = replace(timeline, video=replace(timeline.video, kind="image"))
    paths = write_products(still, tmp_path, "v", ["csv", "html", "mp4"], media=tmp_path / "v.png")
    assert [path.name for path in paths] == ["v.csv", "v.html"]


def test_an_unknown_format_is_refused(timeline: Timeline, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="format 'docx' is unknown"):
        write_products(timeline, tmp_path, "v", ["csv", "docx"])
    assert not list(tmp_path.glob("v.*"))


def test_skeletons_ask_for_the_annotated_video() -> None:
    assert wanted_formats(["csv"], ProductOptions()) == ("csv",)
    assert wanted_formats(["csv"], ProductOptions(blur="all")) == ("csv",)
    assert wanted_formats(["csv", "html"], ProductOptions(skeleton=True)) == ("csv", "html", "mp4")


def test_the_focus_is_who_is_there_longest(timeline: Timeline) -> None:
    nobody = example_timeline(num_persons=0)
    assert focus_of(nobody, ProductOptions(blur="others")) is None
    assert focus_of(timeline, ProductOptions(blur="others")) == 0
    assert focus_of(timeline, ProductOptions(blur="others", focus=1)) == 1
    assert focus_of(timeline, ProductOptions(blur="all")) is None
    with pytest.raises(UserError, match=r"person 7 is to be seen, but the persons are 0, 1$"):
        focus_of(timeline, ProductOptions(blur="others", focus=7))
    with pytest.raises(UserError, match="person 0 is to be seen, but nobody is there"):
        focus_of(nobody, ProductOptions(blur="others", focus=0))


def test_faces_are_those_that_may_be_seen(timeline: Timeline, reader: StoreReader) -> None:
    shown = replace(timeline, video=replace(timeline.video, key=reader.videos()[0].key))
    assert set(faces_of(shown, reader, ProductOptions()) or {}) == {0}
    assert set(faces_of(shown, reader, ProductOptions(blur="others")) or {}) == {0}
    assert not faces_of(shown, reader, ProductOptions(blur="others", focus=1))
    assert faces_of(shown, reader, ProductOptions(blur="all")) is None
    assert faces_of(shown, None, ProductOptions()) is None


def test_with_blur_the_report_has_nothing_of_the_original(tmp_path: Path) -> None:
    media = face_video(tmp_path / "face.mp4", 20)
    reader = store_of(tmp_path / "S", media)
    timeline = timeline_of(reader, reader.videos()[0].key)
    pictures = base64.b64encode(media.read_bytes()).decode()[4000:4400]

    (page,) = write_products(timeline, tmp_path / "open", "face", ["html"], media=media, reader=reader)
    text = page.read_text(encoding="utf-8")
    assert pictures in text and "faces-0" in text

    options = ProductOptions(blur="all")
    paths = write_products(
        timeline, tmp_path / "blurred", "face", ["html"], media=media, reader=reader, options=options
    )
    text = next(path for path in paths if path.suffix == ".html").read_text(encoding="utf-8")
    assert pictures not in text and "faces-0" not in text and media.as_uri() not in text
    (film,) = (path for path in paths if path.suffix == ".mp4")
    assert film.name == "face_blurred.mp4"
    assert base64.b64encode(film.read_bytes()).decode()[4000:4400] in text


def test_films_and_pages_of_others_are_kept_and_ours_made_anew(timeline: Timeline, video: Path) -> None:
    theirs = ["v_annotated.mp4", "v.html", "v.png", "v_proxy.mp4"]
    for name in theirs:
        (video.parent / name).write_bytes(b"theirs")
    for _ in range(2):
        write_products(
            timeline, video.parent, "v", ["mp4", "html", "png"], media=video,
            options=ProductOptions(video="proxy"),
        )  # fmt: skip
    assert {path.name for path in video.parent.glob("*.[0-9]")} == {f"{name}.1" for name in theirs}
    assert all((video.parent / f"{name}.1").read_bytes() == b"theirs" for name in theirs)


def test_without_a_video_in_the_report_no_blurred_one_is_made(tmp_path: Path) -> None:
    media = face_video(tmp_path / "face.mp4", 5)
    reader = store_of(tmp_path / "S", media)
    timeline = timeline_of(reader, reader.videos()[0].key)
    options = ProductOptions(blur="all", video="none")
    paths = write_products(
        timeline, tmp_path / "T", "face", ["html"], media=media, reader=reader, options=options
    )
    assert [path.name for path in paths] == ["face.html"]
    assert list((tmp_path / "T").iterdir()) == paths
