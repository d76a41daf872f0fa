"""One video from file to store, against independent references: PyAV's times, a rotated control, the source's
own pixels. The last tests need the real videos."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data

from cache.reader import StoreReader
from cache.schema import State, VideoRecord
from cache.shard import ShardWriter
from cache.store import Store
from cache.track import PersonTrack
from preprocessing.assemble import assemble
from preprocessing.engines import Engines, build_engines, resolve_engines
from preprocessing.pipeline import process_segment
from preprocessing.sampling import sample
from preprocessing.spec import PreprocessSpec
from preprocessing.tracking.association import box_iou
from preprocessing.types import InputError, Source
from tests.videos import write_video

Stored = tuple[VideoRecord, StoreReader]


@pytest.fixture(scope="module")
def mtcnn() -> Engines:
    return build_engines(resolve_engines(faces_name="mtcnn", pose="none"))


@pytest.fixture(scope="module")
def precropped() -> Engines:
    return build_engines(resolve_engines(faces_name="precropped", pose="none"))


def store_video(path: Path, engines: Engines, folder: Path, kind: str = "video", **spec: Any) -> Stored:
    """Run the pipeline on one file and commit it to a new store."""
    settings = PreprocessSpec(**spec)
    store = Store.create(folder, spec={}, contract={}, codec=settings.codec)
    writer = ShardWriter(folder, codec=settings.codec, crop_size=settings.crop_size)
    source = Source(path, path.name, kind)  # type: ignore[arg-type]
    outcome = process_segment(source, "key", settings, engines, writer)
    writer.seal()
    store.commit(assemble([source], "key", [outcome], settings))
    reader = StoreReader(folder)
    return reader.videos()[0], reader


def face_video(path: Path, turns: int = 0, num_frames: int = 12) -> Path:
    """A face that moves to the right; the pixels are stored turned, and a display matrix turns them back."""
    portrait = skimage.data.astronaut()[0:260, 100:360]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        height, width = (320, 420) if turns % 2 == 0 else (420, 320)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if turns == 1:  # stored a quarter turn anticlockwise: to be shown turned clockwise
            stream.set_display_matrix([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
        for n in range(num_frames):
            picture = np.full((320, 420, 3), 128, np.uint8)
            picture[30:290, 20 + 4 * n : 280 + 4 * n] = portrait
            stored = np.ascontiguousarray(np.rot90(picture, turns))
            for packet in stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return path


def the_person(stored: Stored) -> PersonTrack:
    record, reader = stored
    assert len(record.persons) == 1, record.persons
    return reader.track(record.key, record.persons[0].id)


def test_rotated_file_equals_its_upright_control(tmp_path: Path, mtcnn: Engines) -> None:
    plain = store_video(face_video(tmp_path / "plain.mp4"), mtcnn, tmp_path / "a")
    turned = store_video(face_video(tmp_path / "turned.mp4", turns=1), mtcnn, tmp_path / "b")
    assert (turned[0].width, turned[0].height) == (plain[0].width, plain[0].height) == (420, 320)
    a, b = the_person(plain), the_person(turned)
    assert np.abs(a.face_boxes_xyxy - b.face_boxes_xyxy).max() < 4
    rows = np.arange(len(a.pts))
    difference = plain[1].read_crops(a, rows).astype(int) - turned[1].read_crops(b, rows)
    assert np.abs(difference).mean() < 6


def test_a_moving_face_is_one_track_with_exact_crops(tmp_path: Path, mtcnn: Engines) -> None:
    """Each stored crop is the warp of its own source frame, whichever frames were searched."""
    video = face_video(tmp_path / "v.mp4", num_frames=23)
    record, reader = store_video(video, mtcnn, tmp_path / "s", codec="plain")
    track = the_person((record, reader))
    assert record.num_frames == 23 and set(track.face_state) == {State.OK, State.INTERPOLATED}
    x = track.face_boxes_xyxy[:, 0]
    assert np.allclose(np.diff(x), 4, atol=1.5), "the box moves with the face"
    crops = reader.read_crops(track, np.arange(23))
    with av.open(video) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for n, picture in enumerate(pictures):
        warp = track.warps[n].astype(float)
        warp[:, 2] += warp[:, :2] @ (0.5, 0.5) - 0.5
        expected = cv2.warpAffine(picture, warp, (112, 112), flags=cv2.INTER_LINEAR)
        inner = slice(8, 104)
        difference = np.abs(expected[inner, inner].astype(int) - crops[n][inner, inner])
        assert difference.mean() < 3, f"frame {n}"


@pytest.mark.parametrize("fps", [10, 25, 30, 50, 60, 120, 240])
def test_fast_video_is_thinned_out_by_its_own_times(tmp_path: Path, precropped: Engines, fps: int) -> None:
    video = write_video(tmp_path / "v.mp4", pts=tuple(range(fps)), time_base=Fraction(1, fps))
    record, reader = store_video(video, precropped, tmp_path / "s")
    pts, t_start, t_end = reader.times(record.key)
    with av.open(video) as container:
        frames = [(frame.pts, frame.duration) for frame in container.decode(video=0)]
    kept = frames[:: {10: 1, 25: 1, 30: 1, 50: 2, 60: 2, 120: 4, 240: 8}[fps]]
    assert pts.tolist() == [frame_pts for frame_pts, _ in kept]
    assert t_start[0] == 0 and t_end[-1] == pytest.approx(sum(frames[-1]) / fps)  # of all frames
    assert (t_end[:-1] == t_start[1:]).all()


def test_uneven_frames_of_a_slow_enough_stream_are_all_kept() -> None:
    class Frame:
        def __init__(self, pts: int) -> None:
            self.pts, self.duration_pts = pts, 0

    from dataclasses import replace

    from tests.preprocessing.test_stage_driver import PROBE

    probe = replace(PROBE, time_base=Fraction(1, 1000), average_fps=26.0)
    pts = [0, 10, 33, 80, 90, 160]
    kept = [frame.pts for _, frame in sample(iter(map(Frame, pts)), probe, 30.0)]  # type: ignore[arg-type]
    assert kept == pts
    fast = replace(probe, average_fps=90.0)
    kept = [frame.pts for _, frame in sample(iter(map(Frame, pts)), fast, 30.0)]  # type: ignore[arg-type]
    assert kept == [0, 33, 80, 160]


@pytest.mark.parametrize("duration_pts", [4, 0])
def test_a_kept_frame_lasts_as_long_as_those_left_out_after_it(duration_pts: int) -> None:
    """Up to the end of the last decoded one, also where no frame says how long it lasts."""

    class Frame:
        def __init__(self, pts: int) -> None:
            self.pts, self.duration_pts = pts, duration_pts

    from dataclasses import replace

    from tests.preprocessing.test_stage_driver import PROBE

    probe = replace(PROBE, time_base=Fraction(1, 1000), average_fps=250.0)
    for num in range(2, 40):
        frames = map(Frame, range(0, 4 * num, 4))
        kept = [frame for _, frame in sample(iter(frames), probe, 30.0, [50])]  # type: ignore[arg-type]
        assert kept[-1].pts + kept[-1].duration_pts == 4 * num


def test_damaged_video_keeps_its_good_frames_and_says_so(tmp_path: Path, precropped: Engines) -> None:
    video = write_video(
        tmp_path / "v.mp4", pts=tuple(range(100)), container_options={"movflags": "faststart"}
    )
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 6 // 10])
    record, reader = store_video(video, precropped, tmp_path / "s")
    assert 10 < record.num_frames < 100
    assert record.t_end < record.duration == pytest.approx(4.0)
    assert any("damaged" in warning for warning in record.provenance["warnings"])
    assert reader.track(record.key, 0).t_end[-1] == record.t_end


def test_nothing_is_left_of_a_video_that_fails(tmp_path: Path, precropped: Engines) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    store = Store.create(tmp_path / "s", spec={}, contract={}, codec="jpeg")
    writer = ShardWriter(store.path, codec="jpeg", crop_size=112)
    with pytest.raises(InputError):
        process_segment(Source(bad, "bad.mp4", "video"), "key", PreprocessSpec(), precropped, writer)
    assert writer.seal() is None
    assert list((store.path / "shards").iterdir()) == []


def test_a_still_is_a_video_of_one_frame(tmp_path: Path, mtcnn: Engines) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), skimage.data.astronaut()[..., ::-1])
    record, reader = store_video(path, mtcnn, tmp_path / "s", kind="image")
    assert record.num_frames == 1 and record.kind == "image"
    track = the_person((record, reader))
    assert track.face_state.tolist() == [State.OK]


# --- real videos ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yunet(shared_weights: Path) -> Engines:
    return build_engines(resolve_engines(faces_name="yunet", pose="none", weights_dir=shared_weights))


@pytest.fixture
def real(shared_data: Path, yunet: Engines, tmp_path: Path) -> Callable[..., Stored]:
    def stored(name: str, **spec: Any) -> Stored:
        folder = tmp_path / f"store{len(list(tmp_path.iterdir()))}"
        return store_video(shared_data / "videos" / name, yunet, folder, **spec)

    return stored


def test_interview_has_one_track_that_equals_a_search_of_every_frame(real: Callable[..., Stored]) -> None:
    sparse, dense = real("interview_one_face.mp4"), real("interview_one_face.mp4", detect_interval_frames=1)
    track, truth = the_person(sparse), the_person(dense)
    assert sparse[0].num_frames == len(track.pts) == 472
    good = np.isin(track.face_state, [State.OK, State.INTERPOLATED])
    assert good.mean() >= 0.98
    between = track.face_state == State.INTERPOLATED
    overlap = np.array(
        [
            box_iou(a[None], b[None])[0, 0]
            for a, b in zip(track.face_boxes_xyxy[between], truth.face_boxes_xyxy[between], strict=True)
        ]
    )
    assert (overlap >= 0.8).mean() >= 0.95


def test_crops_do_not_beat_at_the_detection_period(real: Callable[..., Stored], yunet: Engines) -> None:
    """Eyes found again in the stored crops: their motion has no peak at every 5th frame."""
    record, reader = real("interview_one_face.mp4")
    track = the_person((record, reader))
    crops = reader.read_crops(track, np.arange(len(track.pts)))
    padded = [np.pad(crop, ((40, 40), (40, 40), (0, 0)), mode="edge") for crop in crops]
    found = yunet.faces.detect(padded)
    assert all(len(faces) for faces in found)
    eyes = np.array([faces.landmarks_xy[faces.scores.argmax(), :2].ravel() for faces in found])
    motion = np.diff(eyes, axis=0)
    power = np.abs(np.fft.rfft(motion * np.hanning(len(motion))[:, None], axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(motion))
    for harmonic in (0.2, 0.4):
        offset = np.abs(frequency - harmonic)
        peak = power[offset < 0.006].max(axis=0)
        floor = np.median(power[(offset > 0.01) & (offset < 0.08)], axis=0)
        assert (peak < 12 * floor).all()


def test_the_face_is_lost_at_the_right_frame(real: Callable[..., Stored]) -> None:
    record, reader = real("face_then_none_vfr_hevc.mov")
    track = the_person((record, reader))
    assert record.num_frames == 169
    assert (track.first_frame, len(track.pts)) == (0, 72)
    _, t_start, _ = reader.times(record.key)
    assert track.t_end[-1] == t_start[72]


@pytest.mark.parametrize(("name", "num_persons"), [("no_face.mp4", 0), ("four_faces_portrait.mp4", 4)])
def test_as_many_people_as_there_are(real: Callable[..., Stored], name: str, num_persons: int) -> None:
    assert len(real(name)[0].persons) == num_persons


def test_walkers_have_bodies_and_the_backs_of_their_heads_are_no_faces(
    shared_data: Path, shared_weights: Path, tmp_path: Path
) -> None:
    pose = f"onnx:{shared_weights / 'tinypose_256x192.onnx'},{shared_weights / 'yolox_nano.onnx'}"
    engines = build_engines(resolve_engines(faces_name="yunet", pose=pose, weights_dir=shared_weights))
    path = shared_data / "videos" / "people_walking_one_by_one.mp4"
    record, reader = store_video(path, engines, tmp_path / "s", pose=pose)
    assert len(record.persons) >= 5, "they come one by one, and each is followed"
    for person in record.persons:
        assert person.bodies and person.body_states["ok"] >= 20
        assert person.face_states.get("ok", 0) < 20
    spans = [(person.t_start, person.t_end) for person in record.persons]
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    track = reader.track(record.key, 0)
    assert track.layout == "coco17" and track.keypoints.shape == (len(track.pts), 17, 3)


def test_every_stored_time_is_the_container_s(shared_data: Path, precropped: Engines, tmp_path: Path) -> None:
    for number, path in enumerate(sorted((shared_data / "videos").rglob("*.m*"))):
        if path.suffix == ".mp3" or path.stat().st_size > 3_000_000:
            continue
        with av.open(str(path)) as container:
            streams = list(container.streams.video)
            best = max(streams, key=lambda s: s.width * s.height)
            time_base = best.time_base
            expected = []
            try:
                expected = [frame.pts for frame in container.decode(best)]
            except av.error.InvalidDataError:
                continue
        record, reader = store_video(path, precropped, tmp_path / str(number))
        assert reader.times(record.key)[0].tolist() == expected, path.name
        assert Fraction(*record.time_base) == time_base
