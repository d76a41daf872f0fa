"""From inputs to jobs: find sources, hash them, leave out what is stored or known to fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.discover import content_key, place
from preprocessing.stage.job import Job
from preprocessing.types import InputError, Source

HASH_THREADS = 4  # hashing releases the GIL; more threads than this only fight over the disk


@dataclass
class Plan:
    """What a run has to do and what it may skip."""

    jobs: list[Job] = field(default_factory=list)
    num_stored: int = 0  # sources whose content is in the store already
    names_added: int = 0  # of these, under a name that was not known yet
    failed_before: list[FailureRecord] = field(default_factory=list)  # unchanged since; not tried again
    failures: list[FailureRecord] = field(default_factory=list)  # of this run: cannot be read


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
    stored = set(store.keys())
    recorded = {failure.path: failure for failure in store.failures()}
    with ThreadPoolExecutor(HASH_THREADS) as threads:
        for source, key in zip(sources, threads.map(lambda s: _key(store, s), sources), strict=True):
            on_hashed(source)
            failed = recorded.get(place(source.path))
            if failed is not None and failed.key != key:
                failed = None  # it was another content
            if isinstance(key, InputError):
                plan.failures.append(
                    FailureRecord(source.name, place(source.path), None, key.stage, "InputError", key.reason)
                )
            elif key in stored:
                plan.num_stored += 1
                if source.name not in store.video(key).names:
                    store.add_name(key, source.name)
                    plan.names_added += 1
                if failed is not None:  # damaged: what could be read of it is stored
                    plan.failed_before.append(failed)
                elif place(source.path) in recorded:
                    store.clear_failure(place(source.path))
            elif failed is not None and not retry_failed:
                plan.failed_before.append(failed)
            elif key in jobs:
                jobs[key].sources.append(source)
            else:
                jobs[key] = Job(key, [source])
    plan.jobs = list(jobs.values())
    return plan


def _key(store: Store, source: Source) -> str | InputError:
    """Content key, from the side table where path, size and time are unchanged."""
    try:
        plain_file = source.path.is_file() and source.sidecar is None
        if not plain_file:
            return content_key(source)
        stat = source.path.stat()
        path = os.fspath(source.path.absolute())
        key = store.hash_cache.get(path, stat.st_size, stat.st_mtime_ns)
        if key is None:
            key = content_key(source)
            store.hash_cache.put(path, stat.st_size, stat.st_mtime_ns, key)
        return key
    except InputError as error:
        return error
    except OSError as error:
        return InputError("read", f"cannot be read: {error.strerror or error}")
