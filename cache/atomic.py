"""Files that appear whole or not at all, also after a kill or a power cut.

Everything is written to a hidden `.tmp` file beside its place, fsynced, and renamed; then the folder is
fsynced, because the rename itself lives there.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

TEMP_SUFFIX = ".tmp"  # of files that live for a moment
FSYNC_THREADS = 32
WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
PARTIAL_SUFFIX = ".partial"  # of shards that a worker is writing


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name when the block ends well; after an error `path` is as it was."""
    temp = path.with_name(f".{uuid4().hex}{TEMP_SUFFIX}")  # not from path.name: that may be 255 bytes long
    try:
        with temp.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temp, path)
    except BaseException as error:
        temp.unlink(missing_ok=True)
        name_file(error, temp, path)
        raise


def name_file(error: BaseException, temp: Path, path: Path) -> None:
    """Let an error of writing `temp` name `path`: `write` and `close` name none."""
    if not isinstance(error, OSError):
        return
    is_unnamed = error.filename is None and error.errno in WRITE_ERRORS
    if is_unnamed or error.filename in (temp, str(temp)):
        error.filename = str(path)


def atomic_write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def atomic_write_all(contents: dict[Path, bytes]) -> None:
    """Write many small files, each whole or not at all; far fewer waits than one by one."""
    temps = {path: path.with_name(f".{uuid4().hex}{TEMP_SUFFIX}") for path in contents}
    try:
        for path, temp in temps.items():
            temp.write_bytes(contents[path])
        with ThreadPoolExecutor(FSYNC_THREADS) as pool:  # waits that overlap share one write of the journal
            list(pool.map(fsync_file, temps.values()))
        for path, temp in temps.items():
            temp.replace(path)
    finally:
        for temp in temps.values():
            temp.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        fsync_dir(folder)


def write_together(intent: Path, contents: dict[Path, bytes]) -> None:
    """Write text files in folders beside `intent`: after a kill there are all of them, or none.

    `intent` holds them until all are in their places; `finish_writing` goes on from it.
    """
    texts = {str(path.relative_to(intent.parent)): content.decode() for path, content in contents.items()}
    atomic_write_text(intent, json.dumps(texts))
    finish_writing(intent)


def finish_writing(intent: Path) -> None:
    """Put in their places the files that a killed `write_together` has left. What is there stays as it is."""
    try:
        texts = json.loads(intent.read_bytes())
    except FileNotFoundError:
        return
    contents = {intent.parent / name: text.encode() for name, text in texts.items()}
    for folder in {path.parent for path in contents}:
        folder.mkdir(exist_ok=True)
    atomic_write_all({path: content for path, content in contents.items() if not path.exists()})
    intent.unlink()
    fsync_dir(intent.parent)


def publish(temp: Path, path: Path) -> None:
    """Give a finished, fsynced file its name, durably; a file of that name is replaced."""
    temp.replace(path)
    fsync_dir(path.parent)


def fsync_file(path: Path) -> None:
    """Wait until the content of a closed file is on the disk."""
    _fsync(path, os.O_RDONLY)


def fsync_dir(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def sweep_temps(folder: Path) -> list[str]:
    """Remove what killed writers left in a folder; the names removed. Only while nobody writes there."""
    temps = sorted(folder.glob(f".*{TEMP_SUFFIX}"))
    for temp in temps:
        temp.unlink(missing_ok=True)
    return [temp.name for temp in temps]


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
