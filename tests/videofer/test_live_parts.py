"""The small parts of a stream: clock, look-ahead, identities, replay, latency."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.errors import UserError
from cache.schema import FaceBlock, PersonRecord, State, VideoRecord
from cache.track import frame_times
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.appearance import Looks
from preprocessing.tracking.collector import EvidenceCollector
from preprocessing.types import Probe
from tests.videofer.timeline_helpers import body_block, face_block
from videofer.data.sampling import SampleSpec
from videofer.live.clock import FrameClock
from videofer.live.fragments import Fragment, LiveCrops, lay_out
from videofer.live.identities import Identities, Merge, Split
from videofer.live.latency import Latency
from videofer.live.lookahead import look_ahead
from videofer.live.replay import replay
from videofer.timeline.settings import Smoothing, TimelineSettings

FACTS = Probe(
    width=64, height=48, rotation=0, mirrored=False, stream_index=0, time_base=Fraction(1, 1000),
    presentation_start=Fraction(0), duration=None, codec="h264", pixel_format="yuv420p", average_fps=25.0,
)  # fmt: skip


# --- clock


@given(
    steps=st.lists(st.integers(1, 3000), min_size=1, max_size=40),
    first=st.integers(-(10**6), 10**9),
    time_base=st.sampled_from([Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 12_800)]),
    start=st.sampled_from([Fraction(0), Fraction(7, 5), Fraction(-1, 48_000)]),
    lost=st.sets(st.integers(1, 39), max_size=4),
)
def test_times_are_those_of_a_store(
    steps: list[int], first: int, time_base: Fraction, start: Fraction, lost: set[int]
) -> None:
    pts = first + np.concatenate([[0], np.cumsum(steps)])
    holes = [
        (int(pts[n - 1]) + 1, int(pts[n])) for n in sorted(lost) if n < len(pts) and pts[n] - pts[n - 1] > 1
    ]
    clock = FrameClock(time_base, start)
    for value in pts.tolist():
        clock.append(value, [hole for hole in holes if hole[1] == value])
    end = clock.close(0)
    end_pts = int(pts[-1] + (pts[-1] - pts[-2]))
    video = VideoRecord(
        key="k", names=["v"], kind="video", num_frames=len(pts), width=1, height=1,
        time_base=(time_base.numerator, time_base.denominator),
        presentation_start=(start.numerator, start.denominator), t_start=0, t_end=0, duration=0,
        segments=[_Ending(end_pts)], persons=[], not_decoded=holes,
    )  # fmt: skip
    _, t_start, t_end = frame_times(video, pts)
    starts, ends = clock.times(0, len(pts))
    np.testing.assert_array_equal(starts, t_start)
    np.testing.assert_array_equal(ends, t_end)
    assert end == t_end[-1]


class _Ending:
    """As much of a segment's record as tells its end."""

    def __init__(self, end_pts: int) -> None:
        self.end_pts = end_pts


def test_old_frames_are_forgotten_but_for_those_that_matter() -> None:
    clock = FrameClock(Fraction(1, 10), Fraction(0))
    for pts in range(50):
        clock.append(pts)
    clock.forget(3.0, {0, 7})
    assert (clock.oldest, len(clock)) == (30, 22)
    assert (clock.t_start(7), clock.t_end(7)) == (0.7, 0.8)
    assert clock.shown(3.25, 3.55) == (32, 36)
    assert clock.shown(0.0, 3.2) == (30, 32)
    clock.forget(3.0, {7})
    assert len(clock) == 21
    with pytest.raises(KeyError):
        clock.t_start(0)


# --- look-ahead


def sample_spec(window: float, clips: int) -> SampleSpec:
    return SampleSpec(num_clips=clips, num_frames=2, clip_seconds=0.1, window_seconds=window)


@pytest.mark.parametrize(
    ("window", "clips", "wanted", "smoothing", "lag"),
    [
        (1.2, 6, None, 0.0, 2.0),  # half a window, 0.4 s of detection, 1 s
        (0.4, 4, None, 0.2, 1.6),
        (1.2, 6, 0.5, 0.5, 2.34),  # more was wanted than fits
        (3.0, 6, None, 0.0, 3.24),  # a long window needs longer
        (1.2, 6, 0.0, 0.0, 2.0),
    ],
)
def test_the_lag(window: float, clips: int, wanted: float | None, smoothing: float, lag: float) -> None:
    settings = TimelineSettings(smoothing=Smoothing(lag_seconds=wanted))
    found = look_ahead(PreprocessSpec(), 0.7, FACTS, sample_spec(window, clips), settings)
    assert (found.smoothing, found.lag_seconds) == (pytest.approx(smoothing), pytest.approx(lag))
    assert found.needed_seconds <= found.lag_seconds + 1e-9
    assert found.lag_seconds >= window / 2 + 0.4 + 1.0 - 1e-9


def test_rows_as_they_are_need_no_smoothing() -> None:
    settings = TimelineSettings(smoothing=Smoothing(method="none", lag_seconds=0.5))
    assert look_ahead(PreprocessSpec(), 0.7, FACTS, sample_spec(1.2, 6), settings).smoothing == 0.0


# --- identities


def fragment(number: int, first: int, kind: Any = "face") -> Fragment:
    return Fragment((0, kind, number), first, first + 10)


def record(*faces: int, bodies: tuple[int, ...] = (), t_start: float = 0.0) -> PersonRecord:
    return PersonRecord(
        id=0, faces=[(0, n) for n in faces], bodies=[(0, n) for n in bodies], num_frames=1,
        t_start=t_start, t_end=9.0, face_states={}, body_states={}, confidence=0.9,
    )  # fmt: skip


def test_numbers_are_kept_merged_and_split() -> None:
    identities = Identities()
    known = {
        one.key: one for one in (fragment(0, 0), fragment(1, 5), fragment(2, 40), fragment(0, 2, "body"))
    }
    found, changes = identities.update([record(0), record(1)], known, lambda _: True)
    assert ([one.number for one in found], changes) == ([0, 1], [])
    found, changes = identities.update([record(0, bodies=(0,)), record(1, 2)], known, lambda _: False)
    assert [(one.number, len(one.fragments)) for one in found] == [(0, 2), (1, 2)]
    assert changes == []
    assert identities.number_of((0, "body", 0)) == 0
    found, changes = identities.update([record(0, 1, 2, bodies=(0,))], known, lambda _: True)
    assert [one.number for one in found] == [0] and changes == [Merge(gone=1, person=0)]
    found, changes = identities.update(
        [record(0, bodies=(0,)), record(1, 2, t_start=0.5)], known, lambda _: True
    )
    assert [one.number for one in found] == [0, 2] and changes == [Split(person=0, new=2, seconds=0.5)]


def test_who_is_not_due_has_no_number_yet() -> None:
    identities = Identities()
    known = {(0, "face", 0): fragment(0, 0)}
    assert identities.update([record(0)], known, lambda _: False) == ([], [])
    assert identities.number_of((0, "face", 0)) is None
    found, _ = identities.update([record(0)], known, lambda _: True)
    assert found[0].number == 0
    identities.forget((0, "face", 0))
    assert identities.number_of((0, "face", 0)) is None


# --- fragments


def test_crops_pass_through_the_codec_of_a_store() -> None:
    rng = np.random.default_rng(0)
    states = np.array([State.OK, State.ABSENT, State.LOW_QUALITY], np.uint8)
    block: FaceBlock = face_block(states, rng)
    clock = FrameClock(Fraction(1, 10), Fraction(0))
    for pts in range(5):
        clock.append(pts)
    for codec in ("jpeg", "plain"):
        face = Fragment((0, "face", 0), 1, 1)
        face.see(block, PreprocessSpec(codec=codec, crop_size=48))  # type: ignore[arg-type]
        body = Fragment((0, "body", 0), 2, 2)
        body.see(body_block(np.array([State.OK], np.uint8), rng), PreprocessSpec())
        assert (face.stop, body.stop) == (4, 3)
        track = lay_out(7, [body, face], clock, 0, 5)
        assert track.face_state.tolist() == [0, 1, 0, 3, 0] and track.body_state.tolist() == [0, 0, 1, 0, 0]
        assert (track.layout, lay_out(7, [face], clock, 0, 5).layout) == ("coco17", "")
        crops = LiveCrops(48).read_crops(track, np.array([1, 3]))
        off = np.abs(crops.astype(int) - block.crops).max()
        assert (off == 0) == (codec == "plain")
        face.forget(2)
        assert [sight.index for sight in face.sights] == [3]
        assert face.is_seen(3, 4) and not face.is_seen(0, 3)


def test_evidence_of_a_track_can_be_forgotten() -> None:
    collector, rng = EvidenceCollector(), np.random.default_rng(0)
    for number in (0, 1):
        collector.see_faces(number, 0, face_block(np.full(5, State.OK, np.uint8), rng))
        collector.describe("face", number, Looks())
    collector.forget("face", 0)
    times = np.arange(6) / 10
    assert [track.local_id for track in collector.evidence(0, times[:-1], times[1:]).tracks] == [1]


# --- events


START = {"event": "start", "format": 1, "classes": ["neutral"], "modalities": ["face"], "hop_seconds": 1.0}


def row(person: int | None, t_start: float) -> dict[str, Any]:
    return {"event": "row", "person": person, "t_start": t_start, "t_end": t_start + 1, "label": "neutral"}


def test_events_make_rows() -> None:
    plain = {name: value for name, value in row(0, 2.0).items() if name != "event"}
    events = [
        START,
        row(0, 0.0), row(3, 0.0), row(None, 1.0), row(None, 2.0), row(3, 3.0),
        {"event": "merge", "person": 3, "into": 0},
        {"event": "revise", "person": None, "t_start": 2.0, "t_end": 3.0, "rows": []},
        {"event": "revise", "person": 0, "t_start": 2.0, "t_end": 3.0, "rows": [plain]},
        {"event": "end", "persons": [{"person": 5, "number": 0}]},
    ]  # fmt: skip
    table = replay(events)
    assert table["t_start"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert table["person"].fillna(-1).tolist() == [5, -1, 5, 5]
    assert table["face_p_neutral"].isna().all()


@pytest.mark.parametrize("events", [[], [{"event": "row"}], [{"event": "start", "format": 2}]])
def test_other_events_are_refused(events: list[dict[str, Any]]) -> None:
    with pytest.raises(UserError, match="no events of a stream of format 1"):
        replay(events)


def test_latency_counts_from_the_frame_at_the_end_of_a_row() -> None:
    now = [0.0]
    latency = Latency(lambda: now[0])
    for n in range(40):
        now[0] = 0.1 * n
        latency.arrived(0.1 * n)
    now[0] = 4.4
    latency.emitted([row(0, 0.95), {"event": "merge"}], 3.9)
    figures = latency.figures()
    assert figures["lag_seconds"]["max"] == pytest.approx(1.95)
    assert figures["latency_seconds"]["p50"] == pytest.approx(4.4 - 2.0)
    assert figures["times_real_time"] == pytest.approx(3.9 / 4.4, abs=0.01)
    assert Latency(lambda: 0.0).figures()["lag_seconds"] is None
