"""Headers that lie, field by field: sizes, counts, times, scales; and streams that change on the way."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

Crafted = tuple[str, str, bytes | Callable[[], bytes]]
"""Kind of the case, its file name, its bytes or how to make them."""

SIZES = ((1, 1), (0, 0), (16_384, 16_384), (65_535, 65_535), (1, 65_535))
COUNTS = (0, 1, 10**9, 0x7FFFFFFF, 0xFFFFFFFF)


def lies(seeds: dict[str, Path]) -> Iterator[Crafted]:
    """Every crafted header, from seeds by file name."""
    data = {name: path.read_bytes() for name, path in seeds.items()}
    yield from _mp4(data)
    yield from _avi(data)
    yield from _matroska(data)
    yield from _picture_sizes(data)
    yield from _changes(data)
    yield from _times(data)


Fields = tuple[tuple[str, bytes, int], ...]
"""What a field says, its box, and where in the box it stands."""

MP4_FIELDS: Fields = (
    ("duration", b"mvhd", 16),
    ("duration", b"mdhd", 16),
    ("time scale", b"mvhd", 12),
    ("time scale", b"mdhd", 12),
    ("frame count", b"stsz", 8),
    ("table entry", b"stts", 8),
    ("table entry", b"stts", 12),
    ("table entry", b"stsc", 12),
    ("table entry", b"stco", 8),
    ("table entry", b"elst", 8),
    ("table entry", b"elst", 12),
)
AVI_FIELDS: Fields = (
    ("duration", b"avih", 4),
    ("frame count", b"avih", 20),
    ("time scale", b"strh", 24),
    ("time scale", b"strh", 28),
    ("duration", b"strh", 36),
    ("table entry", b"idx1", 12),
    ("table entry", b"idx1", 16),
)


def _fields(data: dict[str, bytes], name: str, fields: Fields, number: str) -> Iterator[Crafted]:
    """Every field that the file has, with every number. number: how `struct` packs it."""
    for value in COUNTS:
        for field, box, offset in fields:
            if box in data[name]:
                yield f"lying {field}", name, _in_box(data[name], box, offset, struct.pack(number, value))


def _mp4(data: dict[str, bytes]) -> Iterator[Crafted]:
    for name in ("index_last.mp4", "hevc.mov", "faces.mp4"):
        yield from _fields(data, name, MP4_FIELDS, ">I")
        # as many frames as one says, each of one byte: no table needed
        for count in (10**9, 0xFFFFFFFF):
            yield "lying frame count", name, _in_box(data[name], b"stsz", 4, struct.pack(">II", 1, count))
            table = struct.pack(">III", 1, count, 1)
            yield "lying frame count", name, _in_box(data[name], b"stts", 4, table)
    for value in COUNTS:
        for box, offset in ((b"trun", 4), (b"tfhd", 8), (b"tfdt", 4), (b"tfdt", 8)):
            yield (
                "lying fragment",
                "fragments.mp4",
                _in_box(data["fragments.mp4"], box, offset, struct.pack(">I", value)),
            )


def _avi(data: dict[str, bytes]) -> Iterator[Crafted]:
    for name in ("mpeg4.avi", "motion_jpeg.avi", "raw.avi"):
        yield from _fields(data, name, AVI_FIELDS, "<I")


def _matroska(data: dict[str, bytes]) -> Iterator[Crafted]:
    for name in ("open_gop.mkv", "vp9.webm", "vp8.webm"):
        whole = data[name]
        duration = whole.index(b"\x44\x89\x88") + 3
        for value in (float("nan"), float("inf"), -1.0, 0.0, 1e300):
            yield "lying duration", name, _put(whole, duration, struct.pack(">d", value))
        scale = whole.index(b"\x2a\xd7\xb1") + 3
        width = whole[scale - 0] & 0x7F
        for number in (0, 1, (1 << 8 * width) - 1):
            yield "lying time scale", name, _put(whole, scale + 1, number.to_bytes(width, "big"))


def _picture_sizes(data: dict[str, bytes]) -> Iterator[Crafted]:
    """What the container says, then what the coded pictures say themselves."""
    kind = "lying picture size"
    sample_entries = {
        "index_last.mp4": b"avc1",
        "hevc.mov": b"hev1",
        "zipped.mov": b"png ",
        "runs.mov": b"rle ",
        "prores.mov": b"ap",
        "phone.3gp": b"s263",
    }
    for width, height in SIZES:
        big, little = struct.pack(">HH", width, height), struct.pack("<HH", width, height)
        for name, codec in sample_entries.items():
            if (place := data[name].find(codec, data[name].find(b"stsd"))) > 0:
                yield kind, name, _put(data[name], place + 28, big)
        for name in ("raw.avi", "mpeg4.avi", "screen.avi", "motion_jpeg.avi"):
            place = data[name].index(b"strf") + 12
            yield kind, name, _put(data[name], place, struct.pack("<II", width, height))
        yield kind, "moving.gif", _put(data["moving.gif"], 6, little)
        yield kind, "vp9.ivf", _put(data["vp9.ivf"], 12, little)
        yield kind, "raw.y4m", data["raw.y4m"].replace(b"W48 H36", f"W{width} H{height}".encode(), 1)
        yield kind, "stream.mjpeg", _jpeg_sizes(data["stream.mjpeg"], [(height, width)])
        yield kind, "motion_jpeg.avi", _jpeg_sizes(data["motion_jpeg.avi"], [(height, width)])
        key = data["vp8.webm"].index(b"\x9d\x01\x2a") + 3
        yield (
            kind,
            "vp8.webm",
            _put(data["vp8.webm"], key, struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)),
        )
        png = data["zipped.mov"].index(b"IHDR") + 4
        yield kind, "zipped.mov", _put(data["zipped.mov"], png, struct.pack(">II", width, height))
    for size in (16_384, 8192):
        yield kind, "huge_h264.mp4", h264_claim(size)


def _changes(data: dict[str, bytes]) -> Iterator[Crafted]:
    """The picture size changes on the way, for good or for a while."""
    kind = "changing resolution"
    for first, second in (("interlaced.ts", "mpeg2.ts"), ("interlaced.ts", "hevc.ts")):
        yield kind, first, data[first] + data[second]
        yield kind, first, data[first] + data[second] + data[first]
    for name in ("stream.mjpeg", "motion_jpeg.avi"):
        for sizes in (
            [(72, 96)] * 10 + [(36, 48)] * 10,
            [(72, 96), (64, 64)],
            [(72, 96)] * 30 + [(720, 960)],
        ):
            yield kind, name, _jpeg_sizes(data[name], sizes)
    yield kind, "odd_size.mpg", data["odd_size.mpg"] + data["mpeg1.mpg"]
    yield kind, "mpeg1.mpg", data["mpeg1.mpg"] + data["odd_size.mpg"] + data["mpeg1.mpg"]


def _times(data: dict[str, bytes]) -> Iterator[Crafted]:
    """Times that run backwards, stand still, or leap."""
    kind = "odd times"
    ivf = data["vp9.ivf"]
    frames = []
    place = 32
    while place + 12 <= len(ivf):
        size = struct.unpack_from("<I", ivf, place)[0]
        frames.append(ivf[place + 12 : place + 12 + size])
        place += 12 + size
    rng = np.random.default_rng(3)
    count = len(frames)
    for times in (
        list(range(count))[::-1],
        [7] * count,
        [0] * count,
        rng.permutation(count).tolist(),
        [number + (1 << 40) * (number == 20) for number in range(count)],
        [number + (1 << 62) * (number > 20) for number in range(count)],
        [number + (1 << 40) * (number > 20) for number in range(count)],
        [(1 << 63) + number for number in range(count)],
        [number * ((1 << 62) // count) for number in range(count)],
        [number % 10 for number in range(count)],
    ):
        body = b"".join(struct.pack("<IQ", len(f), t) + f for f, t in zip(frames, times, strict=True))
        yield kind, "vp9.ivf", ivf[:32] + body
    for rate, scale in ((0, 1), (1, 0), (0xFFFFFFFF, 1), (1, 0xFFFFFFFF)):
        yield "lying time scale", "vp9.ivf", _put(ivf, 16, struct.pack("<II", rate, scale))
    yield kind, "mpeg2.ts", data["mpeg2.ts"] * 2
    yield kind, "interlaced.ts", data["interlaced.ts"][188 * 40 :] + data["interlaced.ts"]
    for name in ("b_frames.mp4", "index_last.mp4"):
        for value in (0x7FFFFFFF, 0x80000000, 0xFFFF0000, 1 << 24):
            for entry in (0, 1, 5):
                yield kind, name, _in_box(data[name], b"ctts", 12 + 8 * entry, struct.pack(">I", value))
    for name in ("open_gop.mkv", "vp8.webm"):
        for seed in range(4):
            yield kind, name, _shuffle_blocks(data[name], np.random.default_rng(seed))
    for fps in (b"F0:0", b"F1000000000:1", b"F1:1000000000", b"F-5:1"):
        yield "lying time scale", "raw.y4m", data["raw.y4m"].replace(b"F25:1", fps, 1)


def h264_claim(size: int) -> bytes:
    """An H.264 stream whose parameter set claims size x size pixels, with pictures of rubbish."""
    blocks = size // 16 - 1
    sps = _Bits().bits(66, 8).bits(0, 8).bits(62, 8).ue(0).ue(0).ue(2).ue(1).bits(0, 1).ue(blocks).ue(blocks)
    sps.bits(0b1100, 4)
    pps = _Bits().ue(0).ue(0).bits(0, 2).ue(0).ue(0).ue(0).bits(0, 3).ue(0).ue(0).ue(0).bits(0, 3)
    units = [b"\x67" + sps.bytes(), b"\x68" + pps.bytes()]
    rubbish = np.random.default_rng(0)
    for number in range(8):
        picture = _Bits().ue(0).ue(7).ue(0).bits(0, 4).ue(number % 2).bits(0, 2).ue(0)
        units.append(b"\x65" + picture.bytes() + rubbish.integers(4, 256, 3000, dtype=np.uint8).tobytes())
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in units)


class _Bits:
    """Writes bits and Exp-Golomb codes."""

    def __init__(self) -> None:
        self._text = ""

    def bits(self, value: int, count: int) -> _Bits:
        self._text += f"{value:0{count}b}"
        return self

    def ue(self, value: int) -> _Bits:
        code = f"{value + 1:b}"
        self._text += "0" * (len(code) - 1) + code
        return self

    def bytes(self) -> bytes:
        text = self._text + "1"
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def _in_box(data: bytes, box: bytes, offset: int, value: bytes) -> bytes:
    """`offset` counts from behind the box's name."""
    return _put(data, data.index(box) + 4 + offset, value)


def _put(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


def _jpeg_sizes(data: bytes, sizes: list[tuple[int, int]]) -> bytes:
    """Height and width of each JPEG picture in turn, the last ones for all that follow."""
    broken, place, number = bytearray(data), 0, 0
    while (place := data.find(b"\xff\xc0\x00\x11\x08", place + 1)) >= 0:
        struct.pack_into(">HH", broken, place + 5, *sizes[min(number, len(sizes) - 1)])
        number += 1
    return bytes(broken)


def _shuffle_blocks(data: bytes, rng: np.random.Generator) -> bytes:
    """The 16-bit times of simple blocks, exchanged at random or thrown far."""
    broken = bytearray(data)
    places = [
        i for i in range(len(data) - 9) if data[i] == 0xA3 and data[i + 1] & 0x40 and data[i + 3] == 0x81
    ]
    places = [a for a, b in pairwise([*places, len(data)]) if b - a > 8]
    times = [data[place + 4 : place + 6] for place in places]
    for place, time in zip(places, rng.permutation(len(times)), strict=True):
        far = rng.integers(-32768, 32768)
        broken[place + 4 : place + 6] = times[int(time)] if rng.random() < 0.7 else struct.pack(">h", far)
    return bytes(broken)
