"""What a store holds in numbers that fit on a screen, however many videos it has."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cache.labels import read_labels
from cache.removals import Removals
from cache.schema import SCHEMA_VERSION, STATE_NAMES, FailureRecord, VideoRecord
from cache.store import Store

_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9][0-9.,]*")
"""What differs between two failures of the same cause: names and numbers."""


def summarise(store: Store, videos: Sequence[VideoRecord] | None = None) -> dict[str, Any]:
    """Counts, hours, people, states, sizes, failures by reason, engines; JSON-able. Reads no shard.

    videos: `store.videos()`, where the caller has them. Hours are of media time, sizes in bytes.
    """
    videos = store.videos() if videos is None else videos
    failures = store.failures()
    hours = sum(video.duration for video in videos) / 3600
    size_bytes = sizes(store)
    face_states: Counter[str] = Counter()
    body_states: Counter[str] = Counter()
    person_seconds = 0.0
    for video in videos:
        for person in video.persons:
            face_states.update(person.face_states)
            body_states.update(person.body_states)
            person_seconds += person.t_end - person.t_start
    return {
        "path": str(store.path),
        "schema_version": SCHEMA_VERSION,
        "contract_hash": store.contract_hash,
        "contract": store.contract,
        "codec": store.codec,
        "spec": store.spec,
        "num_videos": len(videos),
        "kinds": dict(Counter(video.kind for video in videos).most_common()),
        "hours": round(hours, 4),
        "num_frames": sum(video.num_frames for video in videos),
        "num_segments": sum(len(video.segments) for video in videos),
        "num_persons": sum(len(video.persons) for video in videos),
        "person_hours": round(person_seconds / 3600, 4),
        "persons_per_video": {
            str(number): count
            for number, count in sorted(Counter(len(video.persons) for video in videos).items())
        },
        "face_states": in_state_order(face_states),
        "body_states": in_state_order(body_states),
        "bytes": size_bytes,
        "bytes_per_hour": round(sum(size_bytes.values()) / hours) if hours else None,
        "num_failures": len(failures),
        "failures": failure_groups(failures),
        "num_removed": len(Removals(store.path)),
        "warnings": common_texts([w for video in videos for w in video.provenance.get("warnings", [])]),
        "engines": engines(videos),
        "stage_seconds": stage_seconds(videos),
        "manifest": manifest_facts(store),
    }


def sizes(store: Store) -> dict[str, int]:
    """Bytes on disk of shards, records and everything else at the top of the folder."""
    folders = {"shards": store.path / "shards", "records": store.path / "commits", "other": store.path}
    found = {}
    for name, folder in folders.items():
        with os.scandir(folder) as entries:  # a record is small, but there may be 100,000
            found[name] = sum(entry.stat().st_size for entry in entries if entry.is_file())
    return found


def failure_groups(failures: Sequence[FailureRecord]) -> list[dict[str, Any]]:
    """Failures of one cause together, the most frequent first: stage, reason of the first, num, names."""
    groups: dict[tuple[str, str], list[FailureRecord]] = {}
    for failure in failures:
        groups.setdefault((failure.stage, _VARIABLE.sub("*", failure.reason)), []).append(failure)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [
        {
            "stage": stage,
            "reason": members[0].reason if len(members) == 1 else pattern,
            "num": len(members),
            "names": [failure.name for failure in members[:5]],
        }
        for (stage, pattern), members in ordered
    ]


def common_texts(texts: Sequence[str]) -> dict[str, int]:
    """How often each text occurs, texts that differ in names and numbers only taken together."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for text in texts:
        pattern = _VARIABLE.sub("*", text)
        first.setdefault(pattern, text)
        counts[pattern] += 1
    return {
        (first[pattern] if number == 1 else pattern): number for pattern, number in counts.most_common(50)
    }


def engines(videos: Sequence[VideoRecord]) -> dict[str, dict[str, int]]:
    """By what the videos were made, with numbers of videos: decoder, detector, skeletons, libraries."""
    found: dict[str, Counter[str]] = {"decoder": Counter(), "detector": Counter(), "skeletons": Counter()}
    for video in videos:
        provenance = video.provenance
        found["decoder"][str(provenance.get("decoder", "?"))] += 1
        for part in ("detector", "skeletons"):
            found[part][str((provenance.get(part) or {}).get("name", "?"))] += 1
        for name, version in (provenance.get("versions") or {}).items():
            found.setdefault(str(name), Counter())[str(version)] += 1
    return {name: dict(counts.most_common()) for name, counts in found.items()}


def stage_seconds(videos: Sequence[VideoRecord]) -> dict[str, float]:
    """Seconds of workers in each stage, over all videos that say so; the longest first."""
    total: Counter[str] = Counter()
    for video in videos:
        for stage, seconds in (video.provenance.get("stage_seconds") or {}).items():
            total[stage] += seconds
    return {stage: round(seconds, 3) for stage, seconds in total.most_common()}


def manifest_facts(store: Store) -> dict[str, Any] | None:
    """Rows, subjects, labels and splits of the manifest; None where there is none."""
    table = read_labels(store)
    if table is None:
        return None
    facts: dict[str, Any] = {"num_rows": len(table)}
    if "key" in table.columns:
        facts["num_videos"] = int(table["key"].nunique())
    if "subject" in table.columns:
        facts["num_subjects"] = int(table["subject"].nunique())
    for column in ("label", "split"):
        if column in table.columns:
            counts = table[column].value_counts()
            facts[f"{column}s"] = {str(name): int(number) for name, number in counts.items()}
    return facts


def in_state_order(counts: dict[str, int]) -> dict[str, int]:
    """Counts of frames by the name of the state, in the order of `State`."""
    return {name: counts[name] for name in STATE_NAMES.values() if counts.get(name)}
