"""Making a damaged store whole again: what is damaged is set aside, everything else stays as it was.

A video whose bytes are wrong loses its record, so that the next preprocessing does it again. The whole videos
that lie in the same shard are copied out of it first. Nothing is thrown away but left-overs: damaged shards
and records go to `quarantine/<time>/` in the store.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cache.atomic import PARTIAL_SUFFIX, TEMP_SUFFIX, atomic_write_text, fsync_dir
from cache.errors import CorruptError
from cache.index import read_index
from cache.journal import Journal
from cache.pending import pending_files, shards_in_pending
from cache.records import read_record, record_from_dict
from cache.remove import QUARANTINE, finish, intent_of
from cache.schema import VideoRecord
from cache.store import Store
from cache.vacate import drop_pending, keep_lines, vacate, write_records
from cache.verify import JOURNALS, Progress, check_videos, video_problems

__all__ = ["Plan", "apply", "plan_repair"]


@dataclass
class Plan:
    """What is wrong with a store and what will be done about it."""

    restored: list[str] = field(default_factory=list)  # keys whose record is taken from the index
    bad_records: dict[str, str] = field(default_factory=dict)  # file in commits/ -> why
    lost: dict[str, str] = field(default_factory=dict)  # key -> why the video has to be done again
    names: dict[str, list[str]] = field(default_factory=dict)  # of the lost videos, as far as they are known
    shards: list[str] = field(default_factory=list)  # damaged ones, to be set aside
    num_saved: int = 0  # whole videos that are copied out of them
    journals: list[str] = field(default_factory=list)  # with torn lines
    pending: list[str] = field(default_factory=list)  # unreadable ones
    leftovers: list[str] = field(default_factory=list)  # of dead runs
    bad_manifest: bool = False
    unfinished_removal: bool = False

    @property
    def nothing_to_do(self) -> bool:
        return not any(asdict(self).values())


def plan_repair(
    store: Store, *, num_processes: int = 1, progress: Progress = lambda _done, _total: None
) -> Plan:
    """Read every byte and say what would be done. Changes nothing."""
    plan = Plan(unfinished_removal=intent_of(store) is not None)
    remembered = _remembered(store)
    paths_by_key = {
        str(entry.get("key")): str(entry.get("path"))
        for entry in Journal(store.path / "hashes.jsonl").entries()
    }
    videos: list[VideoRecord] = []
    for path in store.commit_paths():
        reason = ""
        try:
            record = read_record(path)
            if record.key != path.stem:
                reason = f"it is of video {record.key}"
        except CorruptError as error:
            reason = str(error)
        if not reason:
            videos.append(record)
        elif path.stem in remembered:
            plan.restored.append(path.stem)
            videos.append(remembered[path.stem])
        else:
            plan.bad_records[path.name] = reason
            plan.lost[path.stem] = reason
            plan.names[path.stem] = [paths_by_key[path.stem]] if path.stem in paths_by_key else []
    checks = check_videos(store, videos, deep=True, num_processes=num_processes, progress=progress)
    bad_shards = set()
    for video in videos:
        problems = list(video_problems(video, checks))
        if problems:
            plan.lost[video.key] = "; ".join(problems)
            plan.names[video.key] = video.names
            plan.bad_records.setdefault(f"{video.key}.json", problems[0])
        for position, segment in enumerate(video.segments):
            path = store.path / "shards" / segment.shard
            is_here = path.name == segment.shard and path.is_file()  # never a file outside of the store
            if checks[video.key, position].problems and is_here:
                bad_shards.add(segment.shard)
    plan.restored = [key for key in plan.restored if key not in plan.lost]
    plan.shards = sorted(bad_shards)
    plan.num_saved = sum(
        video.key not in plan.lost and any(segment.shard in bad_shards for segment in video.segments)
        for video in videos
    )
    _plan_rest(store, plan, videos)
    return plan


def apply(store: Store, plan: Plan, *, note: Callable[[str], None] = lambda _text: None) -> Path | None:
    """Do what the plan says; the folder of what was set aside, None when nothing was.

    The caller holds the store's lock and has held it since before the plan was made. A kill in between is
    no harm: a new plan has the rest.
    """
    aside = store.path / QUARANTINE / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    remembered = _remembered(store) if plan.restored else {}
    write_records(store, [remembered[key] for key in plan.restored])
    for name in plan.bad_records:
        _set_aside(store.path / "commits" / name, aside / "commits")
    for name in plan.pending:
        _set_aside(store.path / "pending" / name, aside / "pending")
    if plan.bad_manifest:
        _set_aside(store.path / "manifest.parquet", aside)
    records = [read_record(path) for path in store.commit_paths()] if plan.shards else []
    for shard in plan.shards:
        note(f"copying the whole videos out of shard {shard}")
        records, damaged = vacate(store, shard, records)
        for record in records:
            if record.key in damaged:  # only where the disk gets worse while we look
                plan.lost[record.key], plan.names[record.key] = damaged[record.key], record.names
                _set_aside(store.path / "commits" / f"{record.key}.json", aside / "commits")
        records = [record for record in records if record.key not in damaged]
        drop_pending(store, {shard})
        _set_aside(store.path / "shards" / shard, aside / "shards")
    for name in plan.journals:
        journal = Journal(store.path / name)
        keep_lines(journal, journal.entries())
    finish(store)
    store.sweep_partials()
    if not aside.is_dir():
        return None
    atomic_write_text(aside / "repair.json", json.dumps(asdict(plan), indent=2) + "\n")
    return aside


def _plan_rest(store: Store, plan: Plan, videos: list[VideoRecord]) -> None:
    """Everything but records and shards with damage."""
    try:
        store.manifest()
    except (OSError, ValueError):
        plan.bad_manifest = True
    plan.journals = [name for name in JOURNALS if Journal(store.path / name).torn_lines()]
    for path in pending_files(store.path):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            plan.pending.append(path.name)
    named = {segment.shard for video in videos if video.key not in plan.lost for segment in video.segments}
    if not plan.pending:
        named |= shards_in_pending(store.path)
    for path in sorted((store.path / "shards").iterdir()):
        orphan = path.suffix == ".h5" and path.name not in named and path.name not in plan.shards
        if path.name.endswith(PARTIAL_SUFFIX) or orphan:
            plan.leftovers.append(path.name)
    for folder in (store.path, store.path / "commits"):
        plan.leftovers += [path.name for path in sorted(folder.glob(f".*{TEMP_SUFFIX}"))]


def _remembered(store: Store) -> dict[str, VideoRecord]:
    """Records as the index holds them, if its own checksum is right; it may be older than the records."""
    try:
        indexed = read_index(store.path / "index.json").values()
        return {record["key"]: record_from_dict(record) for _, record in indexed}
    except (ValueError, KeyError, TypeError):
        return {}


def _set_aside(path: Path, folder: Path) -> None:
    if not path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(folder / path.name)
    fsync_dir(folder)
    fsync_dir(path.parent)
