"""Hidden faces stay hidden: what is left of covered pixels, when, and whether a detector finds a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.reader import StoreReader
from preprocessing.faces import build, resolve
from tests.videofer.overlay_helpers import face_video, pictures_of, store_of, timeline_of
from videofer.overlay.footage import Footage
from videofer.overlay.motion import Path as Motion
from videofer.overlay.motion import all_faces, from_track
from videofer.overlay.privacy import (
    AFTER_SECONDS,
    BEFORE_SECONDS,
    CORE,
    GAP_SECONDS,
    GROWN,
    HiddenFaces,
    cover,
    grown,
    is_covered,
)
from videofer.overlay.second_look import faces_seen
from videofer.overlay.write import write_annotated


def noise(seed: int = 0, height: int = 96, width: int = 128) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = (height, width), (height // 2, width // 2), (height // 2, width // 2)
    return [rng.integers(0, 256, shape).astype(np.uint8) for shape in shapes]


def ellipse(shape: tuple[int, int], box: np.ndarray, radius: float) -> np.ndarray:
    """(h, w) bool: pixels whose middle lies in the ellipse around a box, so many times its half sides."""
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside: np.ndarray = ((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= radius**2
    return inside


@settings(max_examples=60)
@given(
    x=st.floats(-30, 120), y=st.floats(-30, 90), width=st.floats(8, 120), height=st.floats(8, 120),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_of_covered_pixels_a_few_numbers_are_left(
    x: float, y: float, width: float, height: float, seed: int
) -> None:
    """The whole box is smooth afterwards, whatever was in it; nothing beyond the grown ellipse changes."""
    box = np.array([x, y, x + width, y + height])
    planes, before = noise(seed), noise(seed)
    cover(planes, box)
    for plane, original, reduced in zip(planes, before, (1, 2, 2), strict=True):
        outside = ~ellipse(plane.shape, box / reduced, GROWN + 0.05)
        assert (plane[outside] == original[outside]).all()
        core = ellipse(plane.shape, box / reduced, CORE - 0.02)
        if min(width, height) < 40 or core.sum() < 200:
            continue
        rows = core[1:] & core[:-1]
        steps = np.abs(np.diff(plane.astype(int), axis=0))[rows]
        assert steps.max(initial=0) <= 24  # between neighbours of noise 85 on average
        assert np.std(plane[core]) < 0.5 * np.std(original[core])


def test_what_lies_within_a_cell_cannot_be_told() -> None:
    """Two faces with the same means of their cells are the same afterwards, to the last bit."""
    half = (25 - 0.01) / GROWN  # the area is [40, 90) x [20, 70): cells of 10 x 10, chroma 5 x 5
    box = np.array([65 - half, 45 - half, 65 + half, 45 + half])
    one, other = noise(1), noise(1)
    rng = np.random.default_rng(2)
    for plane, cell in zip(other, (10, 5, 5), strict=True):
        for y in range(2 * cell, 7 * cell, cell):
            for x in range(4 * cell, 9 * cell, cell):
                mixed = rng.permutation(plane[y : y + cell, x : x + cell].reshape(-1))
                plane[y : y + cell, x : x + cell] = mixed.reshape(cell, cell)
    assert (one[0] != other[0]).mean() > 0.15
    cover(one, box)
    cover(other, box)
    for a, b, reduced in zip(one, other, (1, 2, 2), strict=True):
        core = ellipse(a.shape, box / reduced, CORE - 0.01)
        assert (a[core] == b[core]).all()


def test_a_box_outside_the_picture_changes_nothing() -> None:
    planes, before = noise(), noise()
    cover(planes, np.array([500.0, 500, 540, 560]))
    cover(planes, np.array([-90.0, -90, -60, -60]))
    assert all((a == b).all() for a, b in zip(planes, before, strict=True))


def test_a_face_is_covered_before_it_is_found_and_after_it_is_lost() -> None:
    track = Motion(np.array([10.0, 10.04, 12.0, 12.04]), np.tile([10.0, 10, 50, 60], (4, 1)))
    hidden = HiddenFaces([track])
    for t in (10 - BEFORE_SECONDS + 0.01, 9.99, 10.0, 11.0, 12.04, 12.04 + AFTER_SECONDS - 0.01):
        (found,) = hidden.boxes_at(t)
        assert is_covered(np.array([10.0, 10, 50, 60]), [found])
    assert not hidden.boxes_at(10 - BEFORE_SECONDS - 0.01)
    assert not hidden.boxes_at(12.04 + AFTER_SECONDS + 0.01)
    assert HiddenFaces(()).boxes_at(1.0) == []


def test_a_gap_is_bridged_by_a_larger_area() -> None:
    box = np.array([10.0, 10, 50, 60])
    hidden = HiddenFaces([Motion(np.array([0.0, GAP_SECONDS]), np.stack([box, box + 20]))])
    (seen,), (between,) = hidden.boxes_at(0.0), hidden.boxes_at(GAP_SECONDS / 2)
    assert seen.tolist() == box.tolist()
    assert is_covered(box + 10, [between])
    assert between[2] - between[0] > 1.3 * 40


def test_sightings_of_the_second_look_are_covered_for_a_moment() -> None:
    sighting = Motion(np.array([5.0]), np.array([[10.0, 10, 50, 60]]))
    hidden = HiddenFaces((), [sighting])
    assert hidden.boxes_at(4.8) and hidden.boxes_at(5.2)
    assert not hidden.boxes_at(4.0) and not hidden.boxes_at(6.0)


def test_covered_is_what_lies_within() -> None:
    box = np.array([10.0, 10, 50, 60])
    assert is_covered(box, [box]) and is_covered(grown(box, 1.15), [box])
    assert not is_covered(grown(box, 1.4), [box])
    assert not is_covered(box + 25, [box]) and not is_covered(box, [])


@pytest.fixture(scope="module")
def two_faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A video with a large face, and a small one from the 20th of 40 frames on; its store."""
    folder = tmp_path_factory.mktemp("two")
    video = face_video(folder / "two.mp4", 40, second_from=20)
    store_of(folder / "store", video)
    return video, folder / "store"


def faces_in(pictures: list[np.ndarray], height: int, *, enlarged: int = 1) -> int:
    """How many faces the detector that needs no download finds in all."""
    detector = build(resolve("mtcnn"))
    cut = [np.ascontiguousarray(picture[: height * enlarged : enlarged, ::enlarged]) for picture in pictures]
    return sum(len(found) for found in detector.detect(cut))


@pytest.mark.slow
def test_no_detector_finds_a_face_afterwards(tmp_path: Path, two_faces: tuple[Path, Path]) -> None:
    video, store = two_faces
    reader = StoreReader(store)
    timeline = timeline_of(reader, reader.videos()[0].key)
    assert len(timeline.persons) >= 1
    every = slice(None, None, 4)
    plain = write_annotated(timeline, video, tmp_path / "plain.mp4", reader=reader)
    assert faces_in([p for _, p in pictures_of(plain)][every], 240, enlarged=2) >= 10
    hidden = write_annotated(timeline, video, tmp_path / "all.mp4", reader=reader, blur="all")
    assert faces_in([p for _, p in pictures_of(hidden)], 240, enlarged=2) == 0


@pytest.mark.slow
def test_others_are_hidden_and_the_one_in_focus_is_not(tmp_path: Path, two_faces: tuple[Path, Path]) -> None:
    video, store = two_faces
    reader = StoreReader(store)
    timeline = timeline_of(reader, reader.videos()[0].key)
    out = write_annotated(timeline, video, tmp_path / "others.mp4", reader=reader, blur="others")
    original = [p for _, p in pictures_of(video)]
    for number in (25, 39):
        picture = pictures_of(out)[number][1][:480].reshape(240, 2, 320, 2, 3).mean(axis=(1, 3))
        large = slice(62, 98), slice(72 + 2 * number, 94 + 2 * number)  # within the box
        small = slice(190, 209), slice(255, 270)
        alike = np.corrcoef(picture[large].reshape(-1), original[number][large].reshape(-1))[0, 1]
        assert alike > 0.95
        assert picture[small].std(axis=(0, 1)).max() < 0.4 * original[number][small].std(axis=(0, 1)).min()


def test_the_second_look_finds_what_the_store_lacks(tmp_path: Path) -> None:
    footage = Footage.open(face_video(tmp_path / "one.mp4", 12))
    detector = build(resolve("mtcnn"))
    times: list[float] = []
    found = faces_seen(footage, detector, on_time=times.append)
    assert times == pytest.approx([0.0, 0.2, 0.4])
    assert [float(path.t[0]) for path in found] == pytest.approx(times)
    for path in found:
        middle = (path.values[0][:2] + path.values[0][2:]) / 2
        assert abs(middle[0] - (85 + 50 * path.t[0])) < 30 and 40 < middle[1] < 120


def test_the_second_look_spares_whom_it_is_told_to(tmp_path: Path) -> None:
    video = face_video(tmp_path / "one.mp4", 12)
    reader = store_of(tmp_path / "store", video)
    key = reader.videos()[0].key
    spared = from_track(reader.track(key, 0))
    assert faces_seen(Footage.open(video), build(resolve("mtcnn")), spared=spared) == []


def test_what_the_second_look_finds_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face that the store does not hold at all."""
    video = face_video(tmp_path / "one.mp4", 12)
    reader = store_of(tmp_path / "store", video)
    timeline = timeline_of(reader, reader.videos()[0].key)
    monkeypatch.setattr("videofer.overlay.write.all_faces", lambda *_, **__: [])
    hidden = write_annotated(timeline, video, tmp_path / "hidden.mp4", reader=reader, marks=False, blur="all")
    assert faces_in([picture for _, picture in pictures_of(video)], 240) >= 10
    assert faces_in([picture for _, picture in pictures_of(hidden)], 240) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["neutral_to_smile.mp4", "four_faces_portrait.mp4"])
def test_yunet_finds_no_face_in_real_footage_afterwards(
    tmp_path: Path, shared_data: Path, shared_weights: Path, name: str
) -> None:
    """Every picture of the result, at half of the score that counts as a face otherwise."""
    import cv2

    video = shared_data / "videos" / name
    reader = store_of(tmp_path / "store", video, faces="yunet", weights_dir=shared_weights)
    timeline = timeline_of(reader, reader.videos()[0].key)
    out = write_annotated(
        timeline, video, tmp_path / "out.mp4", reader=reader, blur="all", weights_dir=shared_weights
    )
    scale = 2 if timeline.video.width < 360 else 1
    found = []
    detector = None
    for path in (out, video):
        count = 0
        for _, picture in pictures_of(path):
            cut = np.ascontiguousarray(picture[: timeline.video.height * scale, :, ::-1])
            detector = cv2.FaceDetectorYN.create(
                str(shared_weights / "face_detection_yunet_2023mar.onnx"), "", cut.shape[1::-1], 0.35
            ) if detector is None or detector.getInputSize() != cut.shape[1::-1] else detector  # fmt: skip
            faces = detector.detect(cut)[1]
            count += 0 if faces is None else len(faces)
        found.append(count)
    assert found[0] == 0
    assert found[1] >= 15


def test_every_face_of_the_store_is_covered_in_every_frame(
    tmp_path: Path, two_faces: tuple[Path, Path]
) -> None:
    reader = StoreReader(two_faces[1])
    key = reader.videos()[0].key
    tracks = all_faces(reader, key)
    hidden = HiddenFaces(tracks)
    assert len(tracks) >= 2
    for track in tracks:
        for t, box in zip(track.t, track.values, strict=True):
            assert is_covered(box, hidden.boxes_at(float(t)))
