"""The count of losses itself: each kind of loss is made by hand and must be found."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cache.schema import FailureRecord
from cache.store import Store
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.run import preprocess
from tools.faults.corpus import write_clip
from tools.faults.judge import digests, judge
from tools.faults.processes import Household, actors, kill

pytestmark = pytest.mark.faults
SPEC = PreprocessSpec(faces="precropped")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two videos, each in a shard of its own."""
    folder = tmp_path_factory.mktemp("whole")
    for number, name in enumerate(("a.mp4", "b.mp4")):
        preprocess([write_clip(folder / name, number, 30)], folder / "store", SPEC)
    return folder / "store"


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Store:
    """A copy to spoil."""
    return Store.open(Path(shutil.copytree(whole, tmp_path / "store")))


def test_a_whole_store_is_clean(whole: Path, store: Store) -> None:
    verdict = judge(store.path, digests(whole))
    assert verdict.clean and verdict.num_stored == 2


def test_a_lost_video_is_found(whole: Path, store: Store) -> None:
    store.commit_paths()[0].unlink()
    verdict = judge(store.path, digests(whole))
    assert len(verdict.lost) == 1 and verdict.num_stored == 1
    assert any("no record names" in problem for problem in verdict.doubled), "its bytes are still there"


def test_a_video_stored_twice_is_found(whole: Path, store: Store) -> None:
    video = store.videos()[0]
    store.commit(replace(video, key="another"))
    assert video.names[0] in judge(store.path, digests(whole)).doubled


def test_other_rows_are_found(whole: Path, store: Store, tmp_path: Path) -> None:
    expected = digests(whole)
    preprocess([write_clip(tmp_path / "a.mp4", 0, 29)], tmp_path / "shorter", SPEC)
    expected["a.mp4"] = digests(tmp_path / "shorter")["a.mp4"]
    assert judge(store.path, expected).changed == ["a.mp4"]


def test_damage_and_what_is_left_over_are_found(whole: Path, store: Store) -> None:
    shard = next((store.path / "shards").glob("*.h5"))
    data = bytearray(shard.read_bytes())
    place = data.find(b"\xff\xd8\xff")  # where a JPEG begins
    data[place + 200] ^= 1
    (shard.parent / "x.h5.partial").touch()
    shard.write_bytes(data)
    verdict = judge(store.path, digests(whole))
    assert len(verdict.changed) == 1 and verdict.left_over == ["x.h5.partial"]
    assert sum("checksum" in problem for problem in verdict.damaged) == 1
    assert sum("left over" in problem for problem in verdict.damaged) == 1


def test_a_good_video_among_the_failures_is_found(whole: Path, store: Store) -> None:
    store.record_failure(FailureRecord("a.mp4", "/a.mp4", None, "worker", "WorkerLostError", "blamed"))
    assert judge(store.path, digests(whole)).quarantined == ["a.mp4"]


def test_a_process_that_outlives_its_parent_is_found_and_ended() -> None:
    code = (
        "import subprocess, sys; "
        "child = [sys.executable, '-c', 'import time; time.sleep(600)']; "
        "print(subprocess.Popen(child, stdout=subprocess.DEVNULL).pid)"
    )
    with Household() as household:
        parent = household.start([sys.executable, "-c", code], stdout=subprocess.PIPE)
        text, _ = parent.communicate()
        orphans, _ = household.orphans(0.3, helpers=True)
        assert [process.pid for process in orphans] == [int(text)]
        assert actors(parent.pid) == []
    limit = time.monotonic() + 10
    while kill(int(text)) and time.monotonic() < limit:
        time.sleep(0.05)
    with Household() as household:
        assert household.orphans(0.3, helpers=True)[0] == []
