"""Passes from the middle equal passes from the start; cuts lie at keyframes and lose nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preprocessing.decode.keyframes import plan_spans
from preprocessing.decode.pyav_engine import PyAVDecoder
from preprocessing.probe import probe
from preprocessing.types import InputError, Probe, Source, Span
from tests.videos import truncate, write_video

X264 = {"preset": "medium", "g": "12", "bf": "3", "sc_threshold": "0"}
VARYING = [0, 3, 4, 5, 11, 12, 13, 20, 21, 30, 33, 34, 35, 50, 51, 52, 53, 60, 80, 81, 82, 90, 91, 99]
VIDEOS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {"codec_options": X264},
    "open_gop.mp4": {"codec_options": {**X264, "x264-params": "open-gop=1:keyint=12:min-keyint=12"}},
    "open_gop.mkv": {"codec_options": {**X264, "x264-params": "open-gop=1:keyint=12:min-keyint=12"}},
    "one_keyframe.mp4": {"codec_options": {**X264, "g": "250"}},
    "short_gops.mp4": {"codec_options": {**X264, "g": "2", "bf": "1"}},
    "refresh.mp4": {"codec_options": {"preset": "medium", "x264-params": "intra-refresh=1:keyint=12"}},
    "refresh.mkv": {"codec_options": {"preset": "medium", "x264-params": "intra-refresh=1:keyint=12"}},
    "hevc.mp4": {
        "codec": "libx265",
        "codec_options": {"preset": "fast", "x265-params": "keyint=12:min-keyint=12:log-level=none"},
    },
    "hevc_open.mkv": {
        "codec": "libx265",
        "codec_options": {"preset": "fast", "x265-params": "keyint=12:open-gop=1:bframes=4:log-level=none"},
    },
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "codec_options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10", "deadline": "realtime"},
    },
    "vp8.mkv": {"codec": "libvpx", "codec_options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}},
    "mpeg4.mp4": {"codec": "mpeg4", "codec_options": {"g": "12", "bf": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "codec_options": {"g": "12"}},
    "mpeg2.ts": {"codec": "mpeg2video", "codec_options": {"g": "12", "bf": "2"}},
    "mpeg2.mkv": {"codec": "mpeg2video", "codec_options": {"g": "12", "bf": "2"}},
    "fragments.mp4": {
        "codec_options": X264,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "varying.mp4": {"codec_options": X264, "pts": VARYING},
    "varying.mkv": {"codec_options": X264, "pts": VARYING},
    "late.mp4": {"codec_options": X264, "pts": range(250, 310), "audio_start_seconds": Fraction(10)},
    "late.mkv": {"codec_options": X264, "pts": range(250, 310)},
    "rotated.mp4": {"codec_options": X264, "display_matrix": (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)},
    "two_streams.mp4": {"codec_options": X264, "second_size_wh": (96, 80)},
    "intra.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


def decode(source: Source, facts: Probe, from_pts: int | None = None) -> list[tuple[int, int, bytes]]:
    """pts, duration and all pixels of every frame."""
    return [
        (frame.pts, frame.duration_pts, frame.rgb_patch(0, 0, frame.width, frame.height).tobytes())
        for frame in PyAVDecoder().frames(source, facts, from_pts)
    ]


def made(folder: Path, name: str, **changes: Any) -> tuple[Source, Probe]:
    path = write_video(folder / name, **{"pts": range(60), **VIDEOS[name], **changes})
    source = Source(path, name, "video")
    return source, probe(source)


@pytest.mark.parametrize("name", VIDEOS)
def test_from_the_middle_as_from_the_start(tmp_path: Path, name: str) -> None:
    source, facts = made(tmp_path, name)
    frames = decode(source, facts)
    assert len(frames) == len(VIDEOS[name].get("pts", range(60)))
    all_pts = [pts for pts, _, _ in frames]
    chosen = {*all_pts[::5], all_pts[12], all_pts[13], all_pts[-1], all_pts[7] + 1, all_pts[0] - 9}
    for from_pts in sorted(chosen):
        decoder = PyAVDecoder()
        partial = [
            (frame.pts, frame.duration_pts, frame.rgb_patch(0, 0, frame.width, frame.height).tobytes())
            for frame in decoder.frames(source, facts, from_pts)
        ]
        assert partial == [frame for frame in frames if frame[0] >= from_pts], from_pts
        assert decoder.not_decoded == []
        assert decoder.warnings == []


def test_from_behind_the_end(tmp_path: Path) -> None:
    source, facts = made(tmp_path, "b_frames.mp4")
    assert decode(source, facts, from_pts=10_000) == []


def test_real_files_from_the_middle(shared_data: Path) -> None:
    """Phones, a webcam, test cards: one time in the middle and one near the end of each."""
    suffixes = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
    for path in sorted(p for p in (shared_data / "videos").rglob("*.*") if p.suffix in suffixes):
        if path.stat().st_size > 1_000_000 or path.name == "decord_corrupted.mp4":
            continue
        source = Source(path, path.name, "video")
        facts = probe(source)
        frames = [(f.pts, f.luma_thumbnail().tobytes()) for f in PyAVDecoder().frames(source, facts)]
        for share in (0.4, 0.9):
            from_pts = frames[int(share * len(frames))][0]
            partial = [
                (f.pts, f.luma_thumbnail().tobytes()) for f in PyAVDecoder().frames(source, facts, from_pts)
            ]
            assert partial == [frame for frame in frames if frame[0] >= from_pts], path.name


def test_closed_early_it_tells_what_it_saw(tmp_path: Path) -> None:
    source, facts = made(tmp_path, "b_frames.mp4")
    decoder = PyAVDecoder()
    frames = decoder.frames(source, facts, 20)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert decoder.warnings == []


def test_a_cut_file_fails_in_its_last_part_only(tmp_path: Path) -> None:
    source, _ = made(tmp_path, "b_frames.mp4", container_options={"movflags": "+faststart"})
    cut = Source(truncate(source.path, 0.8, tmp_path / "cut.mp4"), "cut", "video")
    facts = probe(cut)
    seen = []
    with pytest.raises(InputError, match="the file is cut off"):
        for frame in PyAVDecoder().frames(cut, facts, 12):
            seen.append(frame.pts)  # noqa: PERF401  (they must survive the error)
    assert seen[0] == 12
    assert len(seen) > 5
    assert plan_spans(cut, facts, 0.5) == [Span(0)]


@pytest.mark.parametrize(
    "name", ["b_frames.mp4", "open_gop.mkv", "hevc.mp4", "vp9.webm", "late.mkv", "varying.mp4"]
)
@pytest.mark.parametrize("segment_seconds", [0.5, 0.7, 1.0])
def test_spans_tile_the_video_at_keyframes(tmp_path: Path, name: str, segment_seconds: float) -> None:
    source, facts = made(tmp_path, name)
    spans = plan_spans(source, facts, segment_seconds)
    assert spans == plan_spans(source, facts, segment_seconds)
    assert [span.index for span in spans] == list(range(len(spans)))
    assert spans[0].start_pts is None
    assert spans[-1].stop_pts is None
    assert [span.stop_pts for span in spans[:-1]] == [span.start_pts for span in spans[1:]]
    assert len(spans) > 1
    all_pts = np.array([pts for pts, _, _ in decode(source, facts)])
    for number, span in enumerate(spans[1:], 1):
        assert span.start_pts is not None
        assert span.start_pts in all_pts
        cut_seconds = float(span.start_pts * facts.time_base - facts.stream_start)
        assert cut_seconds <= number * segment_seconds + 1e-9 or number >= len(spans) - 1


def test_spans_joined_are_the_video(tmp_path: Path) -> None:
    for name in ("open_gop.mp4", "hevc_open.mkv"):
        source, facts = made(tmp_path, name)
        joined = []
        for span in plan_spans(source, facts, 0.5):
            for frame in decode(source, facts, span.start_pts):
                if span.stop_pts is not None and frame[0] >= span.stop_pts:
                    break
                joined.append(frame)
        assert joined == decode(source, facts)


def test_what_is_not_cut(tmp_path: Path) -> None:
    source, facts = made(tmp_path, "b_frames.mp4")
    whole = [Span(0)]
    assert len(plan_spans(source, facts, 0.5)) > 1
    assert plan_spans(source, facts, 1.7) == whole  # 2.4 s are less than one and a half of it
    assert plan_spans(replace(source, sidecar=tmp_path / "x.npz"), facts, 0.5) == whole
    assert plan_spans(replace(source, kind="frames"), facts, 0.5) == whole
    assert plan_spans(source, replace(facts, duration=None), 0.5) == whole
    assert plan_spans(replace(source, path=tmp_path / "gone.mp4"), facts, 0.5) == whole
    assert plan_spans(source, replace(facts, duration=40_000.0), 300) == whole  # the index knows better
    for name in ("mpeg4.avi", "mpeg2.ts", "one_keyframe.mp4"):
        assert plan_spans(*made(tmp_path, name), 0.5) == whole, name


def test_all_frames_marked_as_keyframes_are_not_believed(tmp_path: Path) -> None:
    """Without its table of sync samples an MP4 says that every frame is one."""
    source, facts = made(tmp_path, "b_frames.mp4")
    data = source.path.read_bytes()
    assert data.count(b"stss") == 1
    source.path.write_bytes(data.replace(b"stss", b"free"))
    assert plan_spans(source, facts, 0.5) == [Span(0)]
    frames = decode(source, facts)
    for from_pts in (frames[20][0], frames[45][0]):
        assert decode(source, facts, from_pts) == [frame for frame in frames if frame[0] >= from_pts]
