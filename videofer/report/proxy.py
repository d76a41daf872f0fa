"""A small copy of a video that every browser plays, with the very same times: H.264 and AAC in MP4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cache.errors import UserError
from videofer.overlay.encode import Mp4Writer
from videofer.overlay.footage import Footage

MAX_SIDE = 854  # pixels; a page shows no more
QUALITY = 27  # x264's CRF
KEYFRAME_SECONDS = 0.5  # a click decodes a quarter of a second on average


@dataclass(frozen=True)
class Proxy:
    """What became of it."""

    path: Path
    num_bytes: int
    width: int
    height: int
    has_sound: bool
    warnings: tuple[str, ...]


def write_proxy(media: Path, out: Path, *, on_progress: Callable[[float], None] | None = None) -> Proxy:
    """Write the copy of `media`: upright, at most MAX_SIDE pixels a side, all pictures at their times.

    The copy's time is media time. Written whole or not at all. UserError where nothing decodes.
    """
    report = on_progress or (lambda share: None)
    footage = Footage.open(media)
    width, height = proxy_size(footage)
    end = float(footage.end or 0)
    count = 0
    with Mp4Writer(
        out,
        width=width,
        height=height,
        footage=footage,
        quality=QUALITY,
        keyframe_seconds=KEYFRAME_SECONDS,
    ) as writer:
        for picture in footage.pictures():
            fitting = picture if picture.y.shape == (height, width) else picture.resized(width, height)
            writer.write(fitting.planes, fitting.t_start, fitting.t_end)
            count += 1
            if end > 0 and count % 25 == 0:
                report(min(1.0, float(picture.t_end) / end))
        if not count:
            raise UserError(f"{media}: no picture could be decoded for the report")
    report(1.0)
    warnings = (f"the copy of the video ends early: {footage.broken_off}",) if footage.broken_off else ()
    return Proxy(out, out.stat().st_size, width, height, has_sound_of(out), warnings)


def proxy_size(footage: Footage) -> tuple[int, int]:
    """(width, height) of the copy, even. Pixels that are not square stay so, players heed that."""
    scale = min(1.0, MAX_SIDE / max(footage.width, footage.height))
    return max(2, 2 * round(footage.width * scale / 2)), max(2, 2 * round(footage.height * scale / 2))


def has_sound_of(path: Path) -> bool:
    """Whether a file of ours has sound."""
    import av

    with av.open(path) as container:
        return bool(container.streams.audio)
