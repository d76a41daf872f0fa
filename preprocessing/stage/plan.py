"""From inputs to jobs: find sources, hash them, leave out what is stored, removed or known to fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cache.removals import Removals
from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.discover import content_key, place
from preprocessing.stage.job import Job, is_passing
from preprocessing.types import InputError, Source

HASH_THREADS = 4  # hashing releases the GIL; more threads than this only fight over the disk


@dataclass
class Plan:
    """What a run has to do and what it may skip."""

    jobs: list[Job] = field(default_factory=list)  # large files first: none of them may end the run alone
    num_stored: int = 0  # sources whose content is in the store already
    names_added: int = 0  # of these, under a name that was not known yet
    failed_before: list[FailureRecord] = field(default_factory=list)  # unchanged since; not tried again
    failures: list[FailureRecord] = field(default_factory=list)  # of this run: cannot be read
    keys: dict[str, str] = field(default_factory=dict)  # path -> content key of every source that was read


def make_plan(
    store: Store,
    sources: list[Source],
    *,
    retry_failed: bool = False,
    on_hashed: Callable[[Source], None] = lambda _source: None,
) -> Plan:
    """Hash every source and sort it into a plan. The caller holds the store's lock."""
    plan = Plan()
    jobs: dict[str, Job] = {}
    stored = store.keys()
    removed = Removals(store.path)
    recorded = {failure.path: failure for failure in store.failures()}
    with ThreadPoolExecutor(HASH_THREADS) as threads:
        keys = threads.map(lambda s: _key(store, removed, s), sources)
        for source, (key, num_bytes, stamp) in zip(sources, keys, strict=True):
            on_hashed(source)
            path = place(source.path)
            failed = recorded.get(path)
            if failed is not None and failed.key != key:
                failed = None  # it was another content
            if isinstance(key, InputError):
                plan.failures.append(
                    FailureRecord(source.name, path, None, key.stage, "InputError", key.reason)
                )
                continue
            plan.keys[path] = key
            if (why := removed.reason(key)) is not None:
                # Told, but not written down: its name shall not come back into the store.
                plan.failed_before.append(
                    FailureRecord(source.name, path, key, "removed", "RemovedError", why)
                )
            elif key in stored:
                plan.num_stored += 1
                if source.name not in store.video(key).names:
                    store.add_name(key, source.name)
                    plan.names_added += 1
                if failed is not None:  # damaged: what could be read of it is stored
                    plan.failed_before.append(failed)
                elif path in recorded:
                    store.clear_failure(path)
            elif failed is not None and not retry_failed and not is_passing(failed.stage, failed.error):
                plan.failed_before.append(failed)
            elif key in jobs:
                jobs[key].sources.append(source)
            else:
                jobs[key] = Job(key, [source], num_bytes, stamp)
    plan.jobs = sorted(jobs.values(), key=lambda job: -job.num_bytes)
    return plan


def _key(
    store: Store, removed: Removals, source: Source
) -> tuple[str | InputError, int, tuple[int, int] | None]:
    """Content key, from the side table where size and time are unchanged; size; stamp of a plain file.

    What was removed for good is hashed anew each time: its path shall not come back into the store either.
    """
    try:
        stat = source.path.stat()
        if source.sidecar is not None or not source.path.is_file():
            return content_key(source), stat.st_size, None
        path = os.fspath(source.path.absolute())
        stamp = stat.st_size, stat.st_mtime_ns
        key = store.hash_cache.get(path, *stamp)
        if key is None:
            key = content_key(source)
            if key not in removed:
                store.hash_cache.put(path, *stamp, key)
        return key, stat.st_size, stamp
    except InputError as error:
        return error, 0, None
    except OSError as error:
        return InputError("read", f"cannot be read: {error.strerror or error}"), 0, None
