"""Stores put together, and taken apart. Shards are linked where that works, nothing is encoded again.

A new store grows beside its place and takes its name when it is complete, so half of one is never seen.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cache.atomic import fsync_dir
from cache.errors import StoreError
from cache.journal import Journal
from cache.labels import labels_of
from cache.removals import Removals
from cache.rewrite import by_shard, copy_segments, link_or_copy, moved, segments_in
from cache.schema import VideoRecord
from cache.store import Store, describe_differences
from cache.vacate import renamed, write_records

if TYPE_CHECKING:
    import pandas as pd

ROW_IDENTITY = ("key", "start", "end", "person")  # of the manifest: two such rows say something of the same


def merge(
    paths: Sequence[Path],
    out: Path,
    *,
    keep_first: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, int]:
    """One new store of several: `num_videos`, `num_twice` (same content in two), `num_removed`, `num_rows`.

    The same content in two stores is one video with all its names. What one store removed for good does not
    come back from another. keep_first: where manifests disagree on a row, the first store is right.
    progress: gets the number of stores that are in, and of all.
    Raises StoreError: two input contracts or codecs (naming the fields), manifests that disagree.
    """
    stores = [Store.open(path) for path in paths]
    first = stores[0]
    for other in stores[1:]:
        if other.contract_hash != first.contract_hash:
            differences = describe_differences(first.contract, other.contract)
            raise StoreError(f"{other.path} has another input contract than {first.path}: {differences}")
        if other.codec != first.codec:
            raise StoreError(f"{other.path} keeps its crops as {other.codec}, {first.path} as {first.codec}")
    manifest = merge_manifests({str(store.path): labels_of(store) for store in stores}, keep_first=keep_first)
    removed = [Removals(store.path) for store in stores]
    numbers = {"num_videos": 0, "num_twice": 0, "num_removed": 0}
    with new_store(out, first) as target:
        for journal in removed:
            Removals(target.path).take_over(journal.entries())
        gone = Removals(target.path)
        records: dict[str, VideoRecord] = {}
        for number, store in enumerate(stores):
            progress(number, len(stores))
            taken = []
            for video in store.videos():
                if video.key in gone:
                    numbers["num_removed"] += 1
                elif video.key in records:
                    records[video.key] = renamed(records[video.key], video.names)
                    numbers["num_twice"] += 1
                else:
                    records[video.key] = video
                    taken.append(video)
            kept = _take_shards(store, taken, target)
            records |= {video.key: renamed(video, records[video.key].names) for video in kept}
            _take_journals(store, target, set(gone_keys(store, gone)))
        write_records(target, records.values())
        if manifest is not None:
            manifest = manifest[manifest["key"].isin(records)].reset_index(drop=True)
            target.write_manifest(manifest)
    return {**numbers, "num_videos": len(records), "num_rows": 0 if manifest is None else len(manifest)}


def split(store: Store, parts: Mapping[str, Collection[str]], out: Path) -> dict[str, int]:
    """New stores `out/<part>`, each of the videos with these keys; number of videos of each.

    Each has the rows of the manifest that are of its videos, and all of the journal of removals.
    Raises StoreError when a part's folder is there already.
    """
    records = {video.key: video for video in store.videos()}
    manifest = labels_of(store)
    for name in parts:
        if (out / name).exists():
            raise StoreError(f"{out / name} is there already")
    for name, keys in parts.items():
        with new_store(out / name, store) as target:
            Removals(target.path).take_over(Removals(store.path).entries())
            kept = _take_shards(store, [records[key] for key in sorted(keys)], target)
            write_records(target, kept)
            if manifest is not None and "key" in manifest.columns:
                target.write_manifest(manifest[manifest["key"].isin(keys)].reset_index(drop=True))
    return {name: len(keys) for name, keys in parts.items()}


@contextmanager
def new_store(out: Path, like: Store) -> Iterator[Store]:
    """An empty store with the spec of another; it appears at `out` when the block ends well."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out} is there already: a new store needs a new folder")
    out = out.absolute()  # "." has no name
    temp = out.with_name(f".{out.name}.partial")
    if temp.exists():
        shutil.rmtree(temp)  # of a run that was killed
    temp.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield Store.create(temp, spec=like.spec, contract=like.contract, codec=like.codec)
        fsync_dir(temp / "shards")
        if out.exists():
            out.rmdir()
        temp.rename(out)
        fsync_dir(out.parent)
    except BaseException:
        shutil.rmtree(temp, ignore_errors=True)
        raise


def _text(value: object) -> str:
    """A cell as text; an empty one, however pandas writes it, is ""."""
    return "" if value is None or str(value) in ("nan", "<NA>", "NaT") else str(value)


def merge_manifests(
    tables: Mapping[str, pd.DataFrame | None], *, keep_first: bool = False
) -> pd.DataFrame | None:
    """All rows; equal ones once. tables: by the name of their store. Raises StoreError where two disagree."""
    import pandas as pd

    given = [(name, table) for name, table in tables.items() if table is not None and "key" in table.columns]
    if not given:
        return None
    whole = pd.concat([table.assign(_of=name) for name, table in given], ignore_index=True)
    identity = [column for column in ROW_IDENTITY if column in whole.columns]
    facts = [c for c in whole.columns if c not in (*identity, "name", "_of")]
    text = whole[facts].map(_text)
    place = whole[identity].map(_text).agg("|".join, axis=1)
    first = whole.groupby(place, sort=False)["_of"].transform("first")
    disagree: list[str] = []
    for _, rows in text.groupby(place, sort=False):
        for column in facts:
            values = set(rows[column]) - {""}
            if len(values) > 1 and len(set(whole.loc[rows.index, "_of"])) > 1:
                name = whole.loc[rows.index[0], "name"]
                disagree.append(f"{name!r}: {column} is {' and '.join(sorted(values))}")
    if disagree and not keep_first:
        shown = "; ".join(disagree[:5])
        more = f" and {len(disagree) - 5} more" if len(disagree) > 5 else ""
        raise StoreError(f"the manifests disagree: {shown}{more}")
    return whole[whole["_of"] == first].drop(columns="_of").reset_index(drop=True)


def gone_keys(store: Store, removals: Removals) -> list[str]:
    """Keys of a store that were removed elsewhere."""
    return [key for key in sorted(store.keys()) if key in removals]


def _take_shards(store: Store, videos: list[VideoRecord], target: Store) -> list[VideoRecord]:
    """Bring the bytes of these videos into another store; the records with their new places.

    A shard that holds nothing else is linked, so it costs no space; of any other the segments are copied.
    """
    wanted = {video.key for video in videos}
    shards = {segment.shard for video in videos for segment in video.segments}
    named = {(s.shard, s.group) for video in videos for s in video.segments}
    mixed = set()
    for shard in sorted(shards):
        path = store.shard_path(shard)
        held = segments_in(path)
        if all(key in wanted and (shard, group) in named for group, key in held):
            link_or_copy(path, target.shard_path(shard))
        else:
            mixed.add(shard)
    places = copy_segments(by_shard(store.path / "shards", videos, mixed), target.path / "shards")
    return [moved(video, places) for video in videos]


def _take_journals(store: Store, target: Store, gone: set[str]) -> None:
    """Failures and known hashes of a store, but for what was removed."""
    for failure in store.failures():
        if failure.key not in gone:
            target.record_failure(failure)
    hashes = Journal(target.path / "hashes.jsonl")
    for entry in Journal(store.path / "hashes.jsonl").entries():
        if entry.get("key") not in gone:
            hashes.append(entry, durable=False)
