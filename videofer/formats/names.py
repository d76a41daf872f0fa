"""Names of files: safe on every file system, distinct, and never those of another video's products."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from videofer.timeline.ours import FILM_ENDINGS

MAX_STEM_BYTES = 120

_DEVICES = {"con", "prn", "aux", "nul"} | {f"{name}{i}" for name in ("com", "lpt") for i in range(1, 10)}
_OF_A_STUDY = {"index", "rows", "videos"}
"""What `videofer timeline FOLDER` writes beside: index.html, rows.parquet, videos.csv."""
_ENDINGS = ("_segments", "_summary", "_events", "_openface", "_annotated", "_blurred", "_proxy")
"""What our products append to a stem: a video `a_events.mp4` must not get the file of `a.mp4`."""


def safe_stems(names: Sequence[str], inputs_beside: Collection[str] = ()) -> list[str]:
    """A distinct, safe file name (without suffix) for each video name.

    `interview.mp4` becomes `interview`; where that would be taken twice (also if only upper and lower
    case differ), or where a product would get the name of one of the `inputs_beside`, the folders and the
    suffix stay in: `monday__interview.mp4`.
    """
    short = [safe_stem(PurePosixPath(name).stem) for name in names]
    taken = Counter(stem.casefold() for stem in short)
    full = [safe_stem(name.replace("/", "__")) for name in names]
    beside = {name.casefold() for name in inputs_beside}
    chosen = [
        one if taken[one.casefold()] == 1 and not _takes(one, beside) else other
        for one, other in zip(short, full, strict=True)
    ]
    taken = Counter(stem.casefold() for stem in chosen)
    return [
        stem if taken[stem.casefold()] == 1 else _with_digest(stem, name)
        for stem, name in zip(chosen, names, strict=True)
    ]


def safe_stem(text: str) -> str:
    """A file name without suffix that every file system takes: letters of any script, digits, " ._-()"."""
    stem = re.sub(r"[^\w .()\-]", "_", unicodedata.normalize("NFC", text)).strip(" .")
    if stem.startswith("-"):
        stem = "_" + stem[1:]  # a command line would take it for an option
    if not stem or stem.split(".")[0].casefold() in _DEVICES:
        stem = "_" + stem
    if stem.casefold() in _OF_A_STUDY or stem.casefold().endswith(_ENDINGS):
        stem += "_"
    return stem if len(stem.encode()) <= MAX_STEM_BYTES else _with_digest(stem, text)


def _takes(stem: str, names: Collection[str]) -> bool:
    return any(f"{stem}{ending}".casefold() in names for ending in (".png", *FILM_ENDINGS))


def _with_digest(stem: str, text: str) -> str:
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    kept = stem.encode()[: MAX_STEM_BYTES - 9].decode(errors="ignore").rstrip(" .")
    return f"{kept}-{digest}"
