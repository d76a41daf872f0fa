"""Finished segments of unfinished videos, `STORE/pending/<key>-<index>.json`: they survive the driver.

A mere saving of work: what is unreadable, or was made by other engines, is swept and done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cache.atomic import sweep_temps
from cache.records import canonical_json, segment_from_dict
from cache.store import Store, StoreError
from preprocessing.discover import place
from preprocessing.engines import EngineChoices
from preprocessing.part import SegmentOutcome
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import Job
from preprocessing.tracking.evidence import evidence_from_dict
from preprocessing.types import Probe, Span

_FRACTIONS = ("time_base", "presentation_start", "stream_start")  # of a probe


@dataclass(frozen=True)
class _Kept:
    """What one file holds."""

    paths: list[str]  # of the sources
    span: Span
    outcome: SegmentOutcome


class Pending:
    """The pending segments of one store that fit to this run. Only the driver uses it."""

    def __init__(self, store: Store, spec: PreprocessSpec, choices: EngineChoices | None = None) -> None:
        """choices: segments that other engines made are not taken up."""
        self.folder = store.path / "pending"
        self._store = store
        made_by = {"spec": spec.model_dump(mode="json"), "engines": choices.to_json() if choices else None}
        self._made_by = hashlib.sha256(canonical_json(made_by).encode()).hexdigest()[:16]

    def files(self, finished: Iterable[tuple[Job, SegmentOutcome]]) -> dict[Path, bytes]:
        """What keeps segments whose shards are sealed, for `Store.commit_all`."""
        contents = {}
        for job, outcome in finished:
            assert job.span is not None
            document = {
                "made_by": self._made_by,
                "paths": [place(source.path) for source in job.sources],
                "span": asdict(job.span),
                "outcome": outcome_to_dict(outcome),
            }
            contents[self._path(job.key, job.span.index)] = canonical_json(document).encode() + b"\n"
        return contents

    def spans(self, key: str) -> dict[int, Span]:
        """The segments of one video that are there, by index."""
        found = {}
        for path in self.folder.glob(f"{key}-*.json"):
            if (kept := self._read(path)) is not None:
                found[kept.span.index] = kept.span
        return found

    def load(self, key: str, index: int) -> SegmentOutcome:
        """One of `spans`."""
        kept = self._read(self._path(key, index))
        if kept is None:
            raise FileNotFoundError(self._path(key, index))
        return kept.outcome

    def remove(self, key: str) -> None:
        """Forget a video: it is committed, or nothing of it fits."""
        for path in self.folder.glob(f"{key}-*.json"):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what does not fit to this run, and what is committed. Before workers start."""
        if not self.folder.is_dir():
            return
        sweep_temps(self.folder)
        stored = self._store.keys()
        for path in self.folder.glob("[!.]*.json"):
            if path.stem.rpartition("-")[0] in stored or self._read(path) is None:
                path.unlink(missing_ok=True)

    def sweep_changed(self, keys: Mapping[str, str]) -> None:
        """Remove segments of files that have other content now. keys: path -> content key as found."""
        for path in self.folder.glob("[!.]*.json"):
            kept = self._read(path)
            key = path.stem.rpartition("-")[0]
            if kept is None or any(keys.get(place, key) != key for place in kept.paths):
                path.unlink(missing_ok=True)

    def _path(self, key: str, index: int) -> Path:
        return self.folder / f"{key}-{index}.json"

    def _read(self, path: Path) -> _Kept | None:
        """None where it cannot be used, be it that another version of the program wrote it."""
        try:
            document = json.loads(path.read_bytes())
            kept = _Kept(document["paths"], Span(**document["span"]), outcome_from_dict(document["outcome"]))
            shard = self._store.shard_path(kept.outcome.record.shard)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StoreError):
            return None
        return kept if document["made_by"] == self._made_by and shard.is_file() else None


def outcome_to_dict(outcome: SegmentOutcome) -> dict[str, Any]:
    """As JSON holds it."""
    data = asdict(outcome)
    for name in _FRACTIONS:
        value: Fraction = getattr(outcome.probe, name)
        data["probe"][name] = [value.numerator, value.denominator]
    return data


def outcome_from_dict(data: dict[str, Any]) -> SegmentOutcome:
    """The inverse of `outcome_to_dict`, after JSON made lists of the tuples."""
    facts = data["probe"] | {name: Fraction(*data["probe"][name]) for name in _FRACTIONS}
    return replace(
        SegmentOutcome(**data),
        record=segment_from_dict(data["record"]),
        evidence=evidence_from_dict(data["evidence"]),
        probe=Probe(**facts),
        not_decoded=[(start_pts, stop_pts) for start_pts, stop_pts in data["not_decoded"]],
    )
