"""What a run has written is no input of the next one, also where both lie in one folder."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path

from preprocessing.decode.still_engine import IMAGE_SUFFIXES
from preprocessing.discover import VIDEO_SUFFIXES
from videofer.study.spec import FOLDER, STORE, stamp_of
from videofer.timeline.ours import is_ours


class OwnFiles:
    """Says of each file and folder met in an input folder whether a run has written it; counts those files.

    Ours are: the folder `out` below an input, the folders of its store and its accounts, what accounts tell
    of and nobody changed, and what carries our mark.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.num_skipped = 0

    def __call__(self, path: Path) -> bool:
        try:
            return self._is_own(path)
        except OSError:  # the walk tells what cannot be read
            return False

    def _is_own(self, path: Path) -> bool:
        if path.is_dir():
            if self._is(path, self._out):
                self.num_skipped += sum(_is_media(one) for one in path.iterdir())
                return True
            return any(self._is(path, self._out / name) for name in (STORE, FOLDER))
        is_own = _is_media(path) and (self._is_in_account(path) or is_ours(path))
        self.num_skipped += is_own
        return is_own

    @staticmethod
    def _is(path: Path, other: Path) -> bool:
        return other.is_dir() and path.samefile(other)

    def _is_in_account(self, path: Path) -> bool:
        stamp = self._stamps.get(path.name)
        return stamp is not None and stamp == stamp_of(path) and self._is(path.parent, self._out)

    @cached_property
    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Name in `out` -> size and mtime in ns, of all accounts that can be read."""
        stamps: dict[str, tuple[int, int]] = {}
        for account in (self._out / FOLDER).glob("*.json"):
            try:
                files = json.loads(account.read_bytes())["files"]
                stamps |= {str(name): (int(size), int(mtime)) for name, (size, mtime) in files.items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # that of another version
        return stamps


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES


def names_in(out: Path, paths: list[Path]) -> frozenset[str]:
    """Names of the inputs that lie in `out` itself: no product may be called so."""
    here = os.path.realpath(out)
    return frozenset(path.name for path in paths if os.path.realpath(path.parent) == here)
