"""Processes killed with SIGKILL at random points: the store is in the old or the new state, never torn."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cache.reader import StoreReader
from cache.store import Store
from cache.verify import verify
from tests.cache.parts import make_faces, make_record, make_store, make_writer, write_segment

REPOSITORY = Path(__file__).resolve().parents[2]

DRIVER = """
import sys
from pathlib import Path
import numpy as np
from cache.store import Store
from tests.cache.parts import make_faces, make_record, make_writer, write_segment

store, number = Store.open(Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
with store.lock():
    store.sweep_partials()
    while True:
        writer, records = make_writer(store), []
        for _ in range(3):
            key = f"k{number}"
            number += 1
            faces = make_faces(np.random.default_rng(number), 40)
            records.append(make_record(key, [write_segment(writer, key, faces, num_frames=40)]))
        writer.seal()
        store.commit_all(records)
        store.add_name(records[0].key, "again.mp4")
"""

DIES_BEFORE_COMMIT = """
import os, signal, sys
from pathlib import Path
import numpy as np
from cache.store import Store
from tests.cache.parts import make_faces, make_writer, write_segment

store = Store.open(Path(sys.argv[1]))
writer = make_writer(store)
write_segment(writer, "k", make_faces(np.random.default_rng(0), 40), num_frames=40)
writer.seal()
os.kill(os.getpid(), signal.SIGKILL)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=REPOSITORY)


def check(store: Store) -> int:
    """Every committed video is whole; the number of them."""
    assert [problem for problem in verify(store, deep=True) if problem.level == "error"] == []
    reader = StoreReader(store.path)
    videos = reader.videos()
    for video in videos:
        expected = make_faces(np.random.default_rng(int(video.key[1:]) + 1), 40)
        track = reader.track(video.key, 0)
        assert np.array_equal(reader.read_crops(track, np.arange(40)), expected.crops)
        assert np.array_equal(track.face_boxes_xyxy, expected.boxes_xyxy)
    return len(videos)


def test_killed_at_random_points(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    rng = np.random.default_rng()
    counts, longest = [0], 0.4
    for round_number in range(8):
        driver = start(DRIVER, store.path, 1000 * round_number)
        assert driver.stdout is not None
        with driver:
            assert driver.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0, longest))
            driver.kill()
        counts.append(check(store))
        longest *= 1 if counts[-1] else 2  # a busy machine gets more time for its first commit
    assert counts == sorted(counts)
    assert counts[-1] > 0
    with store.lock():
        store.sweep_partials()
    assert verify(store, deep=True) == []
    num_videos = check(store)
    assert num_videos % 3 == 0, "all of a shard are committed, or none"
    assert counts[-1] <= num_videos <= counts[-1] + 3


def test_killed_between_rename_and_commit_stores_nothing_twice(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    with start(DIES_BEFORE_COMMIT, store.path) as worker:
        worker.wait()
    (orphan,) = [path.name for path in (store.path / "shards").iterdir()]
    assert not orphan.endswith(".partial")
    assert store.keys() == set()
    with store.lock():
        assert store.sweep_partials() == [orphan]
        writer = make_writer(store)
        faces = make_faces(np.random.default_rng(0), 40)
        segment = write_segment(writer, "k", faces, num_frames=40)
        writer.seal()
        assert store.commit(make_record("k", [segment]))
    assert [path.name for path in (store.path / "shards").iterdir()] == [segment.shard]
    assert verify(store, deep=True) == []


@pytest.mark.parametrize("limit", [20_000, 60_000, 120_000])
def test_a_full_disk_loses_the_open_shard_only(tmp_path: Path, limit: int) -> None:
    """A file-size limit stands for the full disk. The worker gets an error, cleans up and ends."""
    store = make_store(tmp_path / "store")
    code = f"""
import os, resource, signal, sys
from pathlib import Path
import numpy as np
from cache.store import Store
from tests.cache.parts import make_faces, make_writer, write_segment

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
writer = make_writer(Store.open(Path(sys.argv[1])))
try:
    for key in "abcdefgh":
        write_segment(writer, key, make_faces(np.random.default_rng(0), 200), num_frames=200)
    writer.seal()
except OSError:
    writer.discard()
    os._exit(7)
"""
    with start(code, store.path) as worker:
        worker.wait()
    assert worker.returncode != 0
    assert list((store.path / "shards").iterdir()) == []
