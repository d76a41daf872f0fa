"""The mark that our pictures, pages and films carry, by which a later run knows them from the user's files.

What we made is no input of the next run, and what others made is not overwritten. Only beginnings of files
are read, however large they are.
"""

from __future__ import annotations

from pathlib import Path

MARK = "videofer"
FILM_ENDINGS = ("_annotated.mp4", "_blurred.mp4", "_proxy.mp4")

_HEAD_BYTES = 4096
_IN_PNG = b"tEXtSoftware\0" + MARK.encode()
_IN_PAGE = b'<meta name="generator" content="' + MARK.encode()


def is_ours(path: Path) -> bool:
    """Whether the PNG, HTML or MP4 file at `path` carries the mark. False for all others, also unreadable."""
    match path.suffix.lower():
        case ".png":
            return _IN_PNG in _head(path)
        case ".html":
            return _IN_PAGE in _head(path)
        case ".mp4":
            return path.name.lower().endswith(FILM_ENDINGS) and _comment(path).startswith(MARK)
        case _:
            return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _comment(path: Path) -> str:
    """The comment among the tags of a film."""
    import av

    try:
        if not path.is_file():  # a pipe would be waited for
            return ""
        with av.open(path) as container:
            return container.metadata.get("comment", "")
    except (av.FFmpegError, OSError, ValueError):
        return ""
