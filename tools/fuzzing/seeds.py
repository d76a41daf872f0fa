"""Small sound videos of many makes, from which broken ones are made: encoded here, or real files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

NUM_FRAMES = 50
FPS = 25
SMALL_WH = (96, 72)
MAX_REAL_BYTES = 900_000
_GOP = {"g": "10"}
_X264 = {"preset": "veryfast", "g": "10", "bf": "2"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=10"}


@dataclass(frozen=True)
class Make:
    """How a seed is encoded."""

    name: str  # the file's; its suffix tells the container
    codec: str
    options: dict[str, str]
    pixel_format: str = "yuv420p"
    size_wh: tuple[int, int] = SMALL_WH
    container_options: dict[str, str] | None = None
    container: str | None = None
    faces: bool = False  # the picture is a photograph with a face, not noise


MAKES = (
    Make("faces.mp4", "libx264", {"preset": "veryfast", "g": "25"}, size_wh=(160, 160), faces=True),
    Make("b_frames.mp4", "libx264", _X264, container_options={"movflags": "+faststart"}),
    Make("index_last.mp4", "libx264", _X264),
    Make("fragments.mp4", "libx264", _X264, container_options={"movflags": "frag_keyframe+empty_moov"}),
    Make("open_gop.mkv", "libx264", {**_X264, "x264-params": "open-gop=1"}),
    Make("interlaced.ts", "libx264", {**_X264, "flags": "+ilme+ildct", "x264-params": "tff=1"}),
    Make("sliced.mp4", "libx264", {**_X264, "x264-params": "sliced-threads=1:slices=4:threads=4"}),
    Make("refresh.mkv", "libx264", {"preset": "veryfast", "x264-params": "intra-refresh=1:keyint=10"}),
    Make("ten_bits.mkv", "libx264", _X264, "yuv420p10le"),
    Make("full_colour.mp4", "libx264", _X264, "yuv444p"),
    Make("h264.flv", "libx264", {"preset": "veryfast", "g": "10"}),
    Make("hevc.mov", "libx265", _X265),
    Make("hevc.ts", "libx265", _X265),
    Make("odd_size.mpg", "mpeg2video", _GOP, size_wh=(97, 73)),
    Make("mpeg1.mpg", "mpeg1video", _GOP),
    Make("mpeg2.ts", "mpeg2video", {"g": "10", "bf": "2"}),
    Make("mpeg4.avi", "mpeg4", _GOP),
    Make("b_frames.avi", "mpeg4", {"g": "10", "bf": "2"}),
    Make("motion_jpeg.avi", "mjpeg", {}, "yuvj420p"),
    Make("raw.avi", "rawvideo", {}, size_wh=(48, 36)),
    Make("raw.nut", "rawvideo", {}, size_wh=(48, 36)),
    Make("raw.y4m", "rawvideo", {}, size_wh=(48, 36), container="yuv4mpegpipe"),
    Make("vp8.webm", "libvpx", {**_GOP, "auto-alt-ref": "1", "lag-in-frames": "10"}),
    Make("vp9.webm", "libvpx-vp9", {**_GOP, "deadline": "realtime", "cpu-used": "8"}),
    Make("vp9.ivf", "libvpx-vp9", {**_GOP, "deadline": "realtime", "cpu-used": "8"}),
    Make("lossless.mkv", "ffv1", {}, size_wh=(48, 36)),
    Make("phone.3gp", "h263", _GOP, size_wh=(128, 96)),
    Make("window.wmv", "wmv2", _GOP),
    Make("old.avi", "msmpeg4v3", _GOP),
    Make("flash.flv", "flv", _GOP),
    Make("moving.gif", "gif", {}, "rgb8", size_wh=(48, 36)),
    Make("screen.avi", "zmbv", {}, "bgr0", size_wh=(48, 36)),
    Make("zipped.mov", "png", {}, "rgb24", size_wh=(48, 36)),
    Make("runs.mov", "qtrle", {}, "rgb24", size_wh=(48, 36)),
    Make("prores.mov", "prores_ks", {}, "yuv422p10le", size_wh=(64, 48)),
    Make("stream.mjpeg", "mjpeg", {}, "yuvj420p", container="mjpeg"),
)


def make_seeds(folder: Path, real: Path | None = None, most_real: int | None = None) -> list[Path]:
    """Encodes every make, and adds the small ones among real videos below `real`, where it exists.

    `most_real`: of these only so many, the smallest.

    Most are the same in every run of one build of FFmpeg; x264 differs by some bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = []
    for make in MAKES:
        path = folder / make.name
        if not path.exists():
            write_seed(path, make)
        seeds.append(path)
    if real is not None and real.is_dir():
        suffixes = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
        found = (path for path in real.rglob("*.*") if path.suffix in suffixes)
        small = (path for path in found if path.stat().st_size <= MAX_REAL_BYTES)
        seeds += sorted(small, key=lambda path: (path.stat().st_size, path.name))[:most_real]
    return seeds


def write_seed(path: Path, make: Make) -> None:
    """Fifty pictures, a face that sways or drifting noise, and in MP4 and MKV a tone beside them."""
    with av.open(
        path, "w", format=make.container, options={"fflags": "+bitexact", **(make.container_options or {})}
    ) as container:
        stream: Any = container.add_stream(make.codec, rate=FPS, options=make.options)
        stream.codec_context.thread_count = 4 if "sliced" in make.name else 1
        stream.width, stream.height = make.size_wh
        stream.pix_fmt = make.pixel_format
        sound: Any = container.add_stream("aac", rate=8000) if path.suffix in (".mp4", ".mkv") else None
        for number, picture in enumerate(_pictures(make)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=make.pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_tone(container, sound)


def _pictures(make: Make) -> Iterator[np.ndarray]:
    """(h, w, 3) uint8 each."""
    width, height = make.size_wh
    if make.faces:
        import skimage.data

        photograph = skimage.data.astronaut()  # type: ignore[no-untyped-call]
        for number in range(NUM_FRAMES):
            x = 90 + round(10 * np.sin(number / 6))
            yield np.ascontiguousarray(photograph[20 : 20 + 2 * height : 2, x : x + 2 * width : 2])
        return
    texture = np.random.default_rng(1).integers(0, 256, (height // 4 + 40, width // 4 + 40, 3))
    for number in range(NUM_FRAMES):
        part = texture[number // 2 :, number // 3 :]
        yield np.kron(part, np.ones((4, 4, 1)))[:height, :width].astype(np.uint8)


def _write_tone(container: Any, stream: Any) -> None:
    for block in range(16):
        samples = (np.sin(np.arange(1024) / 5) * 8000).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), block * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
