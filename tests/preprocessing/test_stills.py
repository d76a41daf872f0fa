"""Many small pictures into a store: exact pixels, aligned faces, what is there is not done again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cache.errors import StoreError
from cache.reader import StoreReader
from cache.removals import Removals
from cache.schema import State
from cache.store import Store
from cache.verify import verify
from preprocessing import stills
from preprocessing.align import TEMPLATE, apply_warp
from preprocessing.spec import PreprocessSpec
from preprocessing.still_faces import StillsError, TypicalPlace, find_faces, typical_place, with_typical
from preprocessing.stills import Still, pixel_key, store_stills

WHOLE = PreprocessSpec(faces="precropped", crop_size=48, codec="plain")
FOUND = PreprocessSpec(faces="mtcnn")
FACE_BOX = (96, 40, 160)  # of the astronaut's face: left, top, side


def noise(num: int, seed: int = 0) -> list[Still]:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 255, (num, 48, 48)).astype(np.uint8)
    return [Still(pixel_key(p), (f"set/{n:05d}",), p) for n, p in enumerate(pictures)]


def faces(num: int = 3) -> list[Still]:
    """A real face, cut a little differently each time, grey, 48 pixels."""
    from skimage.data import astronaut

    grey = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2GRAY)  # type: ignore[no-untyped-call]
    found = []
    for n in range(num):
        left, top, side = FACE_BOX[0] + 70 + 2 * n, FACE_BOX[1] - n, FACE_BOX[2] - 30
        picture = cv2.resize(
            grey[top : top + side, left : left + side], (48, 48), interpolation=cv2.INTER_AREA
        )
        found.append(Still(pixel_key(picture), (f"face/{n}",), picture))
    return found


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5))))
def test_the_key_is_that_of_the_pixels(pixels: np.ndarray) -> None:
    assert pixel_key(pixels) == pixel_key(np.asfortranarray(pixels).copy("F"))
    changed = pixels.copy()
    changed[-1, -1] ^= 1
    assert len({pixel_key(pixels), pixel_key(changed), pixel_key(pixels, "other")}) == 3
    if pixels.shape[0] != pixels.shape[1]:
        assert pixel_key(pixels) != pixel_key(np.ascontiguousarray(pixels).reshape(pixels.shape[::-1]))


def test_pictures_that_are_faces_are_kept_pixel_by_pixel(tmp_path: Path) -> None:
    some = noise(5)
    report = store_stills(tmp_path / "s", WHOLE, some, num_workers=1)
    assert (report.num_stored, report.num_there_before, report.num_without_face) == (5, 0, 0)
    reader = StoreReader(tmp_path / "s")
    for still in some:
        video, track = reader.video(still.key), reader.track(still.key, 0)
        assert (video.kind, video.num_frames, video.duration, video.names) == (
            "image",
            1,
            1.0,
            [*still.names],
        )
        assert (video.width, video.height) == (48, 48) and track.face_state.tolist() == [State.OK]
        crop = reader.read_crops(track, np.array([0]))[0]
        np.testing.assert_array_equal(crop, np.repeat(still.pixels[..., None], 3, axis=2))
    assert verify(Store.open(tmp_path / "s"), deep=True) == []


def test_colour_and_other_sizes(tmp_path: Path) -> None:
    """An oblong picture is scaled whole, with its edge repeated; colours stay."""
    picture = np.zeros((24, 12, 3), np.uint8)
    picture[..., 0] = 200
    picture[:, 6:, 1] = 100
    store_stills(tmp_path / "s", WHOLE, [Still(pixel_key(picture), ("a",), picture)], num_workers=1)
    reader = StoreReader(tmp_path / "s")
    crop = reader.read_crops(reader.track(pixel_key(picture), 0), np.array([0]))[0]
    assert (crop[..., 0] == 200).all() and (crop[:, :22, 1] == 0).all() and (crop[:, 26:, 1] == 100).all()


def test_what_is_there_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends in the middle keeps its finished shards; names are added."""
    monkeypatch.setattr(stills, "BATCH", 4)
    some, out = noise(10), tmp_path / "s"

    def stop(done: int, total: int) -> None:
        assert total == 10
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_stills(out, WHOLE, some, num_workers=1, progress=stop)
    assert len(Store.open(out).keys()) == 8
    named = [Still(some[0].key, (*some[0].names, "more"), some[0].pixels), *some[1:]]
    report = store_stills(out, WHOLE, named, num_workers=1)
    assert (report.num_stored, report.num_there_before) == (2, 8)
    assert Store.open(out).video(some[0].key).names == ["set/00000", "more"]
    assert store_stills(out, WHOLE, named, num_workers=1).num_stored == 0


def test_what_was_removed_does_not_come_back(tmp_path: Path) -> None:
    some, out = noise(3), tmp_path / "s"
    store_stills(out, WHOLE, some[:1], num_workers=1)
    Removals(out).add([some[1].key])
    report = store_stills(out, WHOLE, some, num_workers=1)
    assert (report.num_stored, report.num_refused) == (1, 1)
    assert {video.key for video in Store.open(out).videos()} == {some[0].key, some[2].key}


def test_a_store_of_another_contract_is_refused(tmp_path: Path) -> None:
    store_stills(tmp_path / "s", WHOLE, noise(1), num_workers=1)
    with pytest.raises(StoreError, match="has another input contract: alignment"):
        store_stills(tmp_path / "s", FOUND, noise(1), num_workers=1)


def test_several_processes_store_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stills, "BATCH", 3)
    some = noise(8)
    seen: list[int] = []
    store_stills(
        tmp_path / "two", WHOLE, some, num_workers=2, progress=lambda done, _total: seen.append(done)
    )
    store_stills(tmp_path / "one", WHOLE, some, num_workers=1)
    assert seen == [0, 3, 6, 8]
    two, one = StoreReader(tmp_path / "two"), StoreReader(tmp_path / "one")
    for still in some:
        tracks = two.track(still.key, 0), one.track(still.key, 0)
        np.testing.assert_array_equal(tracks[0].warps, tracks[1].warps)
        crops = [r.read_crops(t, np.array([0])) for r, t in zip((two, one), tracks, strict=True)]
        np.testing.assert_array_equal(crops[0], crops[1])


def test_found_faces_lie_as_the_template_has_them(tmp_path: Path) -> None:
    """The eyes and the nose of a real face; where no face was found, its typical place, said as such."""
    some = faces()
    blank = np.full((48, 48), 128, np.uint8)
    report = store_stills(tmp_path / "s", FOUND, [*some, Still("blank", ("b",), blank)], num_workers=1)
    assert (report.num_stored, report.num_without_face, report.detector.name) == (4, 1, "mtcnn")
    reader = StoreReader(tmp_path / "s")
    assert reader.store.contract == PreprocessSpec().contract()
    for still in some:
        track = reader.track(still.key, 0)
        placed = apply_warp(track.warps[0], track.landmarks_xy[0])[:3]
        np.testing.assert_allclose(placed, TEMPLATE[:3] * 112, atol=5)
        assert track.face_scores[0] > 0.9
    track, others = reader.track("blank", 0), [reader.track(still.key, 0) for still in some]
    assert track.face_state.tolist() == [State.LOW_QUALITY] and track.face_scores.tolist() == [0]
    middle = np.median([one.landmarks_xy[0] for one in others], axis=0)
    np.testing.assert_allclose(track.landmarks_xy[0], middle, atol=0.1)


def test_pictures_without_any_face_are_refused(tmp_path: Path) -> None:
    blank = np.full((48, 48), 128, np.uint8)
    with pytest.raises(StillsError, match="no face was found in any of 1 pictures"):
        store_stills(tmp_path / "s", FOUND, [Still("blank", ("b",), blank)], num_workers=1)


def test_a_face_is_found_in_pixels_of_its_picture() -> None:
    """The same face in a picture of twice the size has everything twice as large."""
    from preprocessing.faces import resolve

    small = faces(1)[0].pixels
    large = cv2.resize(small, (96, 96), interpolation=cv2.INTER_NEAREST)
    found = [find_faces([picture], resolve("mtcnn")) for picture in (small, large)]
    np.testing.assert_allclose(found[1].landmarks_xy, 2 * found[0].landmarks_xy, atol=2.5)
    np.testing.assert_allclose(found[1].boxes_xyxy, 2 * found[0].boxes_xyxy, atol=5)


def test_turned_and_missing_faces(shared_weights: Path) -> None:
    """YuNet finds a face that lies on its side, and its eyes are where they were turned to."""
    from preprocessing.faces import resolve

    choice = resolve("yunet", shared_weights)
    upright = faces(1)[0].pixels
    turn = cv2.getRotationMatrix2D((23.5, 23.5), 70, 1)
    turned = cv2.warpAffine(upright, turn, (48, 48), borderMode=cv2.BORDER_REPLICATE)
    blank = np.full((48, 48), 128, np.uint8)
    found = find_faces([upright, turned, blank], choice)
    assert found.found.tolist() == [True, True, False] and np.isnan(found.boxes_xyxy[2]).all()
    expected = apply_warp(turn, found.landmarks_xy[0] - 0.5) + 0.5
    np.testing.assert_allclose(found.landmarks_xy[1][:3], expected[:3], atol=3)
    typical = typical_place([upright, turned, blank], choice)
    placed = with_typical(found, [upright, turned, blank], typical)
    np.testing.assert_allclose(placed.landmarks_xy[2], typical.landmarks_xy * 48, atol=1e-4)
    assert placed.scores[2] == 0 and np.isnan(found.landmarks_xy[2]).all()  # the input is as it was
    assert isinstance(typical, TypicalPlace)
