"""A stream is the offline timeline: the same rows, whoever comes and goes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.videofer.live_helpers import (
    SPEC,
    Shot,
    assert_same_rows,
    counts,
    engines,
    model_for_streams,
    offline,
    stream,
    write_people,
)
from videofer.live import engine as engine_module
from videofer.live import line as line_module
from videofer.live.engine import LiveEngine
from videofer.live.feed import FileFeed
from videofer.live.replay import replay
from videofer.timeline.settings import Smoothing, TimelineSettings

pytestmark = pytest.mark.usefixtures("one_thread")

ALONE: list[Shot] = [(1.0, [None], 90), (4.0, [0], 90), (1.7, [None], 90)]
COMING_AND_GOING: list[Shot] = [
    (2.6, [1, 2], 90),
    (0.6, [1, None], 90),  # bridged as absent
    (1.4, [1, 2], 90),
    (3.0, [None, 2], 90),  # gone for long: who comes back is a new track, merged by looks
    (2.6, [1, 2], 90),
    (2.0, [2, 1], 200),  # a cut
]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("live")
    alone = write_people(folder / "alone.mp4", ALONE)
    return {
        "alone": alone,
        "uneven": write_people(folder / "uneven.mp4", [(4.4, [0], 90)], step_ms=(20, 40, 110, 33)),
        "people": write_people(folder / "people.mp4", COMING_AND_GOING),
        "joined": write_people(folder / "joined.mp4", [(6.4, [0, None], 90)], astray_seconds=2.6),
        "hole": with_damage(alone, folder / "hole.mkv", 2.4, 3.4),
        "torn": torn(alone, folder / "torn.mkv"),
    }


def with_damage(path: Path, to: Path, t_start: float, t_end: float) -> Path:
    """A copy whose packets between two times hold noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path)) as source, av.open(str(to), "w") as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is None:
                continue
            seconds, data = float(packet.pts * stream.time_base), bytes(packet)
            if t_start <= seconds < t_end:
                data = rng.integers(0, 256, len(data), np.uint8).tobytes()
            noisy = av.Packet(data)
            noisy.stream, noisy.time_base = copy, stream.time_base
            noisy.pts, noisy.dts, noisy.duration = packet.pts, packet.dts, packet.duration
            noisy.is_keyframe = packet.is_keyframe
            container.mux(noisy)
    sidecar(path, to)
    return to


def torn(path: Path, to: Path) -> Path:
    """A copy that says its length and ends before."""
    whole = with_damage(path, to.with_stem("whole"), 0, 0)
    to.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    sidecar(path, to)
    return to


def sidecar(path: Path, to: Path) -> None:
    to.with_suffix(".keypoints.npz").write_bytes(path.with_suffix(".keypoints.npz").read_bytes())


def settings(lag_seconds: float | None = None, **more: Any) -> TimelineSettings:
    smoothing = Smoothing(lag_seconds=lag_seconds, method=more.pop("method", "hmm"))
    return TimelineSettings(smoothing=smoothing, **more)


CASES = [
    ("alone", "fused", settings()),
    ("alone", "fused", settings(0.5)),
    ("alone", "fused", settings(0.3, method="viterbi", steps_per_hop=2, min_confidence=0.4)),
    ("alone", "fused", settings(0.3, method="kernel", modality="body", pool="log_probabilities")),
    ("alone", "face", settings(method="none", kernel="triangular")),
    ("uneven", "fused", settings(0.5)),
    ("people", "fused", settings()),
    ("people", "fused", settings(0.5)),
    ("people", "face", settings()),
    ("people", "frame", settings()),
    ("hole", "frame", settings(0.5, steps_per_hop=2)),
    ("joined", "fused", settings(0.5)),
    ("hole", "fused", settings(0.5)),
    ("torn", "fused", settings()),
]


@pytest.mark.parametrize(("name", "parts", "chosen"), CASES)
def test_a_stream_is_the_offline_timeline(
    videos: dict[str, Path], tmp_path: Path, name: str, parts: str, chosen: TimelineSettings
) -> None:
    model = model_for_streams(parts)
    engine, events = stream(videos[name], model, chosen)
    reference = offline(videos[name], tmp_path / "store", model, engine.settings)
    assert_same_rows(replay(events), reference.rows)
    states = set(reference.rows["state"])
    assert "ok" in states
    assert ("not_decoded" in states) == (name in ("hole", "torn"))


@pytest.mark.parametrize("name", ["people", "uneven", "torn"])
def test_a_long_file_is_cut_where_a_store_cuts_it(videos: dict[str, Path], tmp_path: Path, name: str) -> None:
    """Files of many minutes are preprocessed in parts, by followers that begin anew: so are streams."""
    spec = SPEC.model_copy(update={"pose": "none", "segment_seconds": 2.0})
    num_spans = len(FileFeed(videos[name], spec).spans)
    assert num_spans == {"people": 6, "uneven": 2, "torn": 1}[name]
    model = model_for_streams("face")
    engine, events = stream(videos[name], model, settings(0.2), spec)
    reference = offline(videos[name], tmp_path / "store", model, engine.settings, spec)
    assert_same_rows(replay(events), reference.rows)


def test_rows_come_once_in_order_and_at_the_lag(videos: dict[str, Path]) -> None:
    model = model_for_streams()
    feed = FileFeed(videos["alone"], SPEC)
    engine = LiveEngine(model, settings(), SPEC, engines(), feed.source, feed.facts)
    lag, hop = engine.start()["lag_seconds"], engine.start()["hop_seconds"]
    assert lag == pytest.approx(0.8 / 2 + SPEC.detect_longest_seconds + 1.0)
    rows: list[dict[str, Any]] = []
    before = 0.0
    for fed in feed.frames():
        now = float(fed.frame.pts * feed.facts.time_base)
        new = engine.push(fed.source_index, fed.frame, fed.holes)
        for row in new:
            cell_end = np.ceil(row["t_end"] / hop - 1e-6) * hop
            assert before < cell_end + lag <= now + 1e-6
        rows += new
        before = now
    rows += engine.finish()[:-1]
    assert {row["event"] for row in rows} == {"row"}
    edges = [(row["t_start"], row["t_end"]) for row in rows]
    assert edges[0][0] == 0.0 and edges[-1][1] == pytest.approx(6.72)
    assert all(a[1] == b[0] for a, b in pairwise(edges))


def test_who_comes_back_is_told_by_events(videos: dict[str, Path]) -> None:
    _, events = stream(videos["people"], model_for_streams(), settings())
    seen = counts(events)
    assert seen["start"] == seen["end"] == 1
    assert seen["revise"] >= 1
    end = events[-1]
    assert end["event"] == "end" and end["damage"] is None
    assert [one["person"] for one in end["persons"]] == list(range(len(end["persons"])))
    assert end["lag_seconds"]["p50"] == pytest.approx(events[0]["lag_seconds"], abs=0.08)
    assert set(end["latency_seconds"]) == {"p50", "p95", "max"}
    rows = [event for event in events if event["event"] == "row"]
    places = [(row["person"], row["t_start"]) for row in rows]
    assert len(set(places)) == len(places)


def test_a_face_and_a_body_turn_out_to_be_one_person(videos: dict[str, Path]) -> None:
    _, events = stream(videos["joined"], model_for_streams(), settings())
    assert [event for event in events if event["event"] == "merge"] == [
        {"event": "merge", "person": 1, "into": 0}
    ]
    assert set(replay(events)["person"].dropna()) == {0}


@pytest.mark.parametrize("name", ["joined", "people"])
def test_what_turns_out_too_late_still_tiles(
    videos: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Rows that are not remembered any more are not made again, but get their names; no time is lost."""
    monkeypatch.setattr(engine_module, "MEMORY_SECONDS", 0.4)
    monkeypatch.setattr(line_module, "MEMORY_SECONDS", 0.4)
    _, events = stream(videos[name], model_for_streams(), settings())
    assert counts(events)["merge"] + counts(events)["revise"] > 0
    rows = replay(events)
    for _, own in rows[rows["person"].notna()].groupby("person"):
        assert (own["t_end"].to_numpy()[:-1] <= own["t_start"].to_numpy()[1:] + 1e-6).all()
    covered = 0.0
    for start, end in zip(rows["t_start"], rows["t_end"], strict=True):
        assert start <= covered + 1e-6
        covered = max(covered, end)
    assert covered == pytest.approx(events[-1]["duration_seconds"])


def test_memory_does_not_grow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_module, "IDENTITY_SECONDS", 0.5)
    monkeypatch.setattr(engine_module, "STRAY_SECONDS", 0.5)
    path = write_people(tmp_path / "short.mp4", [(1.2, [0, 1], 90), (3.2, [None, None], 90)])
    feed = FileFeed(path, SPEC)
    engine = LiveEngine(model_for_streams(), settings(), SPEC, engines(), feed.source, feed.facts)
    frames = list(feed.frames())
    held: list[dict[str, int]] = []
    length = round(Fraction(44, 10) / feed.facts.time_base)
    sizes: list[dict[str, int]] = []
    numbers: set[int | None] = set()
    for turn in range(14):  # the same again and again: people come and go
        for fed in frames:
            moved = fed.frame
            moved.pts += length if turn else 0
            events = engine.push(fed.source_index + turn * len(frames), moved)
            numbers |= {event["person"] for event in events if event["event"] == "row"}
            sizes.append(engine.num_held())
        held.append({name: max(size[name] for size in sizes) for name in sizes[0]})
        sizes.clear()
    end = engine.finish()[-1]
    assert {one["number"] for one in end["persons"]} >= numbers - {None} and len(numbers) > 3
    assert [one["person"] for one in end["persons"]] == list(range(len(end["persons"])))
    for name in held[0]:
        early, late = max(one[name] for one in held[5:9]), max(one[name] for one in held[9:])
        assert late <= early * 1.05, (name, [one[name] for one in held])
    assert held[-1]["persons"] > 0


def test_a_stream_without_a_frame_has_an_end(videos: dict[str, Path]) -> None:
    feed = FileFeed(videos["alone"], SPEC)
    engine = LiveEngine(model_for_streams(), settings(), SPEC, engines(), feed.source, feed.facts)
    end = engine.finish("nothing came")
    assert [event["event"] for event in end] == ["end"]
    assert end[0]["damage"] == "nothing came"


def test_main_people_are_known_at_the_end_only(videos: dict[str, Path]) -> None:
    feed = FileFeed(videos["alone"], SPEC)
    spec = SPEC.model_copy(update={"people": "main"})
    with pytest.raises(AssertionError, match="main person"):
        LiveEngine(model_for_streams(), settings(), spec, engines(), feed.source, feed.facts)
