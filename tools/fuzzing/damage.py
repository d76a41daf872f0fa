"""Damage to the bytes of a video that knows nothing of its format, or only where its index lies."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

HEADER_BYTES = 700
INDEX_MARKS = (b"moov", b"idx1", b"\x1c\x53\xbb\x6b", b"moof", b"trun", b"stts", b"stsz", b"\x00\x00\x01\xba")

Damage = Callable[[np.random.Generator, bytes, bytes], bytes]
"""Makes broken bytes from those of a seed; the third argument is another seed."""


def flip_header(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Some bits of the first bytes."""
    return _flip(rng, data, 0, min(HEADER_BYTES, len(data)), int(rng.integers(1, 12)))


def flip_index(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Some bits of what tells where frames and times are."""
    places = [place for mark in INDEX_MARKS if (place := data.rfind(mark)) >= 0]
    start = int(rng.choice(places)) if places else max(0, len(data) - 2000)
    return _flip(rng, data, start, min(start + 2000, len(data)), int(rng.integers(1, 12)))


def flip_payload(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Some bits anywhere behind the header: one in a million to one in a thousand."""
    num_flips = max(1, int(len(data) * 10 ** rng.uniform(-5, -2)))
    return _flip(rng, data, min(HEADER_BYTES, len(data) // 2), len(data), num_flips)


def flip_everywhere(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A few bits, all over the file."""
    return _flip(rng, data, 0, len(data), int(rng.integers(1, 40)))


def zero_stretch(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A hole in a file that was copied while it was written."""
    start, end = _range(rng, len(data), 0.5)
    return data[:start] + bytes(end - start) + data[end:]


def random_stretch(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A bad block of a disk."""
    start, end = _range(rng, len(data), 0.2)
    return data[:start] + rng.bytes(end - start) + data[end:]


def truncate(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The file ends early."""
    return data[: int(rng.integers(1, len(data)))]


def behead(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The beginning is missing."""
    return data[int(rng.integers(1, len(data))) :]


def cut_out(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A part of the middle is missing: everything behind it has moved."""
    start, end = _range(rng, len(data), 0.3)
    return data[:start] + data[end:]


def repeat(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A part is there twice."""
    start, end = _range(rng, len(data), 0.3)
    return data[:end] + data[start:]


def splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """The first half of one file and the second half of another."""
    share = rng.uniform(0.1, 0.9)
    return data[: int(share * len(data))] + other[int(share * len(other)) :]


def concatenate(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """Two whole files in one."""
    return data + other


def lie(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A number of the header or index, set to one that programs stumble over."""
    broken = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice([1, 2, 4, 8]))
        area = min(len(data), 3000) if rng.random() < 0.5 else len(data)
        places = [place for mark in INDEX_MARKS if (place := data.find(mark)) >= 0]
        start = int(rng.choice(places)) if places and rng.random() < 0.5 else 0
        place = min(start + int(rng.integers(0, area)), len(data) - 8)
        extreme = int(
            rng.choice([0, 1, -1, 1 << (8 * width - 1), (1 << (8 * width - 1)) - 1, 1 << (4 * width)])
        )
        value = (extreme % (1 << (8 * width))).to_bytes(width, "big" if rng.random() < 0.7 else "little")
        broken[max(place, 0) : max(place, 0) + width] = value
    return bytes(broken)


def lie_in_mp4(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    """A field of an MP4 box: durations, time scale, counts, table entries."""
    names = (
        b"mvhd",
        b"mdhd",
        b"tkhd",
        b"stts",
        b"stsz",
        b"stsc",
        b"stco",
        b"ctts",
        b"stss",
        b"elst",
        b"tfdt",
        b"trun",
    )
    places = [place for name in names if (place := data.find(name)) >= 0]
    if not places:
        return lie(rng, data, other)
    broken = bytearray(data)
    for place in rng.choice(places, size=min(len(places), int(rng.integers(1, 3))), replace=False):
        field = int(place) + 8 + 4 * int(rng.integers(0, 8))
        value = int(rng.choice([0, 1, 2, 10**9, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
        if field + 4 <= len(broken):
            struct.pack_into(">I", broken, field, value)
    return bytes(broken)


DAMAGES: dict[str, Damage] = {
    "bit flips: header": flip_header,
    "bit flips: index": flip_index,
    "bit flips: payload": flip_payload,
    "bit flips: anywhere": flip_everywhere,
    "hole of zeros": zero_stretch,
    "bad block": random_stretch,
    "truncated": truncate,
    "beginning missing": behead,
    "part missing": cut_out,
    "part twice": repeat,
    "spliced": splice,
    "concatenated": concatenate,
    "lying number": lie,
    "lying MP4 field": lie_in_mp4,
}


def _flip(rng: np.random.Generator, data: bytes, start: int, end: int, count: int) -> bytes:
    broken = np.frombuffer(data, np.uint8).copy()
    places = rng.integers(start, max(end, start + 1), size=count)
    broken[places % len(data)] ^= (1 << rng.integers(0, 8, size=count)).astype(np.uint8)
    return broken.tobytes()


def _range(rng: np.random.Generator, length: int, most: float) -> tuple[int, int]:
    start = int(rng.integers(0, length))
    return start, min(length, start + 1 + int(rng.integers(0, max(1, int(most * length)))))
