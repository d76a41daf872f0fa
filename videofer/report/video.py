"""How a report has its video: inside the file, beside it, as a small copy, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from cache.errors import UserError
from videofer.report.playable import Playability, playability

VideoMode = Literal["auto", "link", "embed", "proxy", "none"]
EMBED_BYTES = 50_000_000
"""Larger videos are not put into the page, unless asked for ..."""
MAX_EMBED_BYTES = 300_000_000
"""... and those beyond this not even then: browsers take no larger strings."""


@dataclass(frozen=True)
class Shown:
    """The video of a report."""

    kind: Literal["embedded", "linked", "none"]
    note: str  # for the reader
    has_sound: bool = False
    address: str = ""  # of a linked one, as the page asks for it
    mime: str = "video/mp4"
    content: bytes = b""  # of an embedded one
    files: tuple[Path, ...] = ()  # written beside the page
    warnings: tuple[str, ...] = field(default=())


def show_video(
    media: Path | None,
    page: Path,
    mode: VideoMode,
    on_progress: Callable[[float], None],
    *,
    damage: str = "",
) -> Shown:
    """Bring `media` into the page that will be at `page`.

    auto: embedded up to EMBED_BYTES, linked beyond; through a proxy where browsers cannot play it as it is.
    link, embed: the original so, or its proxy where browsers cannot play it. proxy: always a small copy,
    embedded up to EMBED_BYTES, else beside the page as STEM_proxy.mp4. damage: see `damage_of`; browsers
    cannot play what is damaged. UserError where the file is missing, no video, or too large to embed.
    """
    if media is None or mode == "none":
        return Shown("none", "no video in this page")
    if not media.is_file():
        raise UserError(f"{media}: no such file, so the report cannot show it; --video none does without")
    found = playability(media, damage)
    if mode != "proxy" and found.is_playable:
        return _as_it_is(media, page, mode, found)
    return _through_proxy(media, page, mode, found, on_progress)


def _as_it_is(media: Path, page: Path, mode: VideoMode, found: Playability) -> Shown:
    size = media.stat().st_size
    if mode == "link" or (mode == "auto" and size > EMBED_BYTES):
        return Shown(
            "linked", "linked: the page looks for it where it was", found.has_sound,
            address=address_of(media, page.parent), mime=found.mime,
        )  # fmt: skip
    return _embedded(media, "the original, inside this file", found.has_sound, found.mime)


def _through_proxy(
    media: Path, page: Path, mode: VideoMode, found: Playability, on_progress: Callable[[float], None]
) -> Shown:
    from videofer.formats.kept import keep_foreign
    from videofer.report.proxy import write_proxy

    beside = page.with_name(f"{page.stem}_proxy.mp4")
    keep_foreign(beside)
    made = write_proxy(media, beside, on_progress=on_progress)
    why = "a small copy with the same times" + (f": {found.reason}" if found.reason else "")
    if mode == "embed" or (mode in ("auto", "proxy") and made.num_bytes <= EMBED_BYTES):
        shown = _embedded(beside, f"{why}; inside this file", made.has_sound, "video/mp4", made.warnings)
        beside.unlink()
        return shown
    return Shown(
        "linked", f"{why}; {beside.name}, beside this file", made.has_sound,
        address=address_of(beside, page.parent), files=(beside,), warnings=made.warnings,
    )  # fmt: skip


def _embedded(path: Path, note: str, has_sound: bool, mime: str, warnings: tuple[str, ...] = ()) -> Shown:
    size = path.stat().st_size
    if size > MAX_EMBED_BYTES:
        most = f"{MAX_EMBED_BYTES / 1e6:.0f} MB"
        raise UserError(f"{path} has {size / 1e6:.0f} MB, a page holds at most {most}: --video link or proxy")
    return Shown("embedded", note, has_sound, mime=mime, content=path.read_bytes(), warnings=warnings)


def address_of(path: Path, folder: Path) -> str:
    """The URL by which a page in `folder` asks for a file: relative, so that both can be moved together."""
    try:
        relative = os.path.relpath(path.resolve(), folder.resolve())
    except ValueError:  # another drive of Windows
        return path.resolve().as_uri()
    return "./" + quote(os.fsencode(Path(relative).as_posix()), safe="/")
