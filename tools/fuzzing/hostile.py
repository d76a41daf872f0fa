"""Files that only claim to be videos, and files that are made to harm: lists of addresses, bombs, devices."""

from __future__ import annotations

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tools.fuzzing.lies import Crafted

NAMED = "secret.mp4"  # a sound video beside the cases that lists try to name


def texts(folder: Path) -> Iterator[Crafted]:
    """Playlists and other texts under the names of videos; `folder` holds the file that they name."""
    secret = folder / NAMED
    for target in (
        str(secret),
        f"file://{secret}",
        "http://127.0.0.1:9/x.mp4",
        "concat:/etc/passwd|/etc/hosts",
    ):
        hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n"
        yield "playlist", "list.mp4", hls.encode()
        yield "playlist", "list.mkv", f"ffconcat version 1.0\nfile '{target}'\n".encode()
        yield (
            "playlist",
            "list.ts",
            (
                f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                f'mediaPresentationDuration="PT9S">'
                f'<Period><AdaptationSet><Representation id="1" bandwidth="1">'
                f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
            ).encode(),
        )
        yield (
            "playlist",
            "list.mov",
            (
                f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\na=control:{target}\n"
                f"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
            ).encode(),
        )
        yield "playlist", "list.avi", f"[playlist]\nFile1={target}\nNumberOfEntries=1\n".encode()
        yield "playlist", "list.wmv", f"<ASX version='3'><Entry><Ref href='{target}'/></Entry></ASX>".encode()
        yield "playlist", "list.webm", f";FFMETADATA1\ntitle={target}\n[CHAPTER]\nSTART=0\nEND=1\n".encode()
    reference = b"url " + f"file://{secret}".encode() + b"\0"
    alias = _box(b"rmda", _box(b"rdrf", struct.pack(">I4sI", 0, b"url ", len(reference)) + reference))
    yield "playlist", "reference.mov", _box(b"ftyp", b"qt  \0\0\0\0") + _box(b"moov", _box(b"rmra", alias))
    yield "no video", "empty.mp4", b""
    yield "no video", "one_byte.mkv", b"\0"
    yield "no video", "table.avi", b"time,label\n0.0,happy\n" * 500
    yield "no video", "page.webm", b"<!DOCTYPE html><html><body>404</body></html>" * 20
    yield "no video", "zeros.mp4", bytes(100_000)
    yield "no video", "ones.ts", b"\xff" * 100_000
    yield "no video", "syncs.ts", b"\x47" * 188_000
    yield "no video", "starts.mpg", b"\x00\x00\x01\xba" * 20_000
    yield "no video", "program.mp4", b"\x7fELF" + bytes(5000)
    for seed in range(6):
        noise = np.random.default_rng(seed).bytes(1 << (6 + 3 * seed))
        yield "random bytes", ("a.mp4", "b.mkv", "c.ts", "d.avi", "e.gif", "f.jpg")[seed], noise


def pictures() -> Iterator[Crafted]:
    """Stills under the names of videos, videos under those of stills, and pictures that are bombs."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    for kind in ("png", "jpeg", "webp", "gif", "tiff", "bmp"):
        yield "picture as video", f"{kind}.mp4", _encoded(small, kind)
        yield "picture as video", f"{kind}.gif", _encoded(small, kind)
    for size in (16_384, 50_000):
        yield "picture bomb", "claim.png", _png(size, size, b"\0" * 1000)
        yield "picture bomb", "claim.bmp", _claim(_encoded(small, "bmp"), 18, struct.pack("<ii", size, size))
    yield "picture bomb", "bomb.png", lambda: _png(16_384, 16_384, b"\0" * (16_385 * 16_384))
    yield "picture bomb", "fits.png", lambda: _png(8192, 8192, b"\0" * (8193 * 8192))  # just within the limit
    jpeg = _encoded(small, "jpeg")
    place = jpeg.index(b"\xff\xc0") + 5
    for size in (16_384, 65_500):
        yield "picture bomb", "claim.jpg", _claim(jpeg, place, struct.pack(">HH", size, size))
    png = _encoded(small, "png")

    def with_packed_text() -> bytes:
        return png[:33] + _chunk(b"zTXt", b"note\0\0" + _zeros_compressed(300 << 20)) + png[33:]

    yield "picture bomb", "text.png", with_packed_text
    frames = [Image.new("P", (2000, 2000), shade) for shade in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=1)
    yield "picture bomb", "many.gif", buffer.getvalue() + buffer.getvalue()[800:] * 3
    yield "picture bomb", "bomb.keypoints.npz", _keypoint_bomb


def _keypoint_bomb() -> bytes:
    """An array that claims 109 GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        header = np.lib.format.magic(1, 0) + struct.pack("<H", 118)
        shape = (
            f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 28}, 1, 17, 3), }}".ljust(117) + "\n"
        )
        archive.writestr("keypoints.npy", header + shape.encode() + bytes(64 << 20))
    return buffer.getvalue()


def containers(sound: bytes) -> Iterator[Crafted]:
    """Too much of something: metadata, streams, nesting. `sound`: an MP4 whose index is first."""
    moov = sound.index(b"moov") - 4
    length = struct.unpack_from(">I", sound, moov)[0]
    inside, after = sound[moov + 8 : moov + length], sound[moov + length :]

    def with_moov(content: bytes) -> bytes:
        return sound[:moov] + _box(b"moov", content) + after

    note = _box(b"\xa9cmt", struct.pack(">HH", 0xFFFF, 0) + b"A" * 65_535)
    yield "too much", "notes.mp4", with_moov(inside + _box(b"udta", note * 400))
    yield "too much", "free.mp4", _box(b"free", bytes(30 << 20)) + sound
    yield "too much", "tiny_boxes.mp4", sound[:moov] + _box(b"free", b"") * 200_000 + sound[moov:]
    nested = b""
    for _ in range(5000):
        nested = _box(b"moov", nested)
    yield "too much", "nested.mp4", sound[:moov] + nested + after
    trak = inside.index(b"trak") - 4
    track = inside[trak : trak + struct.unpack_from(">I", inside, trak)[0]]
    for count in (200, 3000):
        yield "too much", "tracks.mp4", with_moov(inside + track * count)
    claimed = 0x7FFFFFF0

    def packed_index(content: bytes) -> bytes:
        packed = _box(b"dcom", b"zlib") + _box(b"cmvd", struct.pack(">I", claimed) + content)
        return with_moov(_box(b"cmov", packed))

    yield "index bomb", "packed_index.mov", packed_index(zlib.compress(_box(b"moov", inside)))
    yield "index bomb", "packed_zeros.mov", lambda: packed_index(_zeros_compressed(1 << 30))
    yield "no frames", "no_tracks.mp4", with_moov(inside[:trak])
    yield "no frames", "header.mp4", sound[: sound.index(b"ftyp") + 20]


def places(folder: Path) -> Iterator[tuple[str, Path]]:
    """Things in a folder that are no plain files, made there: (kind, path)."""
    kind = "no plain file"
    links = {
        "link_to_zeros.mp4": "/dev/zero",
        "link_to_noise.mkv": "/dev/urandom",
        "link_to_terminal.avi": "/dev/tty",
        "link_to_text.mp4": "/etc/passwd",
        "link_to_memory.webm": "/proc/self/mem",
        "link_to_kernel.ts": "/proc/kmsg",
        "dangling.mp4": str(folder / "nowhere.mp4"),
        "itself.mp4": "itself.mp4",
        "to_folder.mp4": str(folder),
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
        if name != "to_folder.mp4":  # a loop of folders: walked once, not a case of its own
            yield kind, folder / name
    for name in ("pipe.mp4", "pipe.jpg", "flow.keypoints.npz"):
        os.mkfifo(folder / name)
        yield kind, folder / name
    here = socket.socket(socket.AF_UNIX)
    descriptor = os.open(folder, os.O_RDONLY)  # by descriptor: the name of a socket may not be long
    here.bind(f"/proc/self/fd/{descriptor}/socket.mp4")
    os.close(descriptor)
    here.close()
    yield kind, folder / "socket.mp4"
    sparse = folder / "sparse.mp4"
    with sparse.open("wb") as file:
        file.truncate(1 << 42)
    yield "too much", sparse


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _png(width: int, height: int, rows: bytes) -> bytes:
    """A grey PNG that claims a size, with whatever rows one gives it."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")


def _zeros_compressed(count: int) -> bytes:
    packer = zlib.compressobj(1)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(count >> 20)) + packer.flush()


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _claim(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]
