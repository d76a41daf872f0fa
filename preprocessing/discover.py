"""Finds the inputs: walks files and folders, tells their kinds, gives them names, and hashes their content.

Every media file that is met becomes a source or a failure; nothing is dropped in silence. A file given by
itself is always tried, whatever its name.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from cache.schema import FailureRecord, Kind
from preprocessing.decode.container import file_bytes, open_regular_file
from preprocessing.decode.keypoint_engine import openpose_files
from preprocessing.decode.limits import Limits
from preprocessing.decode.still_engine import IMAGE_SUFFIXES, natural_key, still_paths
from preprocessing.types import InputError, Source

STAGE = "discover"
# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v", ".wmv", ".asf", ".flv", ".f4v",
    ".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".ogv", ".vob", ".mxf", ".dv", ".divx", ".gif", ".mjpeg",
    ".mjpg", ".y4m", ".ivf", ".nut", ".rm", ".rmvb", ".qt"
})
AUDIO_SUFFIXES = frozenset({
    ".mp3", ".wav", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff", ".ac3",
    ".amr", ".mka"
})
# fmt: on
KEYPOINT_SUFFIXES = (".keypoints.npz", ".keypoints.csv", ".keypoints.json")
FPS_FILE = "frames.txt"  # in a folder of pictures: its first number is their rate
_FPS = re.compile(
    r"\s*(?:fps)?\s*[:=]?\s*(\d{1,9}(?:\.\d{1,9}|/0*[1-9]\d{0,8})?)(?![\d./])", re.ASCII | re.IGNORECASE
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Found:
    """A source with the means to give it a longer name."""

    source: Source
    parts: tuple[str, ...]  # of the absolute path
    num_parts: int  # how many of them, from the end, make the name


@dataclass
class _Walk:
    """What a walk needs to know and what it has gathered."""

    sidecars: bool
    frames_fps: float | None
    skip: Callable[[Path], bool]
    found: list[_Found] = field(default_factory=list)
    failures: list[FailureRecord] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)  # by suffix
    folders_seen: set[tuple[int, int]] = field(default_factory=set)  # against loops of links

    def fail(self, path: Path, name: str, reason: str) -> None:
        self.failures.append(FailureRecord(name, place(path), None, STAGE, "InputError", reason))

    def add(
        self, path: Path, kind: Kind, num_parts: int, sidecar: Path | None = None, fps: float | None = None
    ) -> None:
        parts = Path(os.path.abspath(path)).parts  # noqa: PTH100  (resolve() would follow links)
        name = _name(parts, num_parts)
        self.found.append(_Found(Source(path, name, kind, sidecar, fps), parts, num_parts))


def discover(
    inputs: Iterable[Path],
    *,
    sidecars: bool = True,
    frames_fps: float | None = None,
    skip: Callable[[Path], bool] = lambda _path: False,
) -> tuple[list[Source], list[FailureRecord]]:
    """Sources in a stable order with distinct names, and what could not even be looked at.

    `sidecars`: whether keypoint files beside a video belong to it (else they are ignored).
    `frames_fps`: the rate of folders that hold only pictures; None: a folder is a video only where its
    pictures are numbered evenly or a `frames.txt` in it tells the rate, else its pictures are stills.
    `skip`: says which files and folders inside a given folder are no inputs.
    """
    walk = _Walk(sidecars, frames_fps, skip)
    for path in inputs:
        name = readable(Path(path.name or path))
        try:
            is_folder = path.is_dir()
            exists = is_folder or path.exists()
        except (OSError, ValueError) as error:
            walk.fail(path, name, f"cannot be read: {getattr(error, 'strerror', None) or error}")
            continue
        if not exists:
            walk.fail(path, name, "dangling link" if path.is_symlink() else "no such file or folder")
        elif is_folder and not openpose_files(path):
            _walk_folder(walk, path, depth=0)
        else:
            _add_given(walk, path)
    if walk.ignored:
        counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(walk.ignored.items()))
        log.info("ignored %d files that are no media: %s", walk.ignored.total(), counts)
    return _with_distinct_names(walk.found), walk.failures


def content_key(source: Source, limits: Limits | None = None) -> str:
    """32 hexadecimal digits that tell contents apart. Raises InputError("discover", ...) where unreadable.

    For a video alone: the beginning of the SHA-256 of the file. A file beyond the limit is not read for it:
    a sparse one may claim terabytes.
    """
    try:
        if source.kind == "video":
            _check_bytes(source.path, limits or Limits())
        if source.kind == "frames":
            digest = _digest_files(source.path, still_paths(source), note=f"fps {source.fps}")
        else:
            digest = _digest(source.path)
        if source.sidecar is not None:
            digest = hashlib.sha256(digest + _digest(source.sidecar)).digest()
        elif source.kind == "keypoints" and source.fps is not None:
            digest = hashlib.sha256(digest + f"fps {source.fps}".encode()).digest()
    except OSError as error:
        raise InputError(STAGE, f"cannot be read: {error.strerror}") from error
    return digest.hex()[:32]


def _check_bytes(path: Path, limits: Limits) -> None:
    num_bytes = file_bytes(path, STAGE)
    if num_bytes > limits.max_bytes:
        raise InputError(STAGE, f"file of {num_bytes} bytes; the limit is {limits.max_bytes}")


def readable(path: Path) -> str:
    """A path as valid Unicode with forward slashes; bytes that are no UTF-8 become backslash escapes."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def place(path: Path) -> str:
    """The path under which failures of an input are kept: the same from whichever folder it is named."""
    return readable(Path(os.path.abspath(path)))  # noqa: PTH100  (resolve() would follow links)


def _add_given(walk: _Walk, path: Path) -> None:
    if path.is_dir() or path.name.lower().endswith((".npz", *KEYPOINT_SUFFIXES)):
        walk.add(path, "keypoints", 1, fps=walk.frames_fps)
        return
    kind: Kind = "image" if path.suffix.lower() in IMAGE_SUFFIXES else "video"
    walk.add(path, kind, 1, _sidecar_beside(walk, path))


def _walk_folder(walk: _Walk, folder: Path, depth: int) -> None:
    """`depth` folders lie between the given one and this."""
    name = (
        readable(Path(*folder.parts[len(folder.parts) - depth :])) if depth else readable(Path(folder.name))
    )
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in walk.folders_seen:
            return
        walk.folders_seen.add((status.st_dev, status.st_ino))
        entries = sorted(
            (entry for entry in folder.iterdir() if not (entry.name.startswith(".") or walk.skip(entry))),
            key=lambda entry: natural_key(entry.name),
        )
        is_store = (folder / "store.json").is_file() and (folder / "shards").is_dir()
    except OSError as error:
        walk.fail(folder, name, f"unreadable folder: {error.strerror}")
        return
    if is_store:
        log.info("not looking into the store %s", readable(folder))
        return
    if _is_frames_folder(walk, folder, entries):
        _add_frames(walk, folder, max(depth, 1))
        return
    stems = {entry.stem for entry in entries if _is_media(entry)} | {e.name for e in entries if _is_dir(e)}
    for entry in entries:
        try:
            _add_entry(walk, entry, stems, depth + 1)
        except OSError as error:  # a folder that may be listed but not entered
            walk.fail(entry, _name(entry.parts, depth + 1), f"cannot be read: {error.strerror}")


def _add_entry(walk: _Walk, entry: Path, stems: set[str], depth: int) -> None:
    name = _name(entry.parts, depth)
    suffix = entry.suffix.lower()
    if _is_dir(entry):
        if not openpose_files(entry):
            _walk_folder(walk, entry, depth)
        elif _owner(entry.name) not in stems:
            walk.add(entry, "keypoints", depth, fps=walk.frames_fps)
        return
    ending = next((end for end in KEYPOINT_SUFFIXES if entry.name.lower().endswith(end)), None)
    if ending is not None:
        if entry.name[: -len(ending)] not in stems:
            walk.add(entry, "keypoints", depth, fps=walk.frames_fps)
        return
    if not _is_media(entry):
        walk.ignored[suffix or "without a suffix"] += 1
    elif not entry.exists():
        walk.fail(entry, name, "dangling link")
    else:
        # Sound is tried as a video: the probe then says that it has no video stream.
        walk.add(entry, "image" if suffix in IMAGE_SUFFIXES else "video", depth, _sidecar_beside(walk, entry))


def _add_frames(walk: _Walk, folder: Path, depth: int) -> None:
    fps = walk.frames_fps
    if (folder / FPS_FILE).is_file():
        fps = _declared_fps(folder / FPS_FILE)
        if fps is None:
            name = readable(Path(folder.name))
            walk.fail(folder, name, f"{FPS_FILE} does not begin with a frame rate such as 25 or 30000/1001")
            return
    walk.add(folder, "frames", depth, _sidecar_beside(walk, folder), fps)


def _is_frames_folder(walk: _Walk, folder: Path, entries: list[Path]) -> bool:
    """Whether the folder as a whole is one video: two pictures at least, no other media, a sign of frames."""
    media = [entry for entry in entries if _is_media(entry)]
    if any(_is_dir(entry) for entry in entries) or len(media) < 2:
        return False
    if any(entry.suffix.lower() not in IMAGE_SUFFIXES for entry in media):
        return False
    declared = walk.frames_fps is not None or (folder / FPS_FILE).is_file()
    return declared or _numbered_evenly([entry.stem for entry in media])


def _numbered_evenly(stems: list[str]) -> bool:
    """One name with numbers at even distances. Data sets number their stills too, but with gaps."""
    matches = [re.fullmatch(r"(.*?)(\d{1,18})", stem, re.ASCII | re.DOTALL) for stem in stems]
    if any(match is None for match in matches) or len({match[1] for match in matches if match}) != 1:
        return False
    numbers = sorted(int(match[2]) for match in matches if match)
    return len({after - before for before, after in pairwise(numbers)}) == 1


def _declared_fps(path: Path) -> float | None:
    """The first number of the file, as 25, 29.97 or 30000/1001."""
    try:
        text = path.read_bytes()[:200].decode("utf-8", "replace")
    except OSError:
        return None
    match = _FPS.match(text)
    fps = float(Fraction(match[1])) if match else 0.0
    return fps if fps > 0 else None


def _sidecar_beside(walk: _Walk, path: Path) -> Path | None:
    """An input's keypoints: `x.keypoints.npz`, `.csv`, `.json`; or a folder `x_keypoints` or `x.openpose`."""
    if not walk.sidecars:
        return None
    stem = path.name if _is_dir(path) else path.stem
    for ending in KEYPOINT_SUFFIXES:
        file = path.with_name(stem + ending)
        if file.is_file():
            return file
    folders = (path.with_name(stem + ending) for ending in ("_keypoints", ".openpose"))
    return next((folder for folder in folders if openpose_files(folder)), None)


def _owner(folder_name: str) -> str | None:
    """The stem of the video to which an OpenPose folder belongs by its name, None where it tells none."""
    for ending in ("_keypoints", ".openpose"):
        if folder_name.endswith(ending):
            return folder_name[: -len(ending)]
    return None


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES | AUDIO_SUFFIXES | IMAGE_SUFFIXES and not _is_dir(path)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _with_distinct_names(found: list[_Found]) -> list[Source]:
    """The same path given twice counts once; equal names grow by folders of their paths until they differ."""
    by_path = {item.parts: item for item in reversed(found)}  # of equal paths the first stays
    items = [item for item in found if by_path[item.parts] is item]
    while True:
        groups: dict[str, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            groups[item.source.name].append(index)
        clashing = [index for group in groups.values() if len(group) > 1 for index in group]
        growing = [index for index in clashing if items[index].num_parts < len(items[index].parts)]
        if not growing:
            break
        for index in growing:
            item = items[index]
            name = _name(item.parts, item.num_parts + 1)
            items[index] = _Found(replace(item.source, name=name), item.parts, item.num_parts + 1)
    return [item.source for item in items]


def _name(parts: tuple[str, ...], num_parts: int) -> str:
    return readable(Path(*parts[-num_parts:]))


def _digest(path: Path) -> bytes:
    """SHA-256 of a file, or of the OpenPose files of a folder."""
    if path.is_dir():
        return _digest_files(path, openpose_files(path))
    with open_regular_file(path, STAGE) as file:
        if os.fstat(file.fileno()).st_size == 0:  # not read: what the kernel shows as a file may never end
            return hashlib.sha256().digest()
        return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]


def _digest_files(folder: Path, paths: list[Path], note: str = "") -> bytes:
    """SHA-256 over the names and contents of files of one folder."""
    digest = hashlib.sha256(note.encode())
    for path in sorted(paths):
        digest.update(hashlib.sha256(os.fsencode(path.relative_to(folder).as_posix())).digest())
        digest.update(_digest(path))
    return digest.digest()
