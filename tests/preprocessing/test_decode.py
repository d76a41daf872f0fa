"""Times equal to the container's, pictures upright and right, damage told after the good frames."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.align import apply_warp, invert_warp
from preprocessing.decode import container, decoder_for
from preprocessing.decode.continuity import Continuity
from preprocessing.decode.frames import PixelFrame, PlaneFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.orientation import Orientation
from preprocessing.decode.pictures import _decoded
from preprocessing.decode.pyav_engine import PyAVDecoder
from preprocessing.probe import probe
from preprocessing.types import Frame, InputError, Source
from tests.decoders import ENGINES
from tests.videos import numbered_picture, truncate, write_video

STORED_TURNS = [
    Orientation(rotation, mirrored) for rotation in (0, 90, 180, 270) for mirrored in (False, True)
]


def video(path: Path) -> Source:
    return Source(path, path.name, "video")


def decode(path: Path, engine: str = "pyav") -> list[Frame]:
    source = video(path)
    return list(decoder_for("video", engine).frames(source, probe(source)))


def decode_until_damage(path: Path) -> tuple[list[Frame], InputError]:
    """The good frames and the complaint that follows them."""
    source = video(path)
    frames = []
    with pytest.raises(InputError) as caught:
        for frame in decoder_for("video").frames(source, probe(source)):
            frames.append(frame)  # noqa: PERF402  (they must survive the error)
    assert "\n" not in caught.value.reason
    return frames, caught.value


def whole(frame: Frame) -> np.ndarray:
    return frame.rgb_patch(0, 0, frame.width, frame.height)


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Mean absolute difference of two pictures, in levels."""
    return float(np.abs(left.astype(int) - right).mean())


def container_times(path: Path, stream_index: int) -> list[tuple[int, int]]:
    """pts and duration as PyAV gives them, by the shortest way."""
    times = []
    with av.open(str(path)) as container:
        try:
            frame: Any
            for frame in container.decode(container.streams[stream_index]):
                times.append((frame.pts, frame.duration))  # noqa: PERF401
        except av.FFmpegError:
            pass
    return times


# Times


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi"])
def test_every_frame_with_its_number(tmp_path: Path, suffix: str, engine: str) -> None:
    if (engine, suffix) == ("decord", ".avi"):
        pytest.skip("H.264 in AVI has no presentation times, and decord makes up huge ones")
    frames = decode(write_video(tmp_path / f"a{suffix}", pts=range(12)), engine)
    assert len(frames) == 12
    for number, frame in enumerate(frames):
        assert distance(whole(frame), numbered_picture(number)) < 3
        assert distance(whole(frame), numbered_picture((number + 1) % 12)) > 2


@pytest.mark.parametrize(
    "codec_options", [{"bf": "0"}, {"bf": "3", "preset": "medium"}, {"bf": "2", "preset": "medium", "g": "4"}]
)
def test_order_with_b_frames(tmp_path: Path, codec_options: dict[str, str]) -> None:
    frames = decode(write_video(tmp_path / "a.mp4", pts=range(20), codec_options=codec_options))
    assert [frame.pts for frame in frames] == list(range(20))
    assert distance(whole(frames[13]), numbered_picture(13)) < 3


@settings(max_examples=12)
@given(
    steps=st.lists(st.integers(1, 20_000), min_size=1, max_size=12),
    start_seconds=st.integers(0, 100),  # the muxer rounds starts to milliseconds
    scale=st.sampled_from([90_000, 15_360, 1_000_000, 24_000]),
)
def test_variable_rate_keeps_every_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], start_seconds: int, scale: int
) -> None:
    pts = (start_seconds * scale + np.concatenate([[0], np.cumsum(steps)])).tolist()
    path = tmp_path_factory.mktemp("vfr") / "a.mp4"
    frames = decode(write_video(path, pts=pts, time_base=Fraction(1, scale)))
    assert [frame.pts for frame in frames] == pts
    assert [frame.duration_pts for frame in frames[:-1]] == steps


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_start_at_ten_seconds(tmp_path: Path, suffix: str, engine: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", pts=range(250, 260), audio_start_seconds=Fraction(10))
    source = video(path)
    facts = probe(source)
    frames = list(decoder_for("video", engine).frames(source, facts))
    seconds = [frame.pts * facts.time_base for frame in frames]
    assert seconds == [Fraction(number, 25) for number in range(250, 260)]


def real_videos(shared_data: Path) -> list[Path]:
    suffixes = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
    paths = sorted(path for path in (shared_data / "videos").rglob("*.*") if path.suffix in suffixes)
    assert len(paths) > 25
    return paths


def test_times_of_real_files(shared_data: Path) -> None:
    """Every file of the collection, every frame: the container's own integers."""
    for path in real_videos(shared_data):
        source = video(path)
        facts = probe(source)
        times = [(frame.pts, frame.duration_pts) for frame in decoder_for("video").frames(source, facts)]
        expected = container_times(path, facts.stream_index)
        if path.name == "decord_corrupted.mp4":  # the shortest way ends at the damage, ours goes on
            times = times[: len(expected)]
        assert times == expected, path.name


# Pictures


@pytest.mark.parametrize(("name", "rotation"), [("decord_video_90.mov", 90), ("decord_video_270.mov", 270)])
@pytest.mark.parametrize("engine", ENGINES)
def test_rotated_files_equal_the_turned_control(
    shared_data: Path, name: str, rotation: int, engine: str
) -> None:
    """The three files show the same scene, so each comes out upright as the control does."""
    turned = decode(shared_data / "videos/container" / name, engine)
    plain_bytes = decode(shared_data / "videos/container" / name.replace(str(rotation), "0"), engine)
    assert len(turned) == len(plain_bytes) == 3
    with av.open(str(shared_data / "videos/container" / name)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert distance(whole(turned[0]), np.rot90(stored, -rotation // 90)) < 1.5
    assert (turned[0].width, turned[0].height) == (320, 568)


@pytest.mark.parametrize("turn", STORED_TURNS, ids=str)
@pytest.mark.parametrize("size_wh", [(64, 48), (61, 47)])
def test_every_turn_end_to_end(tmp_path: Path, turn: Orientation, size_wh: tuple[int, int]) -> None:
    """A picture stored turned backwards comes out as the turned one; patches and reductions agree with it."""
    quarter = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[turn.rotation]
    a, b, c, d = (value << 16 for value in quarter)
    if turn.mirrored:
        a, c = -a, -c
    path = write_video(
        tmp_path / "a.mp4",
        pts=range(2),
        size_wh=size_wh,
        pix_fmt="yuv444p",
        display_matrix=(a, b, 0, c, d, 0, 0, 0, 1 << 30),
    )
    (frame, _) = decode(path)
    upright = np.rot90(numbered_picture(0, *size_wh), -(turn.rotation // 90))
    upright = upright[:, ::-1] if turn.mirrored else upright
    assert (frame.height, frame.width) == upright.shape[:2]
    picture = whole(frame)
    assert distance(picture, upright) < 3
    np.testing.assert_array_equal(frame.rgb_patch(5, 7, 30, 23), picture[7:23, 5:30])
    padded = np.pad(picture, ((6, 6), (6, 6), (0, 0)), mode="edge")
    outside = frame.rgb_patch(-6, -6, frame.width + 6, frame.height + 6)
    np.testing.assert_array_equal(outside, padded)
    small = frame.reduced_rgb((20, 24))
    assert small.shape == (24, 20, 3)
    assert distance(small, PixelFrame(picture, 0, 1).reduced_rgb((20, 24))) < 2
    shifted = frame.aligned_rgb(np.array([[1, 0, -5], [0, 1, -7]]), (25, 16))
    np.testing.assert_array_equal(shifted, picture[7:23, 5:30])


@settings(max_examples=80)
@given(
    turn=st.sampled_from(STORED_TURNS),
    x0=st.integers(-70, 70),
    y0=st.integers(-70, 70),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
)
def test_patch_anywhere_repeats_the_edge(
    turn: Orientation, x0: int, y0: int, width: int, height: int
) -> None:
    stored = av.VideoFrame.from_ndarray(numbered_picture(1, 33, 26), format="rgb24").reformat(
        format="yuv420p"
    )
    upright_wh = turn.size(33, 26)
    frame = PlaneFrame(stored, 0, *upright_wh, turn)
    picture = whole(frame)
    rows = np.clip(np.arange(y0, y0 + height), 0, upright_wh[1] - 1)
    columns = np.clip(np.arange(x0, x0 + width), 0, upright_wh[0] - 1)
    patch = frame.rgb_patch(x0, y0, x0 + width, y0 + height)
    np.testing.assert_array_equal(patch, picture[rows][:, columns])
    np.testing.assert_array_equal(PixelFrame(picture, 0, 1).rgb_patch(x0, y0, x0 + width, y0 + height), patch)


@settings(max_examples=60)
@given(
    turn=st.sampled_from(STORED_TURNS),
    pix_fmt=st.sampled_from(["yuv420p", "yuv444p", "yuv422p", "yuv410p", "yuv420p10le", "gray", "rgb24"]),
    scale=st.floats(0.3, 3.0),
    degrees=st.floats(-180, 180),
    centre=st.tuples(st.floats(-30, 160), st.floats(-30, 160)),
    size_wh=st.sampled_from([(32, 32), (31, 17)]),
    black_outside=st.booleans(),
)
def test_warped_planes_are_near_the_warped_picture(
    turn: Orientation,
    pix_fmt: str,
    scale: float,
    degrees: float,
    centre: tuple[float, float],
    size_wh: tuple[int, int],
    black_outside: bool,
) -> None:
    y, x = np.mgrid[:90, :120]
    smooth = np.stack([40 + 150 * x / 120, 50 + 150 * y / 90, 190 - 140 * x * y / 10800], axis=-1).astype(
        np.uint8
    )
    stored = av.VideoFrame.from_ndarray(smooth, format="rgb24").reformat(format=pix_fmt)
    upright_wh = turn.size(120, 90)
    frame = PlaneFrame(stored, 0, *upright_wh, turn)
    angle = np.deg2rad(degrees)
    turned = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    warp = np.column_stack([turned, np.array(size_wh) / 2 - turned @ centre])
    ours = frame.aligned_rgb(warp, size_wh, black_outside=black_outside).astype(int)
    other = PixelFrame(whole(frame), 0, 1).aligned_rgb(warp, size_wh, black_outside=black_outside)
    assert ours.shape == other.shape == (size_wh[1], size_wh[0], 3)
    error = np.abs(ours - other)
    if black_outside:  # along the edge of the picture, chroma ends elsewhere than luma
        y, x = np.mgrid[: size_wh[1], : size_wh[0]] + 0.5
        from_edge = apply_warp(invert_warp(warp), np.stack([x, y], axis=-1))
        from_edge = np.minimum(from_edge, upright_wh - from_edge).min(axis=-1)  # pixels; negative: outside
        assert ours[from_edge < -8].max(initial=0) <= 1
        error = error[from_edge > 8]
    # What is left: a sample of chroma stands for up to 4 x 4 pixels.
    assert error.size == 0 or error.mean() <= 4
    assert error.max(initial=0) <= 14


@pytest.mark.parametrize("pix_fmt", ["rgb24", "pal8", "yuyv422", "nv12", "gbrp"])
def test_formats_that_swscale_converts(pix_fmt: str) -> None:
    picture = np.full((20, 30, 3), (200, 40, 90), np.uint8)
    stored = av.VideoFrame.from_ndarray(picture, format="rgb24")
    if pix_fmt == "pal8":
        stored = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="rgb8")
    else:
        stored = stored.reformat(format=pix_fmt)
    frame = PlaneFrame(stored, 0, 20, 30, Orientation(90))
    assert frame.reduced_rgb((10, 15)).shape == (15, 10, 3)
    assert distance(frame.rgb_patch(3, 3, 9, 12), np.broadcast_to(picture[0, 0], (9, 6, 3))) < 20
    aligned = frame.aligned_rgb(np.array([[0.5, 0, 0], [0, 0.5, 0]]), (8, 12))
    assert distance(aligned, np.broadcast_to(picture[0, 0], (12, 8, 3))) < 20
    assert frame.luma_thumbnail().shape == (18, 32)


@pytest.mark.parametrize("engine", ENGINES)
def test_patches_are_copies(tmp_path: Path, engine: str) -> None:
    """Drawing on a patch must not change the frame."""
    frame = decode(write_video(tmp_path / "a.mp4", pts=range(1)), engine)[0]
    before = whole(frame)
    frame.rgb_patch(0, 0, 10, 10)[:] = 0
    frame.reduced_rgb((frame.width, frame.height))[:] = 0
    np.testing.assert_array_equal(whole(frame), before)


def test_frames_outlive_the_decoder(tmp_path: Path) -> None:
    """Planes are shared with the codec, which must not reuse them while a frame lives."""
    frames = decode(write_video(tmp_path / "a.mp4", pts=range(60)))
    for number in (0, 17, 59):
        assert distance(whole(frames[number]), numbered_picture(number)) < 3


def test_two_streams(tmp_path: Path) -> None:
    frames = decode(write_video(tmp_path / "a.mp4", size_wh=(64, 48), second_size_wh=(96, 80)))
    assert (frames[0].width, frames[0].height) == (96, 80)
    assert distance(whole(frames[4]), numbered_picture(4, 96, 80)) < 3


# Damage


@pytest.mark.parametrize("share", [1 / 2, 1 / 3])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".flv"])
def test_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    """The good frames come first, then the complaint that the rest is missing."""
    options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
    path = write_video(tmp_path / f"a{suffix}", pts=range(100), container_options=options)
    frames, error = decode_until_damage(truncate(path, share, tmp_path / f"cut{suffix}"))
    assert error.stage == "decode"
    assert error.reason.startswith("damaged after ")
    assert 100 * share * 0.5 < len(frames) < 100 * share * 1.3
    assert f"{len(frames)} frames decoded" in error.reason
    for number in (0, len(frames) // 2):
        assert distance(whole(frames[number]), numbered_picture(number)) < 3


def test_whole_files_are_not_called_damaged(tmp_path: Path, shared_data: Path) -> None:
    """98 frames declared, 95 shown, but the last one reaches the end."""
    assert len(decode(shared_data / "videos/no_face.mp4")) == 95
    # A last frame that stands for long ends early by its own duration alone.
    slides = write_video(tmp_path / "slides.mkv", pts=[0, 1, 2, 500], audio_start_seconds=Fraction(0))
    assert len(decode(slides)) == 4


def decode_with_gaps(path: Path) -> tuple[list[int], PyAVDecoder]:
    """pts of the frames, and the decoder with what it has to say of the rest."""
    source = video(path)
    decoder = PyAVDecoder()
    return [frame.pts for frame in decoder.frames(source, probe(source))], decoder


def test_real_damage_costs_what_it_covers(shared_data: Path) -> None:
    """Two of 50 pictures are broken; the shortest way through the file ends at the first of them."""
    pts, decoder = decode_with_gaps(shared_data / "videos/container/decord_corrupted.mp4")
    assert len(pts) == 48
    assert decoder.warnings == [
        "1 packets lost: Invalid data found when processing input",
        "1 frames skipped: corrupt",
    ]
    assert decoder.not_decoded == []  # too short to be worth a row


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_goes_on_behind_a_hole(tmp_path: Path, suffix: str) -> None:
    """A stretch of zeros in the middle, as a bad copy leaves it: told, and the rest is there."""
    path = write_video(
        tmp_path / f"a{suffix}", pts=range(200), codec="mpeg4", codec_options={"g": "10"}, size_wh=(160, 120)
    )
    whole_pts, _ = decode_with_gaps(path)
    data = bytearray(path.read_bytes())
    hole = slice(int(len(data) * 0.4), int(len(data) * 0.6))
    data[hole] = bytes(hole.stop - hole.start)
    path.write_bytes(data)
    pts, decoder = decode_with_gaps(path)
    assert set(pts) <= set(whole_pts)
    assert pts[:50] == whole_pts[:50]
    assert pts[-60:] == whole_pts[-60:]
    ((start_pts, stop_pts),) = decoder.not_decoded
    assert stop_pts in pts
    assert not [value for value in pts if start_pts <= value < stop_pts]
    assert len(whole_pts) - len(pts) >= len([v for v in whole_pts if start_pts <= v < stop_pts]) > 20


def test_a_long_tail_that_does_not_decode_is_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pts=range(100), codec="mpeg4", codec_options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + 4 + (data.index(b"moov") - data.index(b"mdat")) // 2
    data[middle : data.index(b"moov") - 8] = bytes(data.index(b"moov") - 8 - middle)
    path.write_bytes(data)
    frames, error = decode_until_damage(path)
    assert 30 < len(frames) < 70
    assert error.reason.startswith("damaged after ")


def broadcast(folder: Path, *widths: int) -> Path:
    """MPEG-TS whose picture size changes every 20 frames."""
    path = folder / "all.ts"
    with path.open("wb") as file:
        for number, width in enumerate(widths):
            part = write_video(
                folder / f"{number}.ts", size_wh=(width, 48), pts=range(20 * number, 20 * number + 20)
            )
            file.write(part.read_bytes())
    return path


def test_size_change_mid_stream(tmp_path: Path) -> None:
    frames, error = decode_until_damage(broadcast(tmp_path, 64, 96))
    assert 15 <= len(frames) <= 20
    assert "96x48 pixels, the stream began with 64x48" in error.reason


def test_size_that_comes_back(tmp_path: Path) -> None:
    pts, decoder = decode_with_gaps(broadcast(tmp_path, 64, 96, 64))
    assert 38 <= len(pts) <= 40
    ((start_pts, stop_pts),) = decoder.not_decoded
    assert (stop_pts - start_pts) / 90_000 == pytest.approx(0.8, abs=0.1)
    assert stop_pts in pts
    assert "96x48 pixels" in decoder.warnings[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_flipped_bytes_never_crash(tmp_path: Path, suffix: str) -> None:
    """Whatever a few wrong bytes do: frames with increasing times, or an InputError of one line."""
    data = write_video(tmp_path / f"a{suffix}", pts=range(40), codec_options={"g": "10"}).read_bytes()
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(40):
        flipped = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(data), size=rng.integers(1, 12))
        flipped[places] ^= rng.integers(1, 256, size=len(places), dtype=np.uint8)
        path = tmp_path / f"b{trial}{suffix}"
        path.write_bytes(flipped.tobytes())
        source = video(path)
        pts: list[int] = []
        try:
            for frame in decoder_for("video").frames(source, probe(source)):
                pts.append(frame.pts)
                whole(frame)
            outcomes.add("read")
        except InputError as error:
            assert "\n" not in error.reason
            outcomes.add(error.stage)
        assert (np.diff(pts) > 0).all()
    assert "read" in outcomes


def test_zero_frames(tmp_path: Path) -> None:
    """A stream that is declared and has no packet."""
    with av.open(tmp_path / "a.mkv", "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(InputError, match=r"no frame could be decoded|not a video|pixels"):
        decode(tmp_path / "a.mkv")


def test_pictures_beyond_the_limit_are_refused_by_the_codec_too(tmp_path: Path) -> None:
    source = video(write_video(tmp_path / "a.mp4", size_wh=(640, 480)))
    facts = probe(source)
    with pytest.raises(InputError):
        list(decoder_for("video", limits=Limits(max_pixels=1000)).frames(source, facts))


@pytest.mark.parametrize("engine", ENGINES)
def test_file_that_vanishes_after_the_probe(tmp_path: Path, engine: str) -> None:
    source = video(write_video(tmp_path / "a.mp4"))
    facts = probe(source)
    source.path.unlink()
    with pytest.raises(InputError, match="no such file"):
        list(decoder_for("video", engine).frames(source, facts))


def test_unknown_engine() -> None:
    with pytest.raises(ValueError, match="unknown decoder 'torch'; there are pyav, decord, torchcodec"):
        decoder_for("video", "torch")


# Names


ODD_NAMES = [
    b"with space.mp4",
    b"quote'and\"double.mp4",
    b"new\nline.mp4",
    "ünïcödé 映像.mp4".encode(),
    b"undecodable\xff\xfe.mp4",
    b"12:30 http:x.mp4",
    b"%d percent %05d.mp4",
    b"-dash.mp4",
    b"..dots..mp4",
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
@pytest.mark.parametrize("engine", ENGINES)
def test_odd_names(tmp_path: Path, name: bytes, engine: str) -> None:
    path = tmp_path / os.fsdecode(name)
    write_video(tmp_path / "plain.mp4", pts=range(5)).rename(path)
    assert len(decode(path, engine)) == 5


# The disk


class FailingFile:
    """A file whose disk fails behind a place."""

    def __init__(self, file: Any, good_bytes: int) -> None:
        self._file, self._good_bytes = file, good_bytes
        self.name = file.name
        self.seek, self.tell, self.fileno, self.close = file.seek, file.tell, file.fileno, file.close

    def read(self, count: int) -> Any:
        if self.tell() + count > self._good_bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._file.read(count)

    def __enter__(self) -> FailingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".avi", ".mp4"])
def test_a_failing_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """It may be well again tomorrow: nothing of the video counts as read, wherever FFmpeg meets the fault."""
    options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
    path = write_video(
        tmp_path / f"a{suffix}",
        pts=range(300),
        size_wh=(320, 240),
        codec="mpeg2video",
        container_options=options,
    )
    source, num_bytes = video(path), path.stat().st_size
    facts = probe(source)
    open_really = container.open_regular_file
    for share in (0.7, 0.0):
        monkeypatch.setattr(
            container,
            "open_regular_file",
            lambda *args, share=share: FailingFile(open_really(*args), int(num_bytes * share)),
        )
        with pytest.raises(InputError, match=r"^cannot be read: Input/output error$") as caught:
            list(decoder_for("video").frames(source, facts))
        assert caught.value.stage == "read"
    with pytest.raises(InputError) as caught:
        probe(source)
    assert caught.value.stage == "read"


def test_an_edit_list_that_shows_nothing(tmp_path: Path) -> None:
    """A time scale that lies makes the edited length nothing."""
    data = write_video(tmp_path / "a.mp4", pts=range(25), codec_options={"bf": "2"}).read_bytes()
    place = data.index(b"mvhd") + 16
    (tmp_path / "b.mp4").write_bytes(data[:place] + b"\x7f\xff\xff\xff" + data[place + 4 :])
    with pytest.raises(InputError, match=r"no frame could be decoded; the container hides all \d+ pictures"):
        decode(tmp_path / "b.mp4")


def test_a_complaint_without_a_class_of_its_own_is_damage(tmp_path: Path) -> None:
    """PyAV raises a bare OSError for numbers that it does not know, e.g. ENOTSUP of a bad picture."""

    class Codec:
        def decode(self, packet: object) -> list[object]:
            raise OSError(95, "Operation not supported")

    write_video(tmp_path / "a.mp4")
    facts = probe(Source(tmp_path / "a.mp4", "a.mp4", "video"))
    record = Continuity(facts.time_base, (facts.width, facts.height), 3600.0, facts.average_fps, None)
    stream = SimpleNamespace(codec_context=Codec())
    assert _decoded(stream, SimpleNamespace(size=1), record) == []
    assert record.errors == {"Operation not supported": 1}
