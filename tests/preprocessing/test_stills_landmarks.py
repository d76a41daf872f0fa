"""Dense landmarks of stills: found where a detector finds the face, also in crops stored as they are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from cache.reader import StoreReader
from cache.schema import State
from cache.store import Store
from cache.track import PersonTrack
from cache.verify import verify
from preprocessing.landmarks.layouts import IBUG68
from preprocessing.spec import PreprocessSpec
from preprocessing.still_faces import StillsError
from preprocessing.stills import Still, pixel_key, store_stills
from preprocessing.weights import WeightsError

AS_IT_IS = PreprocessSpec(faces="precropped", crop_size=48, codec="plain", landmarks="mesh")
ALIGNED = PreprocessSpec(landmarks="mesh")


def pictures() -> list[np.ndarray]:
    """Two views of a face, in grey as FER2013's, and one without any."""
    grey = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
    near, far = grey[40:190, 150:300], grey[10:230, 120:340]
    rng = np.random.default_rng(0)
    return [
        *(cv2.resize(view, (48, 48), interpolation=cv2.INTER_AREA) for view in (near, far)),
        rng.integers(0, 256, (48, 48)).astype(np.uint8),
    ]


def stills() -> list[Still]:
    return [Still(pixel_key(pixels), (f"{n}.png",), pixels) for n, pixels in enumerate(pictures())]


def tracks_of(path: Path) -> list[PersonTrack]:
    reader = StoreReader(path)
    return [reader.track(still.key, 0) for still in stills()]


def eye_middles(points: np.ndarray) -> np.ndarray:
    """(68, 2) -> (2, 2), the image's left eye first."""
    return np.stack([points[list(IBUG68.lines[f"{side} eye"])].mean(axis=0) for side in ("right", "left")])


@pytest.mark.parametrize("spec", [AS_IT_IS, ALIGNED], ids=["as it is", "aligned"])
def test_landmarks_lie_on_the_face(spec: PreprocessSpec, shared_weights: Path, tmp_path: Path) -> None:
    report = store_stills(tmp_path / "s", spec, stills(), weights_dir=shared_weights, num_workers=1)
    assert (report.num_stored, report.num_without_landmarks) == (3, 1)
    assert verify(Store.open(tmp_path / "s"), deep=True) == []
    near, far, nobody = tracks_of(tmp_path / "s")
    assert near.dense_landmarks.shape == (1, 68, 2) and near.landmark_layout == "ibug68"
    assert np.isnan(nobody.dense_landmarks).all() and nobody.landmark_layout == "ibug68"
    # The eyes, brought back to the photograph, are the same in both views.
    there = eye_middles(near.dense_landmarks[0]) * 150 / 48 + [150, 40]
    np.testing.assert_allclose(there, eye_middles(far.dense_landmarks[0]) * 220 / 48 + [120, 10], atol=4)
    assert 30 < there[1, 0] - there[0, 0] < 60
    said = StoreReader(tmp_path / "s").video(stills()[0].key).provenance["landmarks"]
    assert (said["name"], said["layout"], said["placed_by"]["name"]) == ("mesh", "ibug68", "yunet")


def test_crops_stay_the_pictures(shared_weights: Path, tmp_path: Path) -> None:
    """A detector looks at face crops for the landmarks alone."""
    store_stills(tmp_path / "s", AS_IT_IS, stills(), weights_dir=shared_weights, num_workers=1)
    reader = StoreReader(tmp_path / "s")
    for track, pixels in zip(tracks_of(tmp_path / "s"), pictures(), strict=True):
        np.testing.assert_array_equal(reader.read_crops(track, np.array([0]))[0, ..., 0], pixels)
        assert track.face_boxes_xyxy.tolist() == [[0, 0, 48, 48]] and track.face_state[0] == State.OK


def test_a_store_has_landmarks_or_has_none(shared_weights: Path, tmp_path: Path) -> None:
    """What was stored before would stay without."""
    plain = AS_IT_IS.model_copy(update={"landmarks": "none"})
    report = store_stills(tmp_path / "s", plain, stills()[:1], num_workers=1)
    assert report.num_without_landmarks == 0
    with pytest.raises(StillsError, match="was begun with landmarks none, not mesh: give another folder"):
        store_stills(tmp_path / "s", AS_IT_IS, stills(), weights_dir=shared_weights, num_workers=1)
    assert len(Store.open(tmp_path / "s").keys()) == 1


def test_weights_that_lack_are_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"put facemesh_468\.onnx into --weights-dir"):
        store_stills(tmp_path / "s", AS_IT_IS, stills(), num_workers=1)
    assert not (tmp_path / "s").exists()
