"""How a report gets its video: what browsers play as it is, and the small copy with the same times."""

from __future__ import annotations

import base64
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

import av
import pytest

from cache.errors import UserError
from tests.videofer.timeline_examples import example_timeline
from tests.videos import write_audio, write_video
from videofer.report import video as video_module
from videofer.report.playable import damage_of, playability
from videofer.report.proxy import MAX_SIDE, write_proxy
from videofer.report.video import VideoMode, address_of, show_video
from videofer.report.write import write_report

ROTATED = (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)
B_FRAMES = {"bf": "3", "preset": "medium"}
VARIABLE = (0, 3, 4, 5, 11, 12, 20, 21, 22, 40)


def nothing(share: float) -> None:
    assert 0 <= share <= 1


def times_of(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        return sorted(frame.pts * frame.time_base for frame in container.decode(video=0))


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("a.mp4", {}, ""),
        ("a.mp4", {"audio_start_seconds": Fraction(0)}, ""),
        ("a.webm", {"codec": "libvpx-vp9"}, ""),
        ("a.mkv", {}, "browsers do not open Matroska"),
        ("a.mov", {}, "browsers do not open QuickTime"),
        ("a.avi", {"codec": "mpeg4"}, "browsers do not open AVI"),
        ("a.ts", {"container_format": "mpegts"}, "browsers do not open MPEGTS"),
        ("a.mp4", {"codec": "mpeg4"}, "not every browser plays mpeg4"),
        ("a.mp4", {"codec": "libx265"}, "not every browser plays hevc"),
        ("a.mp4", {"pix_fmt": "yuv444p"}, "browsers do not play the pixel format yuv444p"),
        ("a.mp4", {"pts": range(250, 260)}, "it starts at 10.000 s"),
        ("a.mp4", {"display_matrix": ROTATED}, "the pictures lie on their side"),
        ("a.mp4", {"second_size_wh": (32, 32)}, "it has several video streams"),
        ("a.mp4", {"pts": range(40), "codec_options": B_FRAMES}, ""),
        ("a.mp4", {"pts": VARIABLE}, ""),
        ("a.mp4", {"pts": VARIABLE * 1, "codec_options": B_FRAMES}, "browsers seek badly"),
    ],
)  # fmt: skip
def test_what_browsers_play(tmp_path: Path, name: str, options: dict, reason: str) -> None:  # type: ignore[type-arg]
    found = playability(write_video(tmp_path / name, **options))
    assert found.is_playable == (not reason)
    assert found.reason.startswith(reason)
    assert found.has_sound == ("audio_start_seconds" in options)


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(UserError, match=r"a\.mp4: not a video"):
        playability(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="no video stream"):
        playability(write_audio(tmp_path / "b.m4a"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("constant.avi", {"codec": "mpeg4", "pts": range(30)}),
        ("variable.mkv", {"pts": VARIABLE}),
        ("late.mp4", {"pts": [250 + p for p in VARIABLE]}),
        ("b_frames.ts", {"container_format": "mpegts", "pts": range(40), "codec_options": B_FRAMES}),
    ],
)  # fmt: skip
def test_a_copy_has_the_same_times(tmp_path: Path, name: str, options: dict) -> None:  # type: ignore[type-arg]
    source = write_video(tmp_path / name, **options)
    proxy = write_proxy(source, tmp_path / "proxy.mp4", on_progress=nothing)
    before = times_of(source)
    after = times_of(proxy.path)
    assert [float(t) for t in after] == pytest.approx([float(t - before[0]) for t in before], abs=1e-6)
    assert playability(proxy.path).is_playable
    assert proxy.num_bytes == proxy.path.stat().st_size and not proxy.has_sound


def test_a_copy_is_small_upright_and_has_the_sound(tmp_path: Path) -> None:
    source = write_video(
        tmp_path / "a.mov", size_wh=(1280, 720), display_matrix=ROTATED, pts=range(5),
        audio_start_seconds=Fraction(0),
    )  # fmt: skip
    proxy = write_proxy(source, tmp_path / "proxy.mp4")
    assert (proxy.width, proxy.height) == (480, MAX_SIDE)
    assert proxy.has_sound
    with av.open(proxy.path) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (480, MAX_SIDE)


def test_a_copy_of_what_does_not_decode_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\x00" * 100)
    with pytest.raises(UserError):
        write_proxy(tmp_path / "a.mp4", tmp_path / "proxy.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_small_videos_are_embedded_large_ones_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_video(tmp_path / "a b#1.mp4")
    page = tmp_path / "out" / "a.html"
    page.parent.mkdir()
    small = show_video(source, page, "auto", nothing)
    assert (small.kind, small.content, small.files) == ("embedded", source.read_bytes(), ())
    monkeypatch.setattr(video_module, "EMBED_BYTES", 100)
    large = show_video(source, page, "auto", nothing)
    assert (large.kind, large.address, large.content) == ("linked", "./../a%20b%231.mp4", b"")
    assert show_video(source, page, "embed", nothing).kind == "embedded"
    assert show_video(source, page, "link", nothing).kind == "linked"
    monkeypatch.setattr(video_module, "MAX_EMBED_BYTES", 100)
    with pytest.raises(UserError, match="a page holds at most"):
        show_video(source, page, "embed", nothing)


def test_what_browsers_do_not_play_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_video(tmp_path / "a.avi", codec="mpeg4")
    page = tmp_path / "a.html"
    inside = show_video(source, page, "auto", nothing)
    assert inside.kind == "embedded" and inside.mime == "video/mp4" and inside.content[4:8] == b"ftyp"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi"]
    assert "browsers do not open AVI" in inside.note
    beside = show_video(source, page, "link", nothing)
    assert (beside.kind, beside.address) == ("linked", "./a_proxy.mp4")
    assert beside.files == (tmp_path / "a_proxy.mp4",) and beside.files[0].is_file()
    monkeypatch.setattr(video_module, "EMBED_BYTES", 100)
    assert show_video(source, page, "auto", nothing).kind == "linked"


@pytest.mark.parametrize(("mode", "kind"), [("auto", "embedded"), ("embed", "embedded"), ("link", "linked")])
def test_what_is_damaged_is_copied(tmp_path: Path, mode: VideoMode, kind: str) -> None:
    source = write_video(tmp_path / "a.mp4")
    damage = "not all of the original could be decoded"
    whole = show_video(source, tmp_path / "a.html", mode, nothing)
    copied = show_video(source, tmp_path / "a.html", mode, nothing, damage=damage)
    assert whole.kind == copied.kind == kind
    assert damage in copied.note and damage not in whole.note
    assert (tmp_path / "a_proxy.mp4").is_file() == (kind == "linked")


def test_what_tells_of_damage() -> None:
    sound = example_timeline()
    assert damage_of(sound) == ""
    warned = replace(sound, provenance={**sound.provenance, "warnings": ["1 packets lost: invalid"]})
    rows = sound.rows.assign(state=["not_decoded", *sound.rows["state"][1:]])
    for damaged in (warned, replace(sound, rows=rows)):
        assert "could be decoded" in damage_of(damaged)
        still = replace(damaged, video=replace(damaged.video, kind="image"))
        assert damage_of(still) == "", "there is no film to copy"


@pytest.mark.parametrize("is_original", [True, False])
def test_only_the_original_is_damaged(tmp_path: Path, is_original: bool) -> None:
    """A film that was made of it, with faces blurred, plays as it is."""
    source = write_video(tmp_path / "a.mp4")
    timeline = replace(example_timeline(), provenance={"warnings": ["1 packets lost: invalid"]})
    (page,) = write_report(timeline, tmp_path / "a.html", media=source, is_original=is_original)
    content = base64.b64encode(source.read_bytes()).decode()
    assert (content in page.read_text()) == (not is_original)


def test_a_copy_on_demand(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", size_wh=(1280, 720), pts=range(3))
    shown = show_video(source, tmp_path / "a.html", "proxy", nothing)
    assert shown.kind == "embedded" and shown.content != source.read_bytes()


def test_no_video(tmp_path: Path) -> None:
    assert show_video(None, tmp_path / "a.html", "auto", nothing).kind == "none"
    assert show_video(write_video(tmp_path / "a.mp4"), tmp_path / "a.html", "none", nothing).kind == "none"
    with pytest.raises(UserError, match="no such file"):
        show_video(tmp_path / "gone.mp4", tmp_path / "a.html", "auto", nothing)


@pytest.mark.parametrize(
    "name", ["javascript:alert(1).mp4", "a?b=c&d.mp4", "100%.mp4", "ä 日本.mp4", "'\".mp4"]
)
def test_addresses_are_paths_and_nothing_else(tmp_path: Path, name: str) -> None:
    address = address_of(tmp_path / "videos" / name, tmp_path / "out")
    assert address.startswith("./../videos/") and unquote(address) == f"./../videos/{name}"
    assert not set(address) & set("?#:\"' <>&")
