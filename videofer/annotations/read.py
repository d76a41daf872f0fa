"""Opens an annotation file with the reader of its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from videofer.annotations.boris_project import read_boris_project
from videofer.annotations.delimited import read_delimited
from videofer.annotations.elan import read_elan
from videofer.annotations.intervals import AnnotationError, Annotations
from videofer.annotations.textgrid import read_textgrid

READERS: dict[str, Callable[[Path], Annotations]] = {
    ".eaf": read_elan,
    ".textgrid": read_textgrid,
    ".boris": read_boris_project,
    ".boris.gz": read_boris_project,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
}


def read_annotations(path: Path) -> Annotations:
    """What people said of videos: ELAN, Praat, BORIS, or a table of intervals, told by the file's suffix.

    AnnotationError in one line where it is none of these or is broken.
    """
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix):
            try:
                return reader(path)
            except OSError as error:
                raise AnnotationError(f"{path}: cannot be read: {error.strerror or error}") from None
    raise AnnotationError(f"{path}: an annotation file ends in {', '.join(READERS)}")
