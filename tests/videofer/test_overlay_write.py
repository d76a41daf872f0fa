"""The annotated video as a whole: real files in, real files out, looked at by FFmpeg."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cache.errors import UserError
from preprocessing.probe import probe
from preprocessing.types import Source
from tests.videofer.overlay_helpers import face_video, pictures_of, store_of, timeline_of
from tests.videofer.timeline_examples import example_timeline
from tests.videos import truncate, write_video
from videofer.overlay.ahead import ahead
from videofer.overlay.write import _scale, write_annotated
from videofer.timeline.timeline import Timeline

PTS = (0, 1, 2, 3, 5, 8, 13, 20, 21, 30, 59)


def for_video(timeline: Timeline, path: Path, **changes: Any) -> Timeline:
    """The timeline as if it were of this file."""
    found = probe(Source(path, path.name, "video"))
    facts = replace(timeline.video, **{"width": found.width, "height": found.height, **changes})
    return replace(timeline, video=facts)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """640x360, uneven steps of fifths of a second, 12 s, with sound."""
    return write_video(
        tmp_path / "in.mp4", pts=PTS, time_base=Fraction(1, 5), size_wh=(640, 360),
        audio_start_seconds=Fraction(0),
    )  # fmt: skip


def test_pictures_stay_where_they_were_and_people_are_marked(tmp_path: Path, video: Path) -> None:
    shares: list[float] = []
    out = write_annotated(
        example_timeline(names=("Anna", "Борис")), video, tmp_path / "new" / "out.mp4",
        on_progress=shares.append,
    )  # fmt: skip
    before, after = pictures_of(video), pictures_of(out)
    assert out == tmp_path / "new" / "out.mp4"
    assert [t for t, _ in after] == [t for t, _ in before]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) >= len(before)
    height, width = after[0][1].shape[:2]
    assert width == 640 and 430 < height < 520
    for (t, plain), (_, marked) in zip(before, after, strict=True):
        different = np.abs(marked[:360].astype(int) - plain).max(axis=2) > 40
        assert different[300:, :].mean() < 0.01  # below the faces nothing is drawn
        hidden = 5.0 < t < 5.6
        assert different[75:200, 90:200].any() != hidden, t
        assert different[75:200, 270:380].any() == (1.4 <= t < 10.4), t  # person 1 comes and goes
    with av.open(out) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_the_same_pictures_give_the_same_file(tmp_path: Path, video: Path) -> None:
    timeline = example_timeline()
    files = [write_annotated(timeline, video, tmp_path / f"{i}.mp4") for i in (0, 1)]
    first, second = (pictures_of(path) for path in files)
    assert all((a == b).all() for (_, a), (_, b) in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "A" * 300, "\n\x00", "\U000f0000", "نور 🙂 %s {0}"]
)
def test_any_name_is_drawn_and_none_runs_out_of_its_place(tmp_path: Path, name: str) -> None:
    video = write_video(tmp_path / "in.mp4", pts=(0, 1), time_base=Fraction(1, 5), size_wh=(640, 360))
    out = write_annotated(example_timeline(names=(name,)), video, tmp_path / "out.mp4")
    assert len(pictures_of(out)) == len(pictures_of(video))


def test_a_timeline_of_nobody_and_one_of_many(tmp_path: Path, video: Path) -> None:
    nobody = write_annotated(example_timeline(num_persons=0), video, tmp_path / "nobody.mp4")
    many = write_annotated(example_timeline(num_persons=8, duration_seconds=20), video, tmp_path / "many.mp4")
    low, high = (pictures_of(path)[0][1].shape[0] for path in (nobody, many))
    assert low < high < 2 * 360
    assert len(pictures_of(nobody)) == len(pictures_of(many)) == len(pictures_of(video))


def test_small_pictures_are_enlarged_and_odd_ones_made_even(tmp_path: Path) -> None:
    video = write_video(tmp_path / "in.mkv", codec="ffv1", size_wh=(121, 81), pts=(0, 1, 2))
    out = write_annotated(for_video(example_timeline(), video), video, tmp_path / "out.mp4")
    shape = pictures_of(out)[0][1].shape
    assert shape[1] == 366 and shape[0] > 246


def test_what_could_not_be_decoded_is_said(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mkv", pts=range(60), time_base=Fraction(1, 5), size_wh=(640, 360))
    cut = truncate(whole, 0.5, tmp_path / "in.mkv")
    out = write_annotated(example_timeline(), cut, tmp_path / "out.mp4")
    pictures = pictures_of(out)
    assert 5 < len(pictures) < 60
    last = pictures[-1][1][:360]
    assert np.median(last) < 40 and last.max() > 200  # letters on dark, nothing of the video
    with av.open(out) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None and stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(12.0, abs=0.01)


@pytest.mark.slow
def test_boxes_of_a_store_lie_on_the_face_in_every_frame(tmp_path: Path) -> None:
    video = face_video(tmp_path / "in.mp4", 30)
    reader = store_of(tmp_path / "store", video)
    timeline = timeline_of(reader, reader.videos()[0].key)
    out = write_annotated(timeline, video, tmp_path / "out.mp4", reader=reader)
    track = reader.track(timeline.video.key, 0)
    yellow = np.array([232, 180, 0])
    for (t, picture), box in zip(pictures_of(out), track.face_boxes_xyxy, strict=True):
        drawn = np.abs(picture[:480].astype(int) - yellow).max(axis=2) < 60
        _, x = np.nonzero(drawn[int(2 * box[1]) + 12 : int(2 * box[3]) - 12])
        assert abs(x.min() - 2 * box[0]) < 5 and abs(x.max() - 2 * box[2]) < 5, float(t)


def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path, video: Path) -> None:
    timeline, out = example_timeline(), tmp_path / "out.mp4"
    for change, words in (
        ({"blur": "some"}, "none, others, all"),
        ({"blur": "all"}, "only with the store"),
        ({"focus": 7}, "person 7"),
    ):
        with pytest.raises(UserError, match=words) as error:
            write_annotated(timeline, video, out, **change)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="another one"):
        write_annotated(for_video(timeline, video, width=320), video, out)  # type: ignore[call-arg]
    still = replace(timeline, video=replace(timeline.video, kind="image"))
    with pytest.raises(UserError, match="image"):
        write_annotated(still, video, out)
    with pytest.raises(UserError, match="is the video itself"):
        write_annotated(timeline, video, video)
    with pytest.raises(UserError, match="no such file"):
        write_annotated(timeline, tmp_path / "none.mp4", out)
    assert not out.exists() and len(pictures_of(video)) > 5


def test_a_failure_on_the_way_leaves_no_file_and_no_thread(tmp_path: Path, video: Path) -> None:
    import threading

    def stop(share: float) -> None:
        if share > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_annotated(example_timeline(), video, tmp_path / "out.mp4", on_progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
    assert "videofer-ahead" not in {thread.name for thread in threading.enumerate()}


def test_items_made_ahead_come_in_order_and_errors_where_they_belong() -> None:
    def items(fail: bool) -> Any:
        yield from range(50)
        if fail:
            raise ValueError("at the end")

    with ahead(items(False), 3) as made:
        assert list(made) == list(range(50))
    seen = []
    with pytest.raises(ValueError, match="at the end"), ahead(items(True), 3) as made:
        for item in made:
            seen.append(item)  # noqa: PERF402
    assert seen == list(range(50))
    closed: list[bool] = []

    def endless() -> Any:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    with ahead(endless(), 3) as made:
        assert next(made) == 1
    assert closed == [True]


CONTAINERS = (
    "decord_corrupted.mp4", "decord_video_0.mov", "decord_video_270.mov", "decord_video_90.mov",
    "tc_av1_video.mkv", "tc_h264_10bits.mp4", "tc_h265_video.mp4", "tc_nasa_13013.mp4",
    "tc_nasa_13013.mp4.audio.mp3", "tc_nasa_13013_rotated.mp4", "tc_test_non_zero_start.mp4",
    "tc_testsrc2_mpeg4.avi", "tc_testsrc2_odd_height_and_width_mpeg2.mp4", "tc_testsrc2_vp9.webm",
)  # fmt: skip


def times_in(path: Path, stream_index: int) -> list[Fraction]:
    """When FFmpeg says that pictures are shown, as far as it can decode them."""
    times = []
    with av.open(path) as container:
        for packet in container.demux(container.streams[stream_index]):
            try:
                times += [frame.pts * frame.time_base for frame in packet.decode()]  # type: ignore[union-attr]
            except av.FFmpegError:
                continue
    return sorted(times)


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_works_or_is_refused_in_one_line(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    media = shared_data / "videos" / "container" / name
    out = tmp_path / "out.mp4"
    if name.endswith(".mp3"):
        with pytest.raises(UserError, match="no video stream"):
            write_annotated(example_timeline(), media, out)
        return
    timeline = for_video(example_timeline(duration_seconds=1.9, num_persons=1), media, duration_seconds=0.9)
    write_annotated(timeline, media, out)
    found = probe(Source(media, name, "video"))
    before = [t - found.presentation_start for t in times_in(media, found.stream_index)]
    after = [t for t, _ in pictures_of(out)]
    if name == "decord_corrupted.mp4":  # a damaged picture is left out
        assert set(before) - {Fraction(16, 5)} <= set(after)
    else:
        assert after == before
    upright = (found.width, found.height)
    width, height = pictures_of(out)[0][1].shape[1::-1]
    assert (width > height) == (upright[0] > upright[1]) or width < 480


def test_the_list_of_containers_is_whole(shared_data: Path) -> None:
    assert sorted(CONTAINERS) == sorted(os.listdir(shared_data / "videos" / "container"))  # noqa: PTH208


@pytest.mark.parametrize(
    ("size", "scale"),
    [((640, 360), 1), ((360, 640), 1), ((358, 640), 2), ((121, 81), 3), ((3840, 2160), 1),
     ((3842, 100), Fraction(1, 2)), ((4096, 8192), Fraction(1, 3)),
     ((16, 1600), 2), ((16, 3000), 1), ((100, 4000), Fraction(1, 2))],
)  # fmt: skip
def test_pictures_are_as_large_as_letters_and_browsers_need(size: tuple[int, int], scale: Fraction) -> None:
    assert _scale(*size) == scale


def test_a_very_large_picture_is_reduced(tmp_path: Path) -> None:
    video = write_video(tmp_path / "in.mp4", size_wh=(4096, 64), pts=(0, 1))
    out = write_annotated(for_video(example_timeline(), video), video, tmp_path / "out.mp4")
    assert pictures_of(out)[0][1].shape[1] == 2048


def test_a_very_tall_picture_is_not_enlarged_beyond_what_the_codec_takes(tmp_path: Path) -> None:
    video = write_video(tmp_path / "in.mp4", size_wh=(16, 1600), pts=(0, 1))
    out = write_annotated(for_video(example_timeline(), video), video, tmp_path / "out.mp4")
    assert pictures_of(out)[0][1].shape[1] == 32


def test_without_marks_the_pictures_are_what_they_were(tmp_path: Path, video: Path) -> None:
    out = write_annotated(example_timeline(), video, tmp_path / "out.mp4", marks=False)
    before, after = pictures_of(video), pictures_of(out)
    assert [t for t, _ in after] == [t for t, _ in before]
    for (_, plain), (_, written) in zip(before, after, strict=True):
        assert written.shape == plain.shape
        assert np.abs(written.astype(int) - plain).mean() < 3
    small = write_video(tmp_path / "small.mp4")
    timeline = for_video(example_timeline(), small)
    out = write_annotated(timeline, small, tmp_path / "small_out.mp4", marks=False)
    assert pictures_of(out)[0][1].shape == (48, 64, 3)


@pytest.mark.slow
def test_without_marks_faces_are_hidden_all_the_same(tmp_path: Path) -> None:
    video = face_video(tmp_path / "in.mp4", 12)
    reader = store_of(tmp_path / "store", video)
    timeline = timeline_of(reader, reader.videos()[0].key)
    out = write_annotated(timeline, video, tmp_path / "out.mp4", reader=reader, marks=False, blur="all")
    for (_, plain), (_, written) in zip(pictures_of(video), pictures_of(out), strict=True):
        assert written.shape == plain.shape == (240, 320, 3)
        x0, y0, x1, y1 = reader.track(timeline.video.key, 0).face_boxes_xyxy[0].astype(int)
        assert written[y0 + 5 : y1 - 5, x0 + 8 : x1].std() < 0.5 * plain[y0 + 5 : y1 - 5, x0 + 8 : x1].std()
