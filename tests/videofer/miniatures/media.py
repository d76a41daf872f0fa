"""Tiny real videos and pictures for miniatures of data sets: encoded once, no two copies the same."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from tests.videos import numbered_picture, write_video

_CODECS = {".mp4": "libx264", ".avi": "mpeg4", ".flv": "flv"}


@dataclass
class Media:
    """Bytes by suffix; `video` and `picture` write copies that differ in what no decoder looks at."""

    folder: Path  # for the first encoding
    bytes_of: dict[str, bytes] = field(default_factory=dict)
    num_written: int = 0

    def video(self, path: Path) -> Path:
        """A video of 8 frames at 25 a second; its container by the suffix."""
        suffix = path.suffix.lower()
        if suffix not in self.bytes_of:
            base = Fraction(1, 1000) if suffix == ".flv" else Fraction(1, 25)
            step = 40 if suffix == ".flv" else 1
            made = write_video(
                self.folder / f"clip{suffix}",
                pts=[number * step for number in range(8)],
                time_base=base,
                codec=_CODECS[suffix],
            )
            self.bytes_of[suffix] = made.read_bytes()
        return self._write(path, self.bytes_of[suffix], suffix)

    def picture(self, path: Path) -> Path:
        """A still of 64x48."""
        suffix = path.suffix.lower()
        if suffix not in self.bytes_of:
            done, data = cv2.imencode(suffix, np.ascontiguousarray(numbered_picture(3)[..., ::-1]))
            assert done
            self.bytes_of[suffix] = data.tobytes()
        return self._write(path, self.bytes_of[suffix], suffix)

    def frames(self, folder: Path, names: list[str]) -> Path:
        """A folder of pictures."""
        for name in names:
            self.picture(folder / name)
        return folder

    def _write(self, path: Path, data: bytes, suffix: str) -> Path:
        self.num_written += 1
        mark = struct.pack(">Q", self.num_written)
        if suffix == ".mp4":
            mark = struct.pack(">I", 16) + b"free" + mark
        elif suffix == ".avi":
            mark = b"JUNK" + struct.pack("<I", 8) + mark
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data + mark)
        return path


def text(path: Path, content: str) -> Path:
    """A text file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 129302\n"
)
