"""Whether a file is what it is said to be: by the hash that is known of it, or was first recorded here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from preprocessing.weights.choice import sha256_of
from preprocessing.weights.record import Record, read_record
from preprocessing.weights.registry import Weight, WeightsError


class Trust(StrEnum):
    """What a file was held to."""

    PUBLISHED = "published"  # a hash that is known of it
    RECORDED = "recorded"  # what came when it was fetched first
    BEGINS = "first digits"  # of the hash, which its publisher put into its name
    NONE = "unchecked"  # nothing: somebody put it here


class OtherFileError(WeightsError):
    """A hash is another than it should be."""


def check(path: Path, known: Weight | None) -> Trust:
    """Reads a file and compares. WeightsError if it is another file than it should be.

    known: what the registry says of it, if it is listed there.
    """
    try:
        return check_hash(sha256_of(path), known, read_record(path))
    except OtherFileError as error:
        raise OtherFileError(f"{path} is not {error}; remove it") from error


def check_hash(found: str, known: Weight | None, record: Record | None) -> Trust:
    """As `check`, for a file whose hash is `found`. OtherFileError says what it is not."""
    if known is not None and known.sha256 is not None:
        if not found.startswith(known.sha256):
            raise _other("the published file", found, known.sha256)
        if known.hash_is_whole:
            return Trust.PUBLISHED
    if record is not None:
        if found != record.sha256:
            raise _other("what was fetched first", found, record.sha256)
        return Trust.RECORDED
    return Trust.NONE if known is None or known.sha256 is None else Trust.BEGINS


def _other(expected: str, found: str, sha256: str) -> OtherFileError:
    return OtherFileError(f"{expected}: SHA-256 {found[:16]}..., expected {sha256[:16]}...")
