"""MP4 files at exact media times: the pictures, clocks, turns, colours and sound of real encoded videos."""

from __future__ import annotations

import errno
import hashlib
import resource
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cache.errors import UserError
from tests.browser import Browse
from tests.videos import numbered_picture, truncate, write_audio, write_video
from videofer.overlay.encode import Mp4Writer
from videofer.overlay.footage import Footage, Picture

TURN_90 = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def rewrite(source: Path, out: Path, **options: Any) -> list[tuple[Fraction, Fraction]]:
    """Through the writer, unchanged; the times of the pictures."""
    footage = Footage.open(source)
    width, height = footage.even_size
    times = []
    with Mp4Writer(out, width=width, height=height, footage=footage, **options) as writer:
        for picture in footage.pictures():
            writer.write(picture.planes, picture.t_start, picture.t_end)
            times.append((picture.t_start, picture.t_end))
    return times


@pytest.mark.parametrize("early", [True, False])
def test_an_error_of_writing_names_the_film(tmp_path: Path, early: bool) -> None:
    """As libav says it, of the hidden file that takes the name at the end."""
    source = write_video(tmp_path / "in.mp4")
    out = tmp_path / "out.mp4"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    footage = Footage.open(source)
    try:
        with (
            pytest.raises(OSError, match="File too large") as caught,
            Mp4Writer(
                out, width=footage.even_size[0], height=footage.even_size[1], footage=footage
            ) as writer,
        ):
            for picture in footage.pictures():
                writer.write(picture.planes, picture.t_start, picture.t_end)
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
            if early:
                raise OSError(errno.EFBIG, "File too large", str(writer._temp))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert caught.value.filename == str(out)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def pictures_of(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """(file's own time, RGB) of every picture, as FFmpeg tells them: not our own reading."""
    with av.open(path) as container:
        return [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


def number_in(rgb: np.ndarray) -> int:
    """The number that `numbered_picture` gave a picture."""
    height, width = rgb.shape[:2]
    blue = float(rgb[height // 2 :, width // 2 :, 2].mean())
    means = [numbered_picture(n, width, height)[height // 2 :, width // 2 :, 2].mean() for n in range(16)]
    return int(np.argmin(np.abs(np.array(means) - blue)))


@pytest.mark.parametrize(
    ("pts", "time_base"),
    [
        ((0, 1, 2, 3, 4, 5), Fraction(1, 25)),
        ((0, 400, 450, 3000, 3100, 9000), Fraction(1, 15360)),  # variable
        ((1000, 1040, 1080, 1500, 2600, 2601), Fraction(1, 100)),  # starts at 10 s
        ((900000, 903003, 906006, 909009), Fraction(1, 90000)),
        ((0, 1, 2, 3), Fraction(1001, 30000)),
    ],
)
def test_every_picture_lies_at_its_media_time(tmp_path: Path, pts: Any, time_base: Fraction) -> None:
    source = write_video(tmp_path / "in.mkv" if time_base.numerator > 1 else tmp_path / "in.mp4", pts=pts,
                         time_base=time_base)  # fmt: skip
    rewrite(source, tmp_path / "out.mp4")
    before, after = pictures_of(source), pictures_of(tmp_path / "out.mp4")
    assert [t for t, _ in after] == [t - before[0][0] for t, _ in before]
    assert [number_in(rgb) for _, rgb in after] == list(range(len(pts)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(1, 40_000), min_size=1, max_size=12),
    start=st.integers(0, 1 << 24),
    hertz=st.sampled_from([24, 1000, 12_800, 44_100, 90_000, 1_000_000]),
)
@example(steps=[1, 58, 1, 28, 27], start=0, hertz=24)
def test_any_times_come_back_to_the_tick(tmp_path: Path, steps: list[int], start: int, hertz: int) -> None:
    pts = [start, *(start + np.cumsum(steps)).tolist()]
    source = write_video(tmp_path / "in.mp4", pts=pts, time_base=Fraction(1, hertz), size_wh=(32, 32))
    times = rewrite(source, tmp_path / "out.mp4")
    assert [t for t, _ in times] == [Fraction(value - start, hertz) for value in pts]
    assert [t for t, _ in pictures_of(tmp_path / "out.mp4")] == [t for t, _ in times]


@pytest.mark.parametrize("start_seconds", [0, 10])  # of the whole file
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_pictures_that_start_after_the_sound_keep_their_distance(
    tmp_path: Path, suffix: str, start_seconds: int
) -> None:
    first = 25 * start_seconds + 13
    source = write_video(
        tmp_path / f"in.{suffix}", pts=range(first, first + 20), audio_start_seconds=Fraction(start_seconds),
        size_wh=(64, 48),
    )  # fmt: skip
    times = rewrite(source, tmp_path / "out.mp4")
    with av.open(source) as one, av.open(tmp_path / "out.mp4") as other:
        sounds = [next(one.decode(audio=0)), next(other.decode(audio=0))]
        audio_before, audio_after = (frame.pts * frame.time_base for frame in sounds)
    first_before, first_after = pictures_of(source)[0][0], pictures_of(tmp_path / "out.mp4")[0][0]
    assert first_after == times[0][0]
    assert abs((first_after - audio_after) - (first_before - audio_before)) <= Fraction(1, 8000)
    assert 0.35 < first_after < 0.7


@pytest.mark.browser
@pytest.mark.parametrize(
    "pts", [range(13, 60), (13, 14, 15, 21, 22, 30, 31, 32, 33, 40, 47, 48, 50, 51, 56, 58)]
)
def test_a_browser_shows_the_picture_of_the_second_asked_for(
    tmp_path: Path, browse: Browse, pts: Any
) -> None:
    """Pictures that start after the sound, at even and uneven steps: Chromium shows what media time says."""
    source = write_video(tmp_path / "in.mp4", pts=pts, audio_start_seconds=Fraction(0))
    times = [float(t) for t, _ in rewrite(source, tmp_path / "out.mp4")]
    page_file = tmp_path / "page.html"
    page_file.write_text("<!doctype html><title>t</title><video id=v muted src=out.mp4></video>")
    page = browse.open(page_file)
    asked = [0.53, 0.7, 0.85, 1.05, 1.3, 1.55, 2.21, 1.9, 0.61]
    shown = page.evaluate(
        """async (asked) => {
            const video = document.getElementById("v"), shown = [];
            if (video.readyState < 2) await new Promise(done => video.onloadeddata = done);
            for (const t of asked) {
                const frame = new Promise(done => video.requestVideoFrameCallback((_, facts) => done(facts)));
                video.currentTime = t;
                shown.push((await frame).mediaTime);
            }
            return shown;
        }""",
        asked,
    )
    expected = [max(t for t in times if t <= at + 1e-9) for at in asked]
    assert shown == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("rotated", [False, True])
def test_pictures_stand_upright(tmp_path: Path, rotated: bool) -> None:
    source = write_video(tmp_path / "in.mov", display_matrix=TURN_90 if rotated else None)
    rewrite(source, tmp_path / "out.mp4")
    picture = pictures_of(tmp_path / "out.mp4")[0][1].astype(int)
    expected = numbered_picture(0).astype(int)
    if rotated:
        expected = np.rot90(expected, 1 if picture[-4, 3, 0] > 200 else -1)
    assert picture.shape == expected.shape
    assert np.abs(picture - expected).mean() < 6
    with av.open(tmp_path / "out.mp4") as container:
        assert next(container.decode(video=0)).rotation == 0  # turned, not only said to be


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size_wh", "suffix"),
    [
        ("libx264", "yuv420p", (63, 47), "mkv"),
        ("libx264", "yuv444p", (63, 47), "mp4"),
        ("libx264", "yuv420p10le", (64, 48), "mp4"),
        ("libx264", "yuv422p", (64, 48), "mp4"),
        ("libx265", "yuv420p", (64, 64), "mp4"),
        ("mpeg4", "yuv420p", (63, 47), "avi"),
        ("mpeg2video", "yuv420p", (62, 46), "mpg"),
        ("ffv1", "yuva420p", (64, 48), "mkv"),
        ("ffv1", "gray", (64, 48), "mkv"),
        ("png", "rgb24", (63, 47), "mov"),
        ("mjpeg", "yuvj420p", (63, 47), "avi"),
    ],
)
def test_any_codec_size_and_format_looks_the_same(
    tmp_path: Path, codec: str, pix_fmt: str, size_wh: tuple[int, int], suffix: str
) -> None:
    even = tuple(side + side % 2 for side in size_wh)
    if codec == "libx264" and pix_fmt == "yuv420p":  # that codec cannot hold odd sides either
        codec = "ffv1"
    options = {"x265-params": "log-level=none"} if codec == "libx265" else None
    source = write_video(tmp_path / f"in.{suffix}", codec=codec, pix_fmt=pix_fmt, size_wh=size_wh,
                         codec_options=options)  # fmt: skip
    rewrite(source, tmp_path / "out.mp4")
    before, after = pictures_of(source), pictures_of(tmp_path / "out.mp4")
    assert len(before) == len(after)
    assert after[0][1].shape[1::-1] == even
    cut = after[0][1][: size_wh[1], : size_wh[0]].astype(int)
    assert np.abs(cut - before[0][1].astype(int)).mean() < 5
    with av.open(tmp_path / "out.mp4") as container:
        codec_context = container.streams.video[0].codec_context
        assert (codec_context.name, codec_context.pix_fmt) in (("h264", "yuv420p"), ("h264", "yuvj420p"))


def sound_packets(path: Path) -> list[str]:
    with av.open(path) as container:
        return [hashlib.sha256(bytes(p)).hexdigest() for p in container.demux(audio=0) if p.size]


def add_sound(path: Path, codec: str, seconds: float = 1.6, rate: int = 48_000, gap: float = 0.0) -> Path:
    """A video of 40 pictures with a tone of 440 Hz, silent in [0.5, 0.5 + gap)."""
    with av.open(path, "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=rate, layout="stereo")
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            for packet in video.encode(frame):
                container.mux(packet)
        at = 0
        while at < seconds * rate:
            if not 0.5 <= at / rate < 0.5 + gap:
                t = (at + np.arange(1024)) / rate
                wave = np.repeat((8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)[:, None], 2, axis=1)
                tone = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="stereo")
                tone.sample_rate, tone.pts, tone.time_base = rate, at, Fraction(1, rate)
                for packet in sound.encode(tone):
                    container.mux(packet)
            at += 1024
        for stream in (video, sound):
            for packet in stream.encode(None):
                container.mux(packet)
    return path


@pytest.mark.parametrize(("codec", "suffix"), [("aac", "mkv"), ("libmp3lame", "avi"), ("libopus", "mkv")])
def test_sound_that_browsers_play_is_copied_byte_for_byte(tmp_path: Path, codec: str, suffix: str) -> None:
    source = add_sound(tmp_path / f"in.{suffix}", codec)
    rewrite(source, tmp_path / "out.mp4")
    assert sound_packets(tmp_path / "out.mp4") == sound_packets(source)


@pytest.mark.parametrize(("codec", "suffix"), [("ac3", "mkv"), ("pcm_s16le", "avi"), ("mp2", "mpg")])
def test_other_sound_becomes_aac_and_stays_in_time(tmp_path: Path, codec: str, suffix: str) -> None:
    source = add_sound(tmp_path / f"in.{suffix}", codec)
    rewrite(source, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    before, after = loudness(source), loudness(tmp_path / "out.mp4")
    assert len(after) >= len(before) - 1
    assert np.abs(after[: len(before)][3:-3] - before[3:-3]).max() < 0.1 * before.max()


def loudness(path: Path, step: float = 0.05) -> np.ndarray:
    """Mean square of each 50 ms from the start of the file."""
    with av.open(path) as container:
        start = min(s.start_time * s.time_base for s in container.streams if s.start_time is not None)
        frames = [
            (float(f.pts * f.time_base - start), f.sample_rate, f.to_ndarray(), f.layout.nb_channels)
            for f in container.decode(audio=0)
        ]
    energy = np.zeros(40)
    for t, rate, samples, channels in frames:
        mono = samples.reshape(-1, channels).mean(axis=1) if samples.shape[0] == 1 else samples.mean(axis=0)
        if samples.dtype.kind == "i":
            mono = mono / 32768
        places = ((t + np.arange(len(mono)) / rate) / step).astype(int)
        inside = (places >= 0) & (places < len(energy))
        np.add.at(energy, places[inside], np.asarray(mono[inside], np.float64) ** 2 / rate)
    return energy[: np.flatnonzero(energy)[-1] + 1]


def test_a_gap_in_encoded_sound_stays_a_gap(tmp_path: Path) -> None:
    source = add_sound(tmp_path / "in.mkv", "pcm_s16le", gap=0.4)
    rewrite(source, tmp_path / "out.mp4")
    energy = loudness(tmp_path / "out.mp4")
    assert energy[11:17].max() < 0.02 * energy[:9].max()
    assert energy[20:30].min() > 0.5 * energy[:9].max()


def test_without_sound_there_is_none(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", audio_start_seconds=Fraction(0))
    rewrite(source, tmp_path / "quiet.mp4", with_sound=False)
    rewrite(write_video(tmp_path / "silent.mp4"), tmp_path / "out.mp4")
    for name in ("quiet.mp4", "out.mp4"):
        with av.open(tmp_path / name) as container:
            assert not container.streams.audio


def test_the_index_comes_first(tmp_path: Path) -> None:
    rewrite(write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    footage = Footage.open(write_video(tmp_path / "in.mp4"))
    out = tmp_path / "out.mp4"
    out.write_bytes(b"before")
    with (
        pytest.raises(RuntimeError, match="stopped"),
        Mp4Writer(out, width=64, height=48, footage=footage) as writer,
    ):
        for picture in footage.pictures():
            writer.write(picture.planes, picture.t_start, picture.t_end)
        raise RuntimeError("stopped")
    assert out.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_a_file_of_no_pictures_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with pytest.raises(UserError, match="no video stream"):
        rewrite(write_audio(tmp_path / "in.m4a"), out)
    with pytest.raises(UserError, match="no such file"):
        rewrite(tmp_path / "missing.mp4", out)
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(UserError, match="not a video"):
        rewrite(tmp_path / "text.mp4", out)
    assert not out.exists()


def test_a_picture_that_does_not_come_later_is_left_out(tmp_path: Path) -> None:
    footage = Footage.open(write_video(tmp_path / "in.mp4"))
    first = next(footage.pictures())
    with Mp4Writer(tmp_path / "out.mp4", width=64, height=48, footage=footage) as writer:
        for t in (0, 1, 1, Fraction(1, 2), 2):
            writer.write(first.planes, Fraction(t), Fraction(t) + 1)
    assert [t for t, _ in pictures_of(tmp_path / "out.mp4")] == [0, 1, 2]


def test_a_file_that_is_cut_off_ends_where_its_pictures_do(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", pts=range(100))
    footage = Footage.open(truncate(whole, 0.6, tmp_path / "in.mkv"))
    pictures = list(footage.pictures())
    assert 10 < len(pictures) < 100
    assert footage.broken_off is not None
    assert [p.t_start for p in pictures] == [Fraction(i, 25) for i in range(len(pictures))]
    list(Footage.open(whole).pictures())
    undamaged = Footage.open(whole)
    assert len(list(undamaged.pictures())) == 100
    assert undamaged.broken_off is None


def test_the_last_picture_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    times = rewrite(write_video(tmp_path / "in.mp4", pts=(0, 1, 2)), tmp_path / "out.mp4")
    assert times[-1][1] == Fraction(3, 25)
    with av.open(tmp_path / "out.mp4") as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(3, 25)


def test_resizing_keeps_times_and_colours() -> None:
    flat = [
        np.full(shape, value, np.uint8) for shape, value in (((48, 64), 90), ((24, 32), 110), ((24, 32), 150))
    ]
    picture = Picture(flat[0], flat[1], flat[2], Fraction(1), Fraction(2))
    for size in ((32, 24), (128, 96)):
        other = picture.resized(*size)
        assert other.y.shape[::-1] == size
        assert other.u.shape == other.v.shape == (size[1] // 2, size[0] // 2)
        assert [int(plane.mean()) for plane in other.planes] == [90, 110, 150]
        assert (other.t_start, other.t_end) == (1, 2)
