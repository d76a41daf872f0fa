"""Leak checks on encoded videos: copies are found however they are made, takes are not copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.shard import ShardWriter
from cache.store import Store
from preprocessing.assemble import assemble
from preprocessing.discover import content_key
from preprocessing.engines import build_engines, resolve_engines
from preprocessing.pipeline import process_segment
from preprocessing.spec import PreprocessSpec
from preprocessing.types import Source
from videofer.cli.errors import DONE, SOME_FAILED
from videofer.cli.leaks import leaks as leaks_command
from videofer.datasets import leaks_prints
from videofer.datasets.leaks import LeakError, LeakReport, check, check_corpora, sides_of, videos_table
from videofer.datasets.leaks_prints import Print, every, hash_pictures, near_pairs
from videofer.synthetic.dataset import render_take
from videofer.synthetic.takes import plan_takes

FPS = 15
Frames = list[np.ndarray]


def read(path: Path) -> Frames:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write(path: Path, frames: Sequence[np.ndarray], codec: str = "libx264", **options: str) -> None:
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def store_of(folder: Path, videos: Path) -> Store:
    """Faces of all videos, by the detector that is always there."""
    engines = build_engines(resolve_engines(faces_name="mtcnn", pose="none"))
    spec = PreprocessSpec(faces="mtcnn", pose="none")
    store = Store.create(folder, spec={}, contract={"crop_size": spec.crop_size}, codec=spec.codec)
    writer = ShardWriter(folder, codec=spec.codec, crop_size=spec.crop_size)
    records = []
    for path in sorted(path for path in videos.iterdir() if path.is_file()):
        source = Source(path, path.name, "video")
        key = content_key(source)
        records.append(assemble([source], key, [process_segment(source, key, spec, engines, writer)], spec))
    writer.seal()
    for record in records:
        store.commit(record)
    return store


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two takes of one person and one of another; three copies of the first, each made in another way."""
    folder = tmp_path_factory.mktemp("leaks")
    takes = plan_takes(
        num_subjects=2, takes_per_class=1, take_seconds=2.0, fps=FPS, size_wh=(240, 288), seed=3
    )
    first = [take for take in takes if take.subject == takes[0].subject]
    chosen = {"a": first[1], "b": first[2], "c": next(t for t in takes if t.subject != first[0].subject)}
    for name, take in chosen.items():
        (folder / "made").mkdir(exist_ok=True)
        render_take(replace(take, path=f"made/{name}.mp4"), folder)
        (folder / "made" / f"{name}.mp4").rename(folder / f"{name}.mp4")
    frames = read(folder / "a.mp4")
    write(folder / "recoded.mp4", frames, crf="33", preset="veryfast")
    small = [cv2.resize(f, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA) for f in frames]
    write(folder / "smaller.avi", small, "mpeg4", qmin="5", qmax="5")
    write(folder / "trimmed.mp4", [f[10:, 12:-8] for f in frames[7:25]], crf="23")
    return folder


@pytest.fixture(scope="module")
def store(videos: Path) -> Store:
    return store_of(videos / "store", videos)


def table_of(store: Store, split: dict[str, str] | None = None) -> pd.DataFrame:
    table = videos_table(store)
    if split is not None:
        table["split"] = [split.get(Path(name).stem, "train") for name in table["name"]]
    return table


def names_of(report: LeakReport) -> set[frozenset[str]]:
    return {frozenset(Path(p.name).stem for p in (pair.first, pair.second)) for pair in report.of("copy")}


def test_copies_are_found_and_takes_are_none(store: Store) -> None:
    report = check(store.path, table_of(store), everywhere=True)
    copies = ("a", "recoded", "smaller", "trimmed")
    assert {frozenset(("a", name)) for name in copies[1:]} <= names_of(report)
    assert all(pair <= set(copies) for pair in names_of(report))  # neither b, of the same person, nor c
    trimmed = next(p for p in report.of("copy") if {p.first.name, p.second.name} == {"a.mp4", "trimmed.mp4"})
    whole, part = sorted((trimmed.first, trimmed.second), key=lambda place: place.name)
    assert whole.start - part.start == pytest.approx(7 / FPS, abs=0.07)
    assert part.end - part.start > 0.9 and "show the same" in trimmed.line()


def test_only_pairs_across_sides_count(store: Store) -> None:
    report = check(store.path, table_of(store, {"recoded": "test", "b": "test"}))
    assert report.sides == ("train", "test")
    assert frozenset(("a", "recoded")) in names_of(report)
    assert frozenset(("a", "smaller")) not in names_of(report)  # both are trained on
    (note, *_) = report.notes()
    assert note.startswith("leak: ") and "(test)" in note and "(train)" in note
    clean = check(store.path, table_of(store, {"b": "test", "c": "test"}))
    assert clean.is_clean and clean.notes() == ["no copies found among the faces of 6 videos"]


def test_subjects_and_files_on_two_sides(store: Store) -> None:
    table = table_of(store, {"b": "test"})
    table["subject"] = ["p" if Path(name).stem in ("a", "b") else None for name in table["name"]]
    again = table[table["name"] == "c.mp4"].assign(split="test", name="same_as_c.mp4")
    report = check(store.path, pd.concat([table, again], ignore_index=True))
    assert [pair.kind for pair in report.pairs] == ["subject", "content"]
    assert "subject 'p' is in train and in test" in report.notes()[0]
    assert "'c.mp4' (train) and 'same_as_c.mp4' (test) are the same file" in report.notes()[1]


def test_two_corpora_and_the_page(store: Store, tmp_path: Path) -> None:
    table = table_of(store)
    parts = {
        "first": (store.path, table[table["name"].isin(["a.mp4", "b.mp4"])]),
        "second": (store.path, table[table["name"].isin(["recoded.mp4", "c.mp4"])]),
    }
    report = check_corpora(parts)
    assert names_of(report) == {frozenset(("a", "recoded"))}
    report.save(tmp_path / "out")
    saved = pd.read_csv(tmp_path / "out" / "leaks.csv")
    assert saved["kind"].tolist() == ["copy"] and {saved["a_side"][0], saved["b_side"][0]} == {*parts}
    page = (tmp_path / "out" / "leaks.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64") == 12 and "recoded.mp4" in page and "http" not in page


def test_command(store: Store, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leaks_command(store.path, out=tmp_path / "out") == SOME_FAILED
    said = capsys.readouterr().out
    assert "copy: 'a.mp4' from " in said and (tmp_path / "out" / "leaks.html").is_file()
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label,side\na.mp4,anger,x\nb.mp4,anger,y\nc.mp4,fear,y\n")
    assert leaks_command(store.path, manifest=labels, side="side") == DONE
    assert "no copies found" in capsys.readouterr().out
    with pytest.raises(LeakError, match=r"no column 'fold'.*columns: .*side"):
        leaks_command(store.path, manifest=labels, side="fold")


def test_faceless_videos_are_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (8, 96, 96, 3), np.uint8)
    write(tmp_path / "x.mp4", list(noise))
    store = store_of(tmp_path / "store", tmp_path)
    assert check(store.path, videos_table(store)).notes() == [
        "of 1 videos all show no face: they were compared by their content only"
    ]
    some = LeakReport(sides=(), pairs=[], num_videos=9, num_faceless=1, num_alike=0, num_looked=0, readers={})
    assert some.notes()[-1] == "1 video shows no face and was compared by its content only"
    assert replace(some, num_faceless=2).notes()[-1].startswith("2 videos show no face and were compared by")


def test_sides_are_folds_then_splits() -> None:
    table = pd.DataFrame({"name": ["a", "b"], "fold": [1, 2], "split": [None, "test"]})
    assert sides_of(table) == ["fold 1", "fold 2"]
    assert sides_of(table.assign(fold=np.nan)) == ["train", "test"]
    assert sides_of(table.assign(fold=np.nan, split=None)) == ["all", "all"]
    with pytest.raises(LeakError, match="'b' has no value in the column 'fold'"):
        sides_of(table.assign(fold=[1, np.nan]))


@given(st.lists(st.floats(0, 20), max_size=60), st.floats(0.05, 1))
def test_every_keeps_one_row_of_each_step(values: list[float], seconds: float) -> None:
    times = np.array(sorted(values))
    kept = every(times, np.arange(len(times)), seconds)
    steps = np.floor((times[kept] - (times[0] if len(times) else 0)) / seconds + 1e-6)
    assert len(np.unique(steps)) == len(kept) and (len(kept) > 0) == (len(times) > 0)


def test_near_pairs_are_those_of_a_slow_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**63, 12, dtype=np.uint64)
    prints = [
        Print(str(n), 0, np.arange(5.0), base[rng.integers(0, 12, 5)] ^ np.uint64(1 << n)) for n in range(30)
    ]
    side = np.arange(30) % 3
    monkeypatch.setattr(leaks_prints, "_BLOCK", 700)  # in several blocks
    expected: dict[tuple[int, int], int] = {}
    for a, one in enumerate(prints):
        for b, other in enumerate(prints):
            bits = min(int(p ^ h).bit_count() for p in one.probes() for h in other.hashes)
            if side[a] != side[b] and bits <= leaks_prints.MAX_DISTANCE:
                pair = (min(a, b), max(a, b))
                expected[pair] = min(expected.get(pair, 99), bits)
    assert {(a, b): bits for a, b, bits in near_pairs(prints, side)} == expected
    monkeypatch.setattr(leaks_prints, "MAX_PAIRS", 5)
    few = near_pairs(prints, side)
    assert len(few) < len(expected) and few[0][2] == min(expected.values())


def test_a_hash_survives_brightness_and_size() -> None:
    rng = np.random.default_rng(1)
    pictures = np.stack([cv2.GaussianBlur(rng.normal(120, 60, (32, 32)), (0, 0), 4) for _ in range(20)])
    small = np.stack([cv2.resize(cv2.resize(p, (24, 24)), (32, 32)) for p in pictures])
    same = np.bitwise_count(hash_pictures(pictures) ^ hash_pictures(0.7 * small + 20))
    other = np.bitwise_count(hash_pictures(pictures) ^ hash_pictures(np.roll(pictures, 1, axis=0)))
    assert same.max() <= 6 and other.min() > leaks_prints.MAX_DISTANCE
