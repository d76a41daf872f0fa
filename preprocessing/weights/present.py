"""Which weight files lie on this machine, and whether each is what it should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from preprocessing.weights.check import Trust, check
from preprocessing.weights.choice import sha256_of
from preprocessing.weights.locate import missing, search_dirs
from preprocessing.weights.record import read_record, record_of, record_path, write_record
from preprocessing.weights.registry import Registry, Weight, WeightsError


@dataclass(frozen=True)
class Present:
    """A file that is here. known: None for one that was fetched by its address or put here by hand."""

    path: Path
    known: Weight | None


@dataclass(frozen=True)
class Finding:
    """What a check of one file said: what it was held to, or in one line why it is wrong."""

    present: Present
    trust: Trust | None
    problem: str = ""


def present(weights_dir: Path | None, registry: Registry) -> list[Present]:
    """Files of the registry, and others that have a record beside them; of two of a name the one used.

    WeightsError if the named folder does not exist.
    """
    found: dict[str, Present] = {}
    for folder in search_dirs(weights_dir):
        for weight in registry:
            if (folder / weight.file).is_file():
                found.setdefault(weight.file, Present(folder / weight.file, weight))
        for beside in sorted(folder.glob("*.json")):
            path = beside.with_suffix("")
            if path.is_file() and record_path(path) == beside:
                found.setdefault(path.name, Present(path, registry.find(path.name)))
    return list(found.values())


def pick(names: Sequence[str], files: Sequence[Present]) -> list[Present]:
    """Those of the files here that are meant: by their name, their short name, or an engine that uses them.

    An engine is all its files, as in `Registry.meant`, also where one of them has its name.
    WeightsError, which says how to get it, for a name of which nothing is here.
    """
    found = []
    for name in names:
        meant = [one for one in files if one.path.name == name or (one.known and _means(name, one.known))]
        if not meant:
            raise missing(name)
        found += [one for one in meant if one not in found]
    return found


def _means(name: str, known: Weight) -> bool:
    return name == known.name or name in known.engines


def verify(files: list[Present], progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Reads every file and compares; a wrong one is a finding, not an error."""
    findings = []
    for number, one in enumerate(files):
        try:
            findings.append(Finding(one, check(one.path, one.known)))
        except (WeightsError, OSError) as error:
            findings.append(Finding(one, None, str(error)))
        if progress is not None:
            progress(number + 1, len(files))
    return findings


def trust(one: Present) -> None:
    """Records the hash of a file that somebody put here: from now on it is held to that.

    WeightsError if it is held to another already.
    """
    check(one.path, one.known)
    if one.known is not None and read_record(one.path) is None:
        write_record(one.path, record_of(one.known, sha256_of(one.path), one.path.stat().st_size))
