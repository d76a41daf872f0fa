"""Checking a whole store: does every record have its bytes, and are they those that were written?"""

from __future__ import annotations

import multiprocessing
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from cache.atomic import PARTIAL_SUFFIX, TEMP_SUFFIX
from cache.check import SegmentCheck, check_segments
from cache.errors import CorruptError, StoreError
from cache.journal import Journal
from cache.pending import shards_in_pending
from cache.records import read_record
from cache.removals import Removals
from cache.remove import intent_of
from cache.schema import SegmentRecord, VideoRecord
from cache.store import Store

SEGMENTS_AT_ONCE = 64  # that one process checks before it reports: so often progress is seen
JOBS_A_PROCESS = 3  # handed out at once: none of them waits for the next
JOURNALS = ("failures.jsonl", "removals.jsonl", "hashes.jsonl")

Progress = Callable[[int, int], None]
"""Gets the number of segments that were checked, and that of all."""


@dataclass(frozen=True)
class Problem:
    """One finding. An error means that data is lost or wrong; a note, that there is something to clean up."""

    level: Literal["error", "note"]
    message: str
    key: str | None = None  # of the video whose data is wrong
    path: Path | None = None  # of a file of the store that is wrong itself, or left over

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


def verify(
    store: Store,
    *,
    deep: bool = False,
    num_processes: int = 1,
    progress: Progress = lambda _done, _total: None,
) -> list[Problem]:
    """All problems of a store; none found: []. `deep` also reads every byte and checks its checksum.

    Without it the tables of every segment are read: missing shards, wrong counts and records are found.
    num_processes: 1 checks in this process, which a damaged file could end.
    """
    problems: list[Problem] = []
    videos: list[VideoRecord] = []
    paths = store.commit_paths()
    for path in paths:
        try:
            record = read_record(path)
        except (StoreError, OSError) as error:
            problems.append(Problem("error", str(error), path=path))
            continue
        if record.key != path.stem:
            problems.append(Problem("error", f"commit record {path} is of video {record.key}", path=path))
        videos.append(record)
    all_readable = len(videos) == len(paths)
    checks = check_videos(store, videos, deep=deep, num_processes=num_processes, progress=progress)
    for video in videos:
        problems += [Problem("error", message, video.key) for message in video_problems(video, checks)]
    return [*problems, *_around(store, videos, orphans_known=all_readable)]


Checks = dict[tuple[str, int], SegmentCheck]
"""By key of the video and position of the segment in its record."""


def check_videos(
    store: Store, videos: Sequence[VideoRecord], *, deep: bool, num_processes: int, progress: Progress
) -> Checks:
    """Every segment of these videos, shard by shard."""
    checks: Checks = {}
    by_shard: dict[str, list[tuple[tuple[str, int], SegmentRecord]]] = defaultdict(list)
    for video in videos:
        for position, segment in enumerate(video.segments):
            by_shard[segment.shard].append(((video.key, position), segment))
    units = []
    for shard, members in by_shard.items():
        try:
            path = store.shard_path(shard)
        except StoreError as error:
            checks |= {place: SegmentCheck((str(error),)) for place, _ in members}
            continue
        starts = range(0, len(members), SEGMENTS_AT_ONCE)
        units += [(path, members[start : start + SEGMENTS_AT_ONCE]) for start in starts]
    total = sum(len(members) for members in by_shard.values())
    jobs = [(path, [(segment, key) for (key, _), segment in members]) for path, members in units]
    for number, found in _run(jobs, deep=deep, num_processes=num_processes):
        checks |= {place: check for (place, _), check in zip(units[number][1], found, strict=True)}
        progress(len(checks), total)
    return checks


def video_problems(video: VideoRecord, checks: Checks) -> Iterator[str]:
    """What is wrong with one video, given the checks of its segments."""
    name = f"video {video.key} ({video.names[0]!r})" if video.names else f"video {video.key}"
    total = sum(segment.num_frames for segment in video.segments)
    if total != video.num_frames:
        yield f"{name}: its record says {video.num_frames} frames, its segments hold {total}"
    tracks = {(s.index, track.kind, track.local_id) for s in video.segments for track in s.tracks}
    for person in video.persons:
        wanted = {(index, "face", local_id) for index, local_id in person.faces}
        wanted |= {(index, "body", local_id) for index, local_id in person.bodies}
        for index, kind, local_id in sorted(wanted - tracks):
            yield f"{name}: person {person.id} names a missing {kind} track: {local_id} of segment {index}"
    last_pts: int | None = None
    for position, segment in enumerate(video.segments):
        where = f"{name}, segment {segment.index}"
        check = checks[video.key, position]
        yield from (f"{where}: {message}" for message in check.problems)
        if last_pts is not None and check.first_pts is not None and check.first_pts <= last_pts:
            yield f"{where}: times in shard {segment.shard} do not increase"
        last_pts = check.last_pts if check.last_pts is not None else last_pts


Job = tuple[Path, list[tuple[SegmentRecord, str]]]


def _run(jobs: list[Job], *, deep: bool, num_processes: int) -> Iterator[tuple[int, list[SegmentCheck]]]:
    """Number and result of each job, as they end."""
    check = partial(check_segments, deep=deep)
    if num_processes == 1 or len(jobs) == 1:
        yield from ((number, check(*job)) for number, job in enumerate(jobs))
    else:
        yield from _run_in(num_processes, check, jobs)


def _run_in(
    num_processes: int, check: Callable[..., list[SegmentCheck]], jobs: list[Job]
) -> Iterator[tuple[int, list[SegmentCheck]]]:
    """In processes of their own; a shard that ends the one that reads it is found out alone.

    Then all that were under way are read alone; so they are kept few.
    """
    waiting = deque(range(len(jobs)))
    while waiting:
        suspects: list[int] = []
        futures: dict[Future[list[SegmentCheck]], int] = {}
        with _processes(num_processes) as pool:
            while futures or (waiting and not suspects):
                while waiting and not suspects and len(futures) < JOBS_A_PROCESS * num_processes:
                    number = waiting.popleft()
                    try:
                        futures[pool.submit(check, *jobs[number])] = number
                    except BrokenProcessPool:
                        suspects.append(number)
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    number = futures.pop(future)
                    try:
                        found = future.result()
                    except BrokenProcessPool:  # of all that were under way: which one did it is seen below
                        suspects.append(number)
                        continue
                    yield number, found
        for number in suspects:
            yield number, _run_alone(check, jobs[number])


def _run_alone(check: Callable[..., list[SegmentCheck]], job: Job) -> list[SegmentCheck]:
    try:
        with _processes(1) as pool:
            return pool.submit(check, *job).result()
    except BrokenProcessPool:
        return [SegmentCheck((f"shard {job[0]} is damaged: reading it ends the process",))] * len(job[1])


def _processes(number: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(number, mp_context=multiprocessing.get_context("spawn"))


def _around(store: Store, videos: list[VideoRecord], *, orphans_known: bool) -> Iterator[Problem]:
    """What lies around the videos."""
    if intent_of(store) is not None:
        yield Problem("error", f"a removal of videos from {store.path} was begun and not finished")
    removals = Removals(store.path)
    for video in videos:
        if video.key in removals:
            yield Problem("error", f"video {video.key} is in {store.path} but {removals.reason(video.key)}")
    try:
        store.manifest()
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        path = store.path / "manifest.parquet"
        yield Problem("error", f"{path} is unreadable: {' '.join(str(error).split())}", path=path)
    named = {segment.shard for video in videos for segment in video.segments}
    try:
        named |= shards_in_pending(store.path)
    except CorruptError as error:
        yield Problem("error", str(error))
        orphans_known = False
    for path in sorted((store.path / "shards").iterdir()):
        if path.name.endswith(PARTIAL_SUFFIX):
            yield Problem("note", f"{path} is left over, or a run is going on", path=path)
        elif orphans_known and path.name not in named:
            yield Problem("note", f"no record names {path}", path=path)
    for folder in (store.path, store.path / "commits"):
        for path in sorted(folder.glob(f".*{TEMP_SUFFIX}")):
            yield Problem("note", f"{path} is left over", path=path)
    for name in JOURNALS:
        journal = Journal(store.path / name)
        for number in journal.torn_lines():
            yield Problem("note", f"line {number} of {journal.path} is torn", path=journal.path)
