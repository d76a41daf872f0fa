"""One file out of a downloaded zip. Its folders are never made: only the bytes of that file are read."""

from __future__ import annotations

import errno
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from preprocessing.quantities import as_bytes
from preprocessing.weights.registry import WeightsError

LARGEST_BYTES = 8 << 30  # unpacked, where the registry does not say how many there are


def unpack_member(archive: Path, name: str, target: Path, num_bytes: int | None = None) -> None:
    """Writes the file called `name`, in whatever folder of the zip, to `target`.

    num_bytes: what it must measure, if that is known. What was written till an error stays. OSError, and
    WeightsError, which says what the zip is not: damaged, without such a file, or one of another length.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            member = _only(opened, name, archive)
            _check_length(member, num_bytes, target.parent)
            with opened.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)  # as many as the zip says, and their CRC
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise WeightsError(f"a whole zip: {error}") from error


def _only(opened: zipfile.ZipFile, name: str, archive: Path) -> zipfile.ZipInfo:
    found = [info for info in opened.infolist() if PurePosixPath(info.filename).name == name]
    if len(found) != 1:
        raise WeightsError(f"a zip with one file {name}: it has {len(found)}")
    return found[0]


def _check_length(member: zipfile.ZipInfo, num_bytes: int | None, folder: Path) -> None:
    if num_bytes is not None and member.file_size != num_bytes:
        raise WeightsError(f"the published file: {member.file_size} bytes unpacked, expected {num_bytes}")
    if member.file_size > LARGEST_BYTES:
        raise WeightsError(f"weights: {as_bytes(member.file_size)} unpacked")
    free = shutil.disk_usage(folder).free
    if member.file_size > free:
        raise OSError(errno.ENOSPC, f"room for {as_bytes(free)}, {as_bytes(member.file_size)} needed", folder)
