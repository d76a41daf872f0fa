"""The folder of a cross-validation, or of more: never written over, and gone on with only as it was begun."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cache.atomic import atomic_write_text
from cache.errors import UserError

_ASKED = "crossval.json"


class CrossvalError(UserError, ValueError):
    """A cross-validation cannot begin or go on. The message is one line for the user."""


def check_counts(seeds: Sequence[int], workers: int) -> None:
    """CrossvalError for seeds that are given twice or negative, and for no worker."""
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise CrossvalError(f"seeds must be different whole numbers of at least 0, not {list(seeds)}")
    if workers < 1:
        raise CrossvalError(f"workers must be at least 1, not {workers}")


def claim(
    out: Path,
    identity: Mapping[str, Any],
    resume: bool,
    *,
    file: str = _ASKED,
    what: str = "a cross-validation",
) -> None:
    """Makes the folder, or finds that it was begun with the same identity. CrossvalError otherwise.

    identity: JSON values; the first that differs is named. file: in the folder, holds them. what: the folder
    is of.
    """
    asked = out / file
    if asked.is_file():
        if not resume:
            raise CrossvalError(f"{out} holds {what} already: go on with it by --resume")
        began_with = json.loads(asked.read_text(encoding="utf-8"))
        for name, value in identity.items():
            if began_with.get(name) != value:
                raise CrossvalError(f"cannot resume {out}: {_difference(name, began_with.get(name), value)}")
        return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        why = "a file" if out.is_file() else f"not empty: it holds '{min(out.iterdir()).name}'"
        raise CrossvalError(f"{out} is {why}; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    atomic_write_text(asked, json.dumps(identity, indent=2))


def _difference(name: str, was: Any, now: Any) -> str:
    if name == "recipe" and isinstance(was, str):
        pairs = zip(was.splitlines(), now.splitlines(), strict=False)
        was, now = next(((a.strip(), b.strip()) for a, b in pairs if a != b), ("shorter or longer", "given"))
    if name == "manifests":
        return "the labels in store or manifest have changed"
    return f"it was begun with another {name} ('{was}', now '{now}')"
