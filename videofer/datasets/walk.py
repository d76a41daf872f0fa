"""Finding files and folders of a data set, wherever inside the folder given its root is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from preprocessing.decode.still_engine import IMAGE_SUFFIXES, natural_key
from preprocessing.discover import VIDEO_SUFFIXES

MAX_DEPTH = 3  # of a set's root below the folder given
FEW = 300  # folders: enough to recognise a set


def is_there(path: Path) -> bool:
    """Whether there is something of that name: not, where no name can be like it, as a table may have it.

    `Path.exists` raises where a name is too long, up to Python 3.11; so do `is_file` and `is_dir`.
    """
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether a file of that name is there, in the same way."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder of that name is there, in the same way."""
    return os.path.isdir(path)  # noqa: PTH112


def folders_of(path: Path) -> list[Path]:
    """Folders in a folder that are not hidden, in natural order; none where it cannot be read."""
    return [entry for entry in _entries(path) if entry.is_dir()]


def files_of(path: Path, suffixes: Iterable[str] | None = None) -> list[Path]:
    """Files in a folder that are not hidden, in natural order."""
    wanted = None if suffixes is None else set(suffixes)
    return [
        entry
        for entry in _entries(path)
        if (wanted is None or entry.suffix.lower() in wanted) and entry.is_file()
    ]


def videos_of(path: Path) -> list[Path]:
    """Video files in a folder."""
    return files_of(path, VIDEO_SUFFIXES)


def pictures_of(path: Path) -> list[Path]:
    """Pictures in a folder."""
    return files_of(path, IMAGE_SUFFIXES)


def videos_below(path: Path, max_folders: int | None = None) -> Iterator[Path]:
    """All video files below a folder, in natural order; see `files_below`."""
    return files_below(path, VIDEO_SUFFIXES, max_folders)


def files_below(path: Path, suffixes: Iterable[str], max_folders: int | None = None) -> Iterator[Path]:
    """All such files below a folder, in natural order of folders and names; hidden ones are passed over.

    max_folders: so many are looked into. A set of pictures has a folder a clip, and to recognise one must not
    take minutes.
    """
    wanted = set(suffixes)
    seen: set[tuple[int, int]] = set()  # against loops of links, which are followed
    for folder, names, files in os.walk(path, followlinks=True):
        try:
            status = Path(folder).stat()
        except OSError:  # gone, or nobody may enter it
            names.clear()
            continue
        if (status.st_dev, status.st_ino) in seen:
            names.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        if max_folders is not None and len(seen) > max_folders:
            return
        names[:] = sorted((name for name in names if not name.startswith(".")), key=natural_key)
        for name in sorted(files, key=natural_key):
            if not name.startswith(".") and Path(name).suffix.lower() in wanted:
                yield Path(folder) / name


def below(path: Path, *wanted: str, depth: int = MAX_DEPTH) -> Path | None:
    """The folder itself or the nearest below it in which all of these relative paths exist."""
    level = [path]
    for _ in range(depth + 1):
        for folder in level:
            if all(is_there(folder / name) for name in wanted):
                return folder
        level = [inner for folder in level[:50] for inner in folders_of(folder)[:200]]
    return None


def folder_matching(path: Path, pattern: str, depth: int = MAX_DEPTH) -> Path | None:
    """The folder itself or the nearest below it that has a folder of such a name (`re.fullmatch`)."""
    matches = re.compile(pattern, re.IGNORECASE).fullmatch
    level = [path]
    for _ in range(depth + 1):
        deeper = []
        for folder in level[:50]:
            inner = folders_of(folder)
            if any(matches(each.name) for each in inner):
                return folder
            deeper += inner[:200]
        level = deeper
    return None


def _entries(path: Path) -> list[Path]:
    try:
        entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(entries, key=lambda entry: natural_key(entry.name))
