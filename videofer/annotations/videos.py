"""Which video an annotation is about: it names a path of another machine, the videos here lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from videofer.annotations.intervals import AnnotationError


def find_video(media: str, annotation_stem: str, names: Sequence[str]) -> str:
    """The name among `names` (paths relative to the videos' folder) of the video that is meant.

    media: the path in the annotation file, "" where it has none. The file name must be the same, of several
    the one whose folders agree furthest wins; else the name without its suffix (annotators cut the sound into
    a .wav), else that of the annotation file itself. AnnotationError where none or several fit.
    """
    tries = [(media, False), (media, True)] if media else []
    for wanted, loosely in [*tries, (annotation_stem, True)]:
        found = _fitting(_parts(wanted, loosely), {name: _parts(name, loosely) for name in names})
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(repr(name) for name in found[:3])
            raise AnnotationError(f"the video {wanted!r} may be {some}: give the folder of one of them")
    what = f"the video {media!r}" if media else f"a video called {annotation_stem!r}"
    raise AnnotationError(f"{what} is not among the {len(names)} videos there")


def _parts(path: str, loosely: bool) -> tuple[str, ...]:
    """Folders and file name in lower case; loosely: the file name without suffix."""
    pure = PurePosixPath(path.replace("\\", "/").casefold())
    last = pure.stem if loosely and len(pure.suffix) <= 6 else pure.name  # "talk.2026-03-01" has no suffix
    return (*(part for part in pure.parts[:-1] if part not in ("/", ".")), last)


def _fitting(wanted: tuple[str, ...], names: dict[str, tuple[str, ...]]) -> list[str]:
    """Names that share most parts with the wanted one, counted from the end."""
    common = {name: _common_end(wanted, parts) for name, parts in names.items()}
    most = max(common.values(), default=0)
    return [name for name, number in common.items() if number == most] if most else []


def _common_end(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    count = 0
    for a, b in zip(reversed(first), reversed(second), strict=False):
        if a != b:
            break
        count += 1
    return count
