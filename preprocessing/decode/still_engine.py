"""Pictures as video: one image is a video of one frame, a folder of images is one of many. Read with Pillow.

Photographs are turned upright by their EXIF tag. Times are microseconds; a folder without a declared rate
has its pictures 1 s apart, which is said as a warning.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from preprocessing.decode.container import file_bytes
from preprocessing.decode.frames import PixelFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.orientation import Orientation, from_exif
from preprocessing.types import Frame, InputError, Probe, Source

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
MICROSECONDS = Fraction(1, 1_000_000)
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")  # Pillow opens stranger things, we do not
_EXIF_ORIENTATION = 0x0112


class StillDecoder:
    """Fulfils `preprocessing.types.Decoder` for images and folders of images."""

    name = "pillow"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.warnings: list[str] = []  # about the last input

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """The pictures in order. Raises InputError("decode", ...) at a broken one or one of another size."""
        self.warnings = []
        if source.kind == "frames" and source.fps is None:
            self.warnings.append("no frame rate declared: pictures are taken as 1 s apart")
        paths = still_paths(source)
        for index, path in enumerate(paths):
            where = f"{path.name}: " if source.kind == "frames" else ""
            try:
                rgb = _read_upright(path, self.limits)
            except InputError as error:
                raise InputError("decode", where + error.reason) from error
            height, width = rgb.shape[:2]
            if (width, height) != (probe.width, probe.height):
                raise InputError(
                    "decode",
                    f"{where}{width}x{height} pixels, the first picture has {probe.width}x{probe.height}",
                )
            pts = frame_time_us(index, source.fps)
            yield PixelFrame(rgb, pts, frame_time_us(index + 1, source.fps) - pts)


def probe_stills(source: Source, limits: Limits) -> Probe:
    """From the header of the first picture. Raises InputError("probe", ...)."""
    paths = still_paths(source)
    if not paths:
        raise InputError("probe", "no pictures in the folder")
    if source.fps is not None and not 0 < source.fps <= 100_000:
        raise InputError("probe", f"frame rate of {source.fps} a second; it must lie in (0, 100000]")
    try:
        limits.check_bytes(sum(path.stat().st_size for path in paths))
    except OSError as error:
        raise InputError("probe", f"cannot be read: {error.strerror}") from error
    try:
        with _open_image(paths[0], limits) as image:
            width, height = image.size
            orientation = _orientation(image)
            codec, mode = str(image.format).lower(), image.mode
    except InputError as error:
        where = f"{paths[0].name}: " if source.kind == "frames" else ""
        raise InputError("probe", where + error.reason) from error
    upright_width, upright_height = orientation.size(width, height)
    duration = frame_time_us(len(paths), source.fps) * MICROSECONDS
    limits.check_duration(float(duration))
    return Probe(
        width=upright_width,
        height=upright_height,
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        stream_index=0,
        time_base=MICROSECONDS,
        presentation_start=Fraction(0),
        duration=float(duration),
        codec=codec,
        pixel_format=mode,
    )


def still_paths(source: Source) -> list[Path]:
    """The picture files of an image or a folder, in order of their numbers."""
    if source.kind == "image":
        return [source.path]
    try:
        entries = list(source.path.iterdir())
    except OSError as error:
        raise InputError("probe", f"cannot be read: {error.strerror}") from error
    pictures = [
        path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(pictures, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts frame2 before frame10."""
    parts = re.split(r"(\d+)", name, flags=re.ASCII)
    return [
        (0, int(part) if len(part) < 4000 else 0, part)
        if part.isdecimal() and part.isascii()
        else (1, 0, part)
        for part in parts
    ]


def frame_time_us(index: int, fps: float | None) -> int:
    """Microseconds at which a frame of a folder starts; without a rate frames are 1 s apart."""
    return round(index * 1_000_000 / (Fraction(1) if fps is None else exact_rate(fps)))


def exact_rate(fps: float) -> Fraction:
    """What a rounded rate means: 29.97 is 30000/1001, which after an hour is 3.6 ms away from 2997/100."""
    for rate in (24, 30, 48, 60, 120):
        television = Fraction(rate * 1000, 1001)
        if abs(fps - television) < 0.005:
            return television
    return Fraction(fps).limit_denominator(100_000)


def _read_upright(path: Path, limits: Limits) -> np.ndarray:
    """(h, w, 3) uint8 RGB. Raises InputError."""
    with _open_image(path, limits) as image:
        orientation = _orientation(image)
        try:
            if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
                gray = np.asarray(image, dtype=np.float64)
                scale = 255 / 65535 if gray.max(initial=0) > 255 else 1
                levels = np.clip(np.rint(gray * scale), 0, 255).astype(np.uint8)
                rgb = np.repeat(levels[..., None], 3, axis=2)
            else:
                rgb = np.array(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, MemoryError, EOFError) as error:
            raise InputError("decode", f"damaged picture: {error}".replace("\n", " ")) from error
    return orientation.turn(rgb)


def _open_image(path: Path, limits: Limits) -> Image.Image:
    """Reads the header only. Raises InputError."""
    limits.check_bytes(file_bytes(path, "probe"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            image = Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise InputError("probe", f"more than the limit of {limits.max_pixels} pixels") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError("probe", "not an image, or a damaged one") from error
    try:
        limits.check_picture(*image.size)
    except InputError:
        image.close()
        raise
    return image


def _orientation(image: Image.Image) -> Orientation:
    try:
        return from_exif(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken EXIF block raises all sorts of things and must not cost the picture
        return Orientation()
