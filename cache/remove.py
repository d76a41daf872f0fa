"""Removing videos for good, e.g. because somebody withdrew their consent.

The intent is written down first (`removing.json`), so that a removal that was killed can be finished by
anyone who meets it. Then the journal of removals, then the records: what no record names does not exist.
Then the bytes: every shard that holds a segment of such a video, named or not, is written anew without it,
and whatever else mentions the video is cleaned.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cache.atomic import atomic_write_text
from cache.errors import CorruptError, StoreError
from cache.journal import Journal
from cache.labels import labels_of, read_labels
from cache.pending import pending_files
from cache.pushed import forget_records
from cache.removals import DEFAULT_REASON, Removals
from cache.rewrite import segments_in
from cache.store import Store
from cache.vacate import drop_pending, keep_lines, unlink_all, vacate

Progress = Callable[[int, int], None]
QUARANTINE = "quarantine"
_INTENT = "removing.json"
_HIDDEN = "(removed)"


@dataclass
class RemoveReport:
    """What a removal did."""

    names: list[str] = field(default_factory=list)  # of the videos
    num_videos: int = 0
    num_shards: int = 0  # written anew or dropped
    num_manifest_rows: int = 0
    lost: dict[str, str] = field(default_factory=dict)
    """Name of another video -> why it could not be saved from a damaged shard: it has to be done again."""
    quarantine_dropped: bool = False


def intent_of(store: Store) -> dict[str, Any] | None:
    """The removal that was begun and not finished, None when there is none."""
    path = store.path / _INTENT
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except ValueError as error:  # it is written whole or not at all
        raise CorruptError(f"{path} is unreadable: {error}") from None


def keys_of_subjects(store: Store, subjects: Sequence[str]) -> list[str]:
    """Keys of all videos that show one of these subjects, by the manifest. Raises StoreError."""
    manifest = labels_of(store)
    if manifest is None or not {"subject", "key"} <= set(manifest.columns):
        raise StoreError(f"{store.path} has no manifest with subjects: name the videos")
    known = manifest["subject"].dropna().astype(str)
    for subject in subjects:
        if subject not in set(known):
            shown = ", ".join(sorted(set(known))[:8])
            raise StoreError(f"the manifest of {store.path} has no subject {subject!r}, it has {shown}, ...")
    return sorted(set(manifest.loc[known[known.isin(subjects)].index, "key"].dropna()))


def names_of(store: Store, keys: Iterable[str]) -> set[str]:
    """All names of these contents, stored or failed."""
    keys = set(keys)
    names = {failure.name for failure in store.failures() if failure.key in keys}
    return names | {name for key in keys & store.keys() for name in store.video(key).names}


def remove(
    store: Store,
    keys: Iterable[str],
    *,
    subjects: Sequence[str] = (),
    reason: str = DEFAULT_REASON,
    progress: Progress = lambda _done, _total: None,
) -> RemoveReport:
    """Remove videos, and the manifest's rows of these subjects. The caller holds the store's lock.

    A removal that was begun before is finished first. progress: gets the number of shards looked at, and all.
    """
    finish(store)
    keys = sorted(set(keys))
    names = sorted(names_of(store, keys))
    intent = {"keys": keys, "names": names, "subjects": list(subjects), "reason": reason}
    atomic_write_text(store.path / _INTENT, json.dumps(intent) + "\n")
    return finish(store, progress) or RemoveReport()


def finish(store: Store, progress: Progress = lambda _done, _total: None) -> RemoveReport | None:
    """Finish the removal that was begun, None when none was. The caller holds the store's lock."""
    intent = intent_of(store)
    if intent is None:
        return None
    keys, names = set(intent["keys"]), set(intent["names"])
    report = RemoveReport(names=sorted(names), num_videos=len(keys))
    Removals(store.path).add(sorted(keys), intent["reason"])
    unlink_all([store.path / "index.json"])
    unlink_all(store.path / "commits" / f"{key}.json" for key in keys)
    unlink_all(path for path, key in pending_files(store.path).items() if key in keys)
    _clean_shards(store, keys, report, progress)
    report.num_manifest_rows = _clean_manifest(store, keys, names, set(intent["subjects"]))
    _clean_journals(store, keys, names)
    _clean_run_reports(store, names)
    forget_records(store.path, keys)
    if (store.path / QUARANTINE).is_dir():  # what lies there cannot be read well enough to be sorted
        shutil.rmtree(store.path / QUARANTINE)
        report.quarantine_dropped = True
    store.sweep_partials()
    unlink_all([store.path / _INTENT])
    return report


def _clean_shards(store: Store, keys: set[str], report: RemoveReport, progress: Progress) -> None:
    """Every shard that holds one of these videos, or cannot be listed, is written anew without them."""
    records = store.videos()
    paths = sorted((store.path / "shards").glob("*.h5"))
    for done, path in enumerate(paths):
        progress(done, len(paths))
        try:
            if not keys & {key for _, key in segments_in(path)}:
                continue
        except CorruptError:
            pass
        records, damaged = vacate(store, path.name, records)
        for record in records:
            if record.key in damaged:
                report.lost[", ".join(record.names)] = damaged[record.key]
        records = [record for record in records if record.key not in damaged]
        unlink_all(store.path / "commits" / f"{key}.json" for key in damaged)
        drop_pending(store, {path.name})
        unlink_all([path])
        report.num_shards += 1


def _clean_manifest(store: Store, keys: set[str], names: set[str], subjects: set[str]) -> int:
    manifest = read_labels(store)
    if manifest is None:
        return 0
    if "key" not in manifest.columns:
        gone = manifest["name"].isin(names)
    else:
        gone = manifest["key"].isin(keys)
        if "name" in manifest.columns:  # with a key, it may be the name of another content, too
            gone |= manifest["key"].isna() & manifest["name"].isin(names)
    if "subject" in manifest.columns:
        gone |= manifest["subject"].astype(str).isin(subjects)
    if gone.any():
        store.write_manifest(manifest[~gone].reset_index(drop=True))
    return int(gone.sum())


def _clean_journals(store: Store, keys: set[str], names: set[str]) -> None:
    hashes, failures = Journal(store.path / "hashes.jsonl"), Journal(store.path / "failures.jsonl")
    entries = hashes.entries()
    paths = {entry.get("path") for entry in entries if entry.get("key") in keys}
    if paths:
        keep_lines(hashes, [entry for entry in entries if entry.get("key") not in keys])
    entries = failures.entries()
    paths |= {
        entry.get("path") for entry in entries if entry.get("key") in keys or entry.get("name") in names
    }
    kept = [entry for entry in entries if entry.get("path") not in paths and entry.get("name") not in names]
    if len(kept) < len(entries):
        keep_lines(failures, kept)


def _clean_run_reports(store: Store, names: set[str]) -> None:
    for path in sorted((store.path / "runs").glob("*.json")):
        try:
            report = json.loads(path.read_bytes())
        except ValueError:
            unlink_all([path])  # torn: it says nothing to anyone
            continue
        cleaned = _without(report, names)
        if cleaned != report:
            atomic_write_text(path, json.dumps(cleaned, indent=2) + "\n")


def _without(value: Any, names: set[str]) -> Any:
    """The value with every text hidden that is one of the names or a path that ends in one."""
    if isinstance(value, dict):
        return {_without(key, names): _without(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [_without(part, names) for part in value]
    if isinstance(value, str) and any(value == name or value.endswith("/" + name) for name in names):
        return _HIDDEN
    return value
