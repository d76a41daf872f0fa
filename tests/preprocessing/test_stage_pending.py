"""Segments that wait for the rest of their video: what is taken up by the next run, and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cache.schema import VideoRecord
from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.discover import place
from preprocessing.part import SegmentOutcome
from preprocessing.spec import PreprocessSpec
from preprocessing.stage.job import Job
from preprocessing.stage.pending import Pending, outcome_from_dict, outcome_to_dict
from preprocessing.tracking.evidence import SeamBox, SegmentEvidence, TrackEvidence
from preprocessing.types import Probe, Source, Span

SPEC = PreprocessSpec()
PROBE = Probe(
    640, 480, 90, True, 1, Fraction(1, 90000), Fraction(-7, 3), None, "h264", "yuv420p", Fraction(1, 7), 29.97
)
SPAN = Span(3, 100, 200)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", spec={}, contract={}, codec="jpeg")


def outcome(store: Store, key: str = "k") -> SegmentOutcome:
    """With something in every field."""
    writer = ShardWriter(store.path, codec="jpeg", crop_size=112)
    segment = writer.begin_segment(key, SPAN.index, PROBE.time_base)
    segment.append_frames(np.arange(100, 105, dtype=np.int64))
    record = segment.finish(105)
    writer.seal()
    box = (1.0, 2.0, 3.5, 4.25)
    track = TrackEvidence(
        "face", 0, 0, 5, 0.1, 0.2, {1: 4, 2: 1}, 0.9, 0.8, 30.0, box, box, (0.5, 0.5), (1.0,), 2
    )
    evidence = SegmentEvidence(3, 5, 0.1, 0.2, 0.6, [track], [(0, 1, 5)], [SeamBox(100, "face", 0, box)], [])
    return SegmentOutcome(
        record, evidence, PROBE, 0.1, 0.2, "broken", ["w"], {"decoder": "pyav"}, [(101, 103)], {"decode": 1.5}
    )


def job(key: str = "k", path: str = "/in/a.mp4") -> Job:
    return Job(key, [Source(Path(path), "a.mp4", "video")], span=SPAN)


def test_an_outcome_comes_back_as_it_was(store: Store) -> None:
    before = outcome(store)
    assert outcome_from_dict(json.loads(json.dumps(outcome_to_dict(before)))) == before


def test_what_is_saved_is_taken_up(store: Store) -> None:
    saved = outcome(store)
    store.commit_all([], Pending(store, SPEC).files([(job(), saved)]))
    later = Pending(store, SPEC)
    later.sweep()
    later.sweep_changed({place(Path("/in/a.mp4")): "k", "/in/other.mp4": "x"})
    assert later.spans("k") == {3: SPAN} and later.load("k", 3) == saved
    assert later.spans("other") == {}
    assert store.sweep_partials() == [], "its shard is in use"
    later.remove("k")
    assert later.spans("k") == {}
    assert store.sweep_partials() == [saved.record.shard]
    with pytest.raises(FileNotFoundError):
        later.load("k", 3)


def test_what_does_not_fit_is_swept(store: Store) -> None:
    saved = outcome(store)

    def left_by(spec: PreprocessSpec) -> list[str]:
        pending = Pending(store, spec)
        pending.sweep()
        return sorted(path.name for path in pending.folder.iterdir())

    pending = Pending(store, SPEC)
    store.commit_all([], pending.files([(job(), saved)]))
    assert Pending(store, SPEC.model_copy(update={"jpeg_quality": 80})).spans("k") == {}
    assert left_by(SPEC) == ["k-3.json"]
    assert left_by(SPEC.model_copy(update={"jpeg_quality": 80})) == []

    store.commit_all([], pending.files([(job(), saved)]))
    (pending.folder / "torn-0.json").write_text('{"made_by": "')
    (pending.folder / ".x.tmp").touch()
    assert left_by(SPEC) == ["k-3.json"]

    pending.sweep_changed({place(Path("/in/a.mp4")): "another content"})
    assert left_by(SPEC) == []

    lost = replace(saved, record=replace(saved.record, shard="0123.h5"))
    store.commit_all([], pending.files([(job(), lost)]))
    assert left_by(SPEC) == [], "its shard is gone"

    store.commit_all([], pending.files([(job(), saved)]))
    path = pending.folder / "k-3.json"
    document = json.loads(path.read_bytes())
    document["outcome"]["evidence"]["tracks"][0]["a field of another version"] = 1
    path.write_text(json.dumps(document))
    assert left_by(SPEC) == []


def test_what_is_committed_is_swept(store: Store) -> None:
    saved = outcome(store)
    pending = Pending(store, SPEC)
    store.commit_all([], pending.files([(job(), saved)]))
    video = VideoRecord(
        "k", ["a"], "video", 5, 640, 480, (1, 90000), (0, 1), 0.1, 0.2, 0.2, [saved.record], [], {}, [(1, 9)]
    )
    store.commit(video)
    pending.sweep()
    assert pending.spans("k") == {}
    assert store.video("k") == video and store.videos() == [video]
