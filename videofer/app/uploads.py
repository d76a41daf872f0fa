"""Take one upload: limited in size and kind while it comes, and looked into before it is kept."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from starlette.concurrency import run_in_threadpool

from videofer.app.library import Item, Library

MAX_BYTES = 4_000_000_000
SPARE_BYTES = 1_000_000_000  # of the disk that an upload leaves free
MAX_NAME = 200


@dataclass(frozen=True)
class UploadError(Exception):
    """An upload that is not taken: the HTTP status and one line that says why."""

    status: int
    reason: str


async def receive(
    library: Library, name: str, declared: int | None, body: AsyncIterator[bytes], max_bytes: int = MAX_BYTES
) -> Item:
    """Write the body into the library as it comes. Raises UploadError; then nothing of it is left.

    name: what the browser calls the file. declared: its size as the request says, None where it does not.
    """
    shown = shown_name(name)
    file = file_name(shown)
    room = min(max_bytes, shutil.disk_usage(library.folder).free - SPARE_BYTES)
    if declared is not None and declared > room:
        raise _too_large(declared, max_bytes)
    item_id = library.begin()
    try:
        target = library.path(item_id) / "video" / file
        num_bytes = await _write(target, body, room, max_bytes)
        if declared is not None and num_bytes != declared:
            raise UploadError(400, f"{shown}: {num_bytes} of {declared} bytes came")
        await run_in_threadpool(check_video, target, shown)
        return library.add(item_id, shown, file, num_bytes)
    except BaseException:  # also where the browser goes away
        library.discard(item_id)
        raise


async def _write(target: Path, body: AsyncIterator[bytes], room: int, max_bytes: int) -> int:
    num_bytes = 0
    with target.open("xb") as out:
        async for chunk in body:
            num_bytes += len(chunk)
            if num_bytes > room:
                raise _too_large(num_bytes, max_bytes)
            out.write(chunk)
    return num_bytes


def shown_name(name: str) -> str:
    """The last part of whatever path a browser sends, without control characters; never empty."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    clean = "".join(c for c in last if c.isprintable()).strip()
    return clean[-MAX_NAME:] or "video"


def file_name(shown: str) -> str:
    """A safe file name with the suffix of the shown one. Raises UploadError where that is of no video."""
    from preprocessing.discover import VIDEO_SUFFIXES
    from videofer.formats.names import safe_stem

    suffix = PurePosixPath(shown).suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        known = ", ".join(sorted(VIDEO_SUFFIXES))
        raise UploadError(415, f"{shown} is no video by its name; known are {known}")
    return safe_stem(PurePosixPath(shown).stem) + suffix


def check_video(path: Path, shown: str) -> None:
    """Raises UploadError where a file is no video that can be read, whatever it is called."""
    from preprocessing.decode.limits import Limits
    from preprocessing.probe import probe
    from preprocessing.types import InputError, Source

    try:
        probe(Source(path, path.name, "video"), Limits())
    except InputError as error:
        raise UploadError(415, f"{shown} cannot be read as a video: {error.reason}") from None


def _too_large(num_bytes: int, max_bytes: int) -> UploadError:
    if num_bytes > max_bytes:
        return UploadError(413, f"the video is larger than {max_bytes / 1e9:.1f} GB, the limit of this app")
    return UploadError(507, "the disk has no room for the video")
