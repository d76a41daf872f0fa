"""The one download there is. Whatever happens, the file is there whole and checked, or not at all."""

from __future__ import annotations

import logging
from pathlib import Path

from cache.atomic import fsync_file, publish
from preprocessing.weights.check import Trust, check, check_hash
from preprocessing.weights.choice import sha256_of
from preprocessing.weights.member import unpack_member
from preprocessing.weights.part import Part, hold
from preprocessing.weights.record import read_record, record_of, write_record
from preprocessing.weights.registry import Weight, WeightsError
from preprocessing.weights.transfer import Patience, Progress, UnreachableError, transfer

logger = logging.getLogger(__name__)


def fetch(
    weight: Weight,
    folder: Path,
    *,
    patience: Patience = Patience(),  # noqa: B008 (frozen)
    progress: Progress | None = None,
) -> Path:
    """Brings a file into a folder; at once if it is there. Its record is written beside it.

    A part that an earlier run left is continued. Two processes that want the same file wait for each other.
    Raises UnreachableError if it cannot be had now, WeightsError if what comes is not the published file.
    """
    if weight.url is None:
        raise WeightsError(f"{weight.file} is published nowhere to be fetched from: put it into {folder}")
    target = folder / weight.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(target.with_name(target.name + ".partial")) as part:
            if target.is_file():  # it was there, or another process has just brought it
                check(target, weight)
                part.remove()
            else:
                _from_any_address(weight, target, part, patience, progress)
    except OSError as error:
        raise UnreachableError(f"{error.filename or folder}: {error.strerror or error}") from error
    return target


def _from_any_address(
    weight: Weight, target: Path, part: Part, patience: Patience, progress: Progress | None
) -> None:
    failures: list[WeightsError] = []
    for url in filter(None, (weight.url, weight.mirror)):
        logger.info("downloading %s", url)
        try:
            _from_address(weight, url, target, part, patience, progress)
            break
        except WeightsError as error:
            failures.append(error)
    else:
        only_unreachable = all(isinstance(error, UnreachableError) for error in failures)
        kind = UnreachableError if only_unreachable else WeightsError
        raise kind("; ".join(map(str, failures)))
    for failure in failures:
        logger.warning("taken from the mirror: %s", failure)


def _from_address(
    weight: Weight, url: str, target: Path, part: Part, patience: Patience, progress: Progress | None
) -> None:
    """Once, and once more from the beginning if what an earlier run left made it wrong."""
    had_part = part.num_bytes > 0
    num_bytes = None if weight.member else weight.num_bytes
    transfer(url, part, num_bytes=num_bytes, patience=patience, progress=progress)
    try:
        _finish(weight, target, part)
    except WeightsError as error:
        part.restart()
        if not had_part:
            part.remove()
            raise WeightsError(f"{url} is not {error}; not used") from error
        logger.warning("%s, begun earlier, is not %s: downloading it anew", url, error)
        _from_address(weight, url, target, part, patience, progress)


def _finish(weight: Weight, target: Path, part: Part) -> None:
    """Unpacks, checks, records, and only then gives it its name. WeightsError says what it is not."""
    if weight.member is None:
        _accept(weight, part.path, target)
        part.become(target)
        return
    unpacked = target.with_name(target.name + ".unpacked")
    try:
        unpack_member(part.path, weight.member, unpacked, weight.num_bytes)
        _accept(weight, unpacked, target)
        fsync_file(unpacked)
        publish(unpacked, target)
    finally:
        unpacked.unlink(missing_ok=True)
    part.remove()


def _accept(weight: Weight, path: Path, target: Path) -> None:
    """Checks what has come, and records what it is to be held to. WeightsError says what it is not."""
    _refuse_text(path)
    sha256 = sha256_of(path)
    trust = check_hash(sha256, weight, read_record(target))
    if trust in (Trust.BEGINS, Trust.NONE):
        logger.warning(
            "no whole hash of %s is known: it is held to what came now, SHA-256 %s", weight.file, sha256
        )
    write_record(target, record_of(weight, sha256, path.stat().st_size))


def _refuse_text(path: Path) -> None:
    """A page of a network that wants a password, or a pointer to a file, is never trusted as a first one."""
    with path.open("rb") as file:
        begin = file.read(64).lstrip().lower()
    if begin.startswith((b"<!doctype", b"<html", b"<?xml", b"version https://git-lfs")):
        raise WeightsError("a file of weights but a text")
