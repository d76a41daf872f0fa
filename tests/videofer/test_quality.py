"""The quality report of a store: its figures, its pictures, and that it trusts no name."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cache.records import record_to_bytes
from cache.schema import FailureRecord
from cache.store import Store
from tests.videofer.small_store import make_store
from tests.videofer.training_store import make_training_store
from videofer.quality.facts import _doubts_of, gather
from videofer.quality.items import NO_LABEL, draw, make_items
from videofer.quality.page import quality_page
from videofer.quality.pictures import histogram

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{7*7}}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Five subjects with three classes; of one take nobody's face is seen."""
    return make_training_store(tmp_path_factory.mktemp("quality") / "store", faceless=[1])


class Tags(HTMLParser):
    """Counts tags and keeps their attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]


def test_coverage_by_class_and_subject(store: Store) -> None:
    facts = gather(store)
    assert [group.name for group in facts.classes] == ["neutral", "anger", "happiness"]
    assert [(g.num_items, g.num_others, g.splits) for g in facts.classes] == [
        (10, 5, {"test": 2, "train": 8})
    ] * 3
    for group in facts.classes:
        assert group.seen("face") == pytest.approx(0.5) and group.seen("body") == 1.0
    assert [group.name for group in facts.subjects] == [f"s{n}" for n in range(5)]
    assert {doubt.kind for doubt in facts.doubts} == {"little face", "small face", "dark"}
    assert sum(doubt.kind == "little face" for doubt in facts.doubts) == 15
    assert facts.conflicts == [] and facts.lengths["intervals"] == [1.0] * 30


def test_faces_that_look_away_and_eyes_that_are_shut_are_found(tmp_path: Path) -> None:
    """By the landmarks of the store; of a face of few pixels nothing is said of its eyes."""
    store = make_store(tmp_path / "store", ["a.mp4"], num_frames=6, landmarks=True)
    facts = gather(store)
    assert len(facts.measured) == 1 and np.isfinite(facts.measured[0].eyes_open)
    html = quality_page(store, facts)
    assert "Eyes open" in html and "Turned" in html
    one = replace(facts.measured[0], quality=(80.0, 100.0, 120.0), yaw=0.0, eyes_open=0.3)
    kinds = {
        change: {doubt.kind for doubt in _doubts_of(replace(one, **values), 0.0)}  # type: ignore[arg-type]
        for change, values in {
            "nothing": {},
            "left": {"yaw": -50.0},
            "shut": {"eyes_open": 0.1},
            "small": {"eyes_open": 0.1, "quality": (40.0, 100.0, 120.0)},
            "unknown": {"yaw": math.nan, "eyes_open": math.nan},
        }.items()
    }
    assert kinds == {
        "nothing": set(), "left": {"turned away"}, "shut": {"eyes shut"}, "small": set(), "unknown": set(),
    }  # fmt: skip


def test_the_page_is_one_file_with_faces(store: Store) -> None:
    html = quality_page(store, gather(store))
    tags = Tags(html)
    assert tags.tags["img"] > 60 and tags.tags["svg"] == 7
    sources = [value for name, value in tags.attributes if name in ("src", "href")]
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in sources)
    assert "Content-Security-Policy" in html and "perceived expression" in html
    assert not re.search(r"https?://", html)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    store = make_store(tmp_path / HOSTILE.replace("/", "_"), [f"{HOSTILE}.mp4", "b.mp4"], num_frames=8)
    store.write_manifest(
        pd.DataFrame(
            [
                {"name": f"{HOSTILE}.mp4", "label": HOSTILE, "subject": HOSTILE, "split": HOSTILE},
                {"name": "b.mp4", "label": "anger", "subject": HOSTILE, "split": "test"},
            ]
        )
    )
    store.record_failure(FailureRecord(HOSTILE, f"/{HOSTILE}", None, HOSTILE, "E", HOSTILE))
    record = store.video("0" * 32)
    record = replace(
        record, provenance={"decoder": HOSTILE, "warnings": [HOSTILE], "versions": {HOSTILE: "1"}}
    )
    (store.path / "commits" / f"{record.key}.json").write_bytes(record_to_bytes(record))
    facts = gather(store)
    assert any(doubt.kind == "subject in two splits" for doubt in facts.conflicts)
    html = quality_page(store, facts)
    tags = Tags(html)
    assert tags.tags["script"] == 2 and "alert(1)" in html
    assert not any(name.startswith("on") for name, _ in tags.attributes)
    assert "<script>alert" not in html and "49" not in re.findall(r"&amp;(\d+)", html)


def test_conflicts_and_doubts_are_found(tmp_path: Path) -> None:
    store = make_store(
        tmp_path / "store", ["a.mp4", "b.mp4", "c.mp4"], num_frames=20, face_absent=slice(0, 15)
    )
    store.add_name(f"{0:032x}", "copy.mp4")
    rows = [
        ("a.mp4", "anger", "s", "train"),
        ("copy.mp4", "anger", "t", "test"),
        ("b.mp4", "fear", "s", "test"),
    ]
    store.write_manifest(pd.DataFrame(rows, columns=["name", "label", "subject", "split"]))
    nobody = replace(store.video(f"{2:032x}"), persons=[], duration=60.0)
    (store.path / "commits" / f"{nobody.key}.json").write_bytes(record_to_bytes(nobody))
    facts = gather(store)
    kinds = Counter(doubt.kind for doubt in facts.doubts)
    assert kinds["nobody seen"] == 1 and kinds["damaged"] == 1 and kinds["little face"] == 3
    assert Counter(doubt.kind for doubt in facts.conflicts) == {
        "two splits": 1,
        "two subjects": 1,
        "same content": 1,
        "subject in two splits": 1,
    }
    assert "two splits" in quality_page(store, facts)


def test_a_store_without_labels_or_videos(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", ["a.mp4"], num_frames=5, body=False)
    facts = gather(store)
    assert [(group.name, group.num_items) for group in facts.classes] == [(NO_LABEL, 1)]
    assert not facts.labelled and "has no labels" in quality_page(store, facts)
    empty = make_store(tmp_path / "empty", [])
    assert "0 videos" in quality_page(empty, gather(empty))


def test_a_damaged_video_is_named_not_fatal(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", ["a.mp4", "b.mp4"], num_frames=5)
    for shard in (store.path / "shards").iterdir():
        shard.write_bytes(shard.read_bytes()[:1000])
    facts = gather(store)
    assert [doubt.kind for doubt in facts.doubts[:2]] == ["unreadable"] * 2
    assert "unreadable" in quality_page(store, facts)


def test_a_large_store_is_sampled_from_every_class(store: Store) -> None:
    items, _ = make_items(store.videos(), gather(store).items and store.manifest())
    facts = gather(store, max_measured=15)
    assert len(facts.measured) == 15 and len(facts.items) == 30
    assert Counter(one.item.subject for one in facts.measured) == {f"s{n}": 3 for n in range(5)}
    assert draw(items, 15) == draw(items, 15) and draw(items, 100) == sorted(
        items, key=lambda item: (item.name, item.t_start)
    )
    assert "of 15 of 30 intervals" in quality_page(store, facts)


@pytest.mark.parametrize(
    "values", [[], [1.0], [2.0, 2.0], [0.1, 5000.0], [-3.0, 4.0, float("nan")], list(np.linspace(0, 1, 500))]
)
def test_histograms_of_anything(values: list[float]) -> None:
    svg = str(histogram(values, unit="<s>"))
    assert "<s>" not in svg and "nan" not in svg
    counts = [int(n) for n in re.findall(r": (\d+)</title>", svg)]
    assert sum(counts) == np.isfinite(values).sum()
