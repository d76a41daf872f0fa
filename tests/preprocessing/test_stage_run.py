"""The whole stage on real files: a real Ray, real children, real kills. Faces are whole pictures here."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cache.errors import StoreError
from cache.info import info
from cache.reader import StoreReader
from cache.store import Store
from cache.verify import verify
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.driver import StageError
from preprocessing.stage.run import preprocess
from preprocessing.stage.watch import Watch
from tests.decoders import ENGINES
from tests.videos import truncate, write_audio, write_video

SPEC = PreprocessSpec(faces="precropped")
EVIL_NAMES = ["a b.mp4", "quote'\".mp4", "dots..in it.mp4", "new\nline.mp4", "Größe 表情.mp4", "=cmd().mp4"]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    """One Ray for the module, as a user who already runs one has it."""
    import ray

    from preprocessing.stage.cluster import start_ray

    assert start_ray(None, 2)
    yield
    ray.shutdown()


def make_videos(folder: Path, count: int, num_frames: int = 12) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        pts = range(number, number + num_frames)  # distinct content
        paths.append(write_video(folder / f"v{number:02}.mp4", pts=tuple(pts), first_number=number))
    return paths


def names(store: Path) -> list[str]:
    return sorted(name for video in Store.open(store).videos() for name in video.names)


def test_one_video_needs_no_ray(tmp_path: Path) -> None:
    import ray

    video = write_video(tmp_path / "one.mp4")
    report = preprocess([video], tmp_path / "store", SPEC)
    assert not ray.is_initialized()
    assert report.failures == [] and report.totals.num_done == 1
    facts = info(Store.open(tmp_path / "store"))
    assert facts["videos"][0]["names"] == ["one.mp4"] and facts["videos"][0]["num_frames"] == 10
    assert facts["videos"][0]["tracks"][0]["face_states"] == {"ok": 10}
    assert verify(Store.open(tmp_path / "store"), deep=True) == []


def test_one_bad_video_fails_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"")
    report = preprocess([tmp_path / "bad.mp4"], tmp_path / "store", SPEC)
    assert [(f.name, f.stage, f.reason) for f in report.failures] == [("bad.mp4", "probe", "empty file")]
    assert names(tmp_path / "store") == []


@pytest.mark.ray
@pytest.mark.usefixtures("ray_here")
class TestWithRay:
    def test_every_input_is_stored_or_failed(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        good = make_videos(folder, 3)
        for number, name in enumerate(EVIL_NAMES):
            write_video(folder / name, first_number=20 + number)
        (folder / "same").mkdir()
        write_video(folder / "same" / "v00.mp4", first_number=26)
        (folder / "copy of v01.mp4").write_bytes(good[1].read_bytes())
        (folder / "empty.mp4").write_bytes(b"")
        (folder / "random.mp4").write_bytes(random.Random(0).randbytes(5000))
        (folder / "notes.txt").write_text("no video")
        write_audio(folder / "audio.m4a")
        truncate(good[2], 0.5, folder / "truncated.mp4")
        store = tmp_path / "store"
        report = preprocess([folder, tmp_path / "missing"], store, SPEC, num_workers=2)

        stored = names(store)
        assert {"v00.mp4", "v01.mp4", "v02.mp4", "same/v00.mp4", "copy of v01.mp4"} <= set(stored)
        assert set(EVIL_NAMES) <= set(stored)
        failed = {f.name: f.reason for f in report.failures}
        assert set(failed) == {"empty.mp4", "random.mp4", "audio.m4a", "truncated.mp4", "missing"}
        assert failed["empty.mp4"] == "empty file" and "no video stream" in failed["audio.m4a"]
        assert all("\n" not in reason for reason in failed.values())
        doubles = [v.names for v in Store.open(store).videos() if len(v.names) > 1]
        assert doubles == [["copy of v01.mp4", "v01.mp4"]], "same content is stored once, both names kept"
        lines = (store / "failures.jsonl").read_text().splitlines()
        assert {json.loads(line)["name"] for line in lines} == set(failed)
        assert verify(Store.open(store), deep=True) == []

        again = preprocess([folder, tmp_path / "missing"], store, SPEC)
        assert again.nothing_to_do and {f.name for f in again.failures} == set(failed)

        (folder / "v00 moved.mp4").write_bytes(good[0].read_bytes())
        more = preprocess([folder], store, SPEC)
        assert more.nothing_to_do and more.plan.names_added == 1
        assert "v00 moved.mp4" in names(store)

    def test_a_store_of_another_contract_is_refused(self, tmp_path: Path) -> None:
        video = write_video(tmp_path / "one.mp4")
        preprocess([video], tmp_path / "store", SPEC)
        with pytest.raises(StoreError, match="crop_size"):
            preprocess([video], tmp_path / "store", PreprocessSpec(faces="precropped", crop_size=96))

    def test_nothing_to_find_and_another_codec_are_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(StageError, match=r"no video, image or keypoint file in .*empty$"):
            preprocess([tmp_path / "empty"], tmp_path / "store", SPEC)
        with pytest.raises(StageError, match="nowhere: 'nowhere': no such file or folder"):
            preprocess([tmp_path / "nowhere"], tmp_path / "store", SPEC)
        assert not (tmp_path / "store").exists()
        (video,) = make_videos(tmp_path / "in", 1)
        preprocess([video], tmp_path / "store", SPEC)
        with pytest.raises(StoreError, match="holds crops as jpeg, codec: plain was asked for"):
            preprocess([video], tmp_path / "store", SPEC.model_copy(update={"codec": "plain"}))

    def test_killed_workers_cost_nothing_but_time(self, tmp_path: Path) -> None:
        """SIGKILL at random points: every video is stored exactly once, nothing is blamed."""
        folder, store = tmp_path / "in", tmp_path / "store"
        make_videos(folder, 24, num_frames=600)
        stop = threading.Event()
        killed: list[int] = []

        def kill_workers() -> None:
            rng = random.Random(1)
            while not stop.is_set() and len(killed) < 3:
                time.sleep(rng.uniform(0.05, 0.4))
                partials = list((store / "shards").glob("*.partial")) if store.exists() else []
                pids = _writers(partials)
                if pids:
                    killed.append(rng.choice(pids))
                    os.kill(killed[-1], signal.SIGKILL)

        killer = threading.Thread(target=kill_workers)
        killer.start()
        try:
            report = preprocess([folder], store, SPEC, num_workers=2)
        finally:
            stop.set()
            killer.join()
        assert killed, "the test must kill something"
        assert report.failures == []
        assert names(store) == [f"v{n:02}.mp4" for n in range(24)]
        assert verify(Store.open(store), deep=True) == []
        assert list((store / "shards").glob("*.partial")) == []

    def test_a_frozen_worker_is_replaced(self, tmp_path: Path) -> None:
        folder, store = tmp_path / "in", tmp_path / "store"
        make_videos(folder, 12, num_frames=200)
        frozen: list[int] = []

        def freeze_one() -> None:
            limit = time.monotonic() + 30
            while not frozen and time.monotonic() < limit:
                time.sleep(0.05)
                pids = _writers(list((store / "shards").glob("*.partial"))) if store.exists() else []
                if pids:
                    os.kill(pids[0], signal.SIGSTOP)  # hangs as native code can: no signal, no answer
                    frozen.append(pids[0])

        freezer = threading.Thread(target=freeze_one)
        freezer.start()
        report = preprocess([folder], store, SPEC, num_workers=2, watch=Watch(silent_seconds=4))
        freezer.join()
        assert frozen and report.totals.num_workers_lost >= 1
        assert report.failures == [] and len(names(store)) == 12


@pytest.mark.parametrize("decoder", ENGINES)
def test_stored_times_and_crops_are_those_of_the_file(tmp_path: Path, decoder: str) -> None:
    """A stream that starts at 10 s with uneven frames: exact times, and each crop is its own picture."""
    pts = (250, 251, 253, 256, 257, 260)
    video = write_video(tmp_path / "late.mp4", pts=pts, size_wh=(112, 112))
    preprocess([video], tmp_path / "store", PreprocessSpec(faces="precropped", decoder=decoder))
    reader = StoreReader(tmp_path / "store")
    record = reader.videos()[0]
    stored_pts, t_start, t_end = reader.times(record.key)
    assert stored_pts.tolist() == list(pts)
    assert t_start.tolist() == pytest.approx([(p - 250) / 25 for p in pts])
    assert t_end[:-1].tolist() == t_start[1:].tolist()
    track = reader.track(record.key, 0)
    crops = reader.read_crops(track, track.has_crop.nonzero()[0])
    assert len(crops) == len(pts)
    blue = crops[:, 60:, 60:, 2].mean(axis=(1, 2))
    assert (blue[1:] - blue[:-1] > 5).all(), "each frame is bluer than the one before"


def _writers(paths: list[Path]) -> list[int]:
    """Processes that have one of the files open."""
    wanted = {str(path) for path in paths}
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            links = {str(link.readlink()) for link in (process / "fd").iterdir()}
        except OSError:
            continue
        if links & wanted and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def test_a_failure_belongs_to_the_file_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    good, bad = write_video(tmp_path / "in/good.mp4"), tmp_path / "in/bad.mp4"
    bad.touch()
    store = tmp_path / "store"
    assert len(preprocess([bad], store, SPEC).failures) == 1
    monkeypatch.chdir(tmp_path / "in")
    again = preprocess([Path("bad.mp4")], store, SPEC)
    assert again.nothing_to_do and len(again.failures) == 1
    assert len(Store.open(store).failures()) == 1
    preprocess([good], store, SPEC)
    bad.write_bytes(good.read_bytes())  # now of a content that is stored already
    assert preprocess([Path("bad.mp4")], store, SPEC).failures == []
    assert Store.open(store).failures() == []


def test_a_file_that_changes_during_the_run_is_not_stored_under_its_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from preprocessing.stage import plan

    video, store = write_video(tmp_path / "one.mp4"), tmp_path / "store"
    content = video.read_bytes()
    key_of = plan._key

    def hash_then_shrink(*arguments: Any) -> Any:
        found = key_of(*arguments)
        truncate(video, 0.5, video)
        return found

    monkeypatch.setattr(plan, "_key", hash_then_shrink)
    report = preprocess([video], store, SPEC)
    assert [(f.stage, f.reason) for f in report.failures] == [("read", "the file changed during the run")]
    assert names(store) == []
    monkeypatch.undo()
    video.write_bytes(content)
    assert preprocess([video], store, SPEC).failures == [], "it is tried again without being asked to"
    assert names(store) == ["one.mp4"] and Store.open(store).failures() == []


LONG = SPEC.model_copy(update={"segment_seconds": 1.0})


def write_long(folder: Path, seconds: int = 8) -> Path:
    options = {"g": "25", "keyint_min": "25", "sc_threshold": "0"}
    return write_video(folder / "long.mp4", pts=range(25 * seconds), codec_options=options)


def test_a_long_video_is_done_in_parts(tmp_path: Path) -> None:
    video, store = write_long(tmp_path), tmp_path / "store"
    report = preprocess([video], store, LONG, num_workers=2)
    assert report.failures == []
    (record,) = Store.open(store).videos()
    assert len(record.segments) == 8 and record.num_frames == 200 and len(record.persons) == 1
    assert record.provenance["stage_seconds"].keys() >= {"decode", "track", "write"}
    assert verify(Store.open(store), deep=True) == []
    assert {path.name for path in store.iterdir()} >= {"commits", "shards", "runs"}
    assert not (store / "crashes").exists() and list((store / "pending").iterdir()) == []
    assert preprocess([video], store, LONG).nothing_to_do
