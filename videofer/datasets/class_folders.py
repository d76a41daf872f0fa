"""Sets whose videos lie in `<split>/<class>/<video>`: one walk for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from videofer.datasets.adapter import Finds, label_of
from videofer.datasets.walk import folders_of, pictures_of, videos_of
from videofer.emotions.label_sets import LabelSet


def split_folders(root: Path, splits: Mapping[str, str]) -> dict[Path, str]:
    """Folders called like a split, in any case, and which split they are."""
    return {
        folder: splits[folder.name.lower()] for folder in folders_of(root) if folder.name.lower() in splits
    }


def looks_so(root: Path, splits: Mapping[str, str], words: tuple[str, ...]) -> str | None:
    """The folders that have the set's classes, by exactly its words; None where one has not got all."""
    there = [
        folder.name
        for folder in split_folders(root, splits)
        if {inner.name for inner in folders_of(folder)} >= set(words)
    ]
    return ", ".join(there) or None


def add_class_folders(
    finds: Finds,
    folder: Path,
    split: str,
    labels: LabelSet,
    words: tuple[str, ...],
    counts: Mapping[str, int] | None = None,
) -> None:
    """A row a video (or still) of each class. Classes without any, and how many videos lack, are missing.

    words: the set's own names of the classes. counts: of a whole copy, by our names.
    """
    found: Counter[str] = Counter()
    for inner in folders_of(folder):
        label = label_of(labels, inner.name, inner)
        files = videos_of(inner) or pictures_of(inner)
        for file in files:
            before = len(finds.rows)
            finds.add(file, label=label, split=split)
            found[label] += len(finds.rows) - before
    finds.missing += [f"{finds.name(folder)}/{word}" for word in words if not found[labels.canonical(word)]]
    lacking = sum(max(wanted - found[label], 0) for label, wanted in (counts or {}).items())
    if lacking:
        whole = sum((counts or {}).values())
        finds.missing.append(f"{finds.name(folder)}: {lacking:,} of {whole:,} videos")
