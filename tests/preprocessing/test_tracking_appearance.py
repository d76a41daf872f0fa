"""Looks of drawn people: alike under other light and at other sizes, unlike in other clothes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st

from preprocessing.decode.frames import PixelFrame
from preprocessing.engines import resolve_engines
from preprocessing.tracking.appearance import (
    CLOTHING_SCALE,
    FACE_SCALE,
    RAREST_LOOK_SECONDS,
    Look,
    Looks,
    describe_clothing,
    describe_face,
    difference,
)
from preprocessing.tracking.describe import FaceDescriber, FaceEmbedder, Sight
from preprocessing.types import Faces
from preprocessing.weights import WeightsError
from tests import onnx_models

LANDMARKS = np.array([[203, 101], [247, 103], [222, 130], [204, 152], [246, 153]], np.float32)
NOTHING = np.empty(0, np.float32)


def shirt(colour: tuple[int, int, int], size: int = 60, stripes: bool = False) -> np.ndarray:
    picture = np.full((size, size, 3), colour, np.uint8)
    if stripes:
        picture[:: size // 10] = 240
    return picture


def unlike(a: np.ndarray, b: np.ndarray) -> float:
    """Of two pictures of clothing."""
    first, second = (describe_clothing(p, np.array([0, 0, p.shape[1], p.shape[0]])) for p in (a, b))
    value = difference((first,), (second,), (CLOTHING_SCALE,))
    assert value is not None
    return value


@pytest.mark.parametrize("gain", [0.75, 1.25])
def test_clothes_are_alike_in_another_light_and_at_another_size(gain: float) -> None:
    red = shirt((150, 40, 50), stripes=True)
    lit = np.clip(red * gain, 0, 255).astype(np.uint8)
    small = cv2.resize(lit, (24, 24), interpolation=cv2.INTER_AREA)
    assert unlike(red, small) < 1.0
    assert unlike(red, shirt((40, 60, 150), stripes=True)) > 4.0
    assert unlike(shirt((20, 20, 20)), shirt((220, 220, 220))) > 4.0


def test_clothing_out_of_the_picture_is_not_described() -> None:
    picture = shirt((150, 40, 50))
    assert len(describe_clothing(picture, np.array([0, 45, 60, 105]))) == 0
    assert len(describe_clothing(picture, np.array([30, 0, 90, 60]))) == 0
    assert len(describe_clothing(picture, np.array([10, 10, 14, 14]))) == 0


def test_a_face_is_like_itself_and_unlike_one_with_other_hair_and_skin() -> None:
    photo = skimage.data.astronaut()
    small = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    turn = np.array([[0.985, -0.174, 30], [0.174, 0.985, 10]])
    turned = cv2.warpAffine(photo, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    turned_landmarks = LANDMARKS @ np.array([[0.985, 0.174], [-0.174, 0.985]]) + (30, 10)
    other = 255 - photo[:, ::-1]
    face = describe_face(photo, LANDMARKS)
    for picture, landmarks, low, high in (
        (small, LANDMARKS / 2, 0, 1.0),
        (turned, turned_landmarks, 0, 1.0),
        (other, LANDMARKS, 4, 99),
    ):
        value = difference((face,), (describe_face(picture, landmarks),), (FACE_SCALE,))
        assert value is not None and low <= value < high
    assert len(describe_face(photo, np.full((5, 2), np.nan))) == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_looks_are_means_of_length_one(seed: int, num: int) -> None:
    rng = np.random.default_rng(seed)
    looks = Looks()
    assert len(looks.clothing) == len(looks.face) == 0 and looks.is_due(0.0)
    for n in range(num):
        looks.add(Look(rng.random(34).astype(np.float32) + 0.1, NOTHING), float(n))
    assert np.linalg.norm(looks.clothing) == pytest.approx(1, abs=1e-5)
    assert len(looks.face) == 0 and looks.num_looks == num
    assert not looks.is_due(float(num - 1)) and looks.is_due(num - 1 + RAREST_LOOK_SECONDS)


def test_an_empty_look_only_puts_off_the_next() -> None:
    looks = Looks()
    looks.add(Look(NOTHING, NOTHING), 1.0)
    assert looks.num_looks == 0 and not looks.is_due(1.1) and looks.is_due(2.0)


def test_thousands_of_looks_are_no_more_than_many() -> None:
    looks = Looks()
    for n in range(2000):
        looks.add(Look(np.ones(3, np.float32), NOTHING), 5.0 * n)
    assert looks.num_looks == 2000 and looks.clothing == pytest.approx(np.ones(3) / np.sqrt(3))


def test_nothing_in_common_cannot_be_compared() -> None:
    assert difference((NOTHING, np.ones(1)), (np.ones(1), NOTHING), (1.0, 1.0)) is None


# --- looks at faces in a picture, and embeddings -------------------------------------------------


def sight(*corners: float) -> Sight:
    """Faces of 40 pixels side by side at x."""
    boxes = np.array([[x, 60, x + 40, 100] for x in corners], np.float32)
    landmarks = boxes[:, None, :2] + 40 * np.array(
        [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]
    )
    faces = Faces(boxes, landmarks.astype(np.float32), np.ones(len(corners), np.float32))
    picture = np.random.default_rng(0).integers(0, 255, (240, 400, 3), np.uint8)
    return Sight(faces, picture, np.ones(2), 0.0, PixelFrame(picture, 0, 1), False)


@pytest.mark.parametrize(("gap", "sees_face", "sees_clothes"), [(5, 0, 0), (32, 1, 0), (120, 1, 1)])
def test_what_somebody_else_may_cover_is_left_out(gap: float, sees_face: bool, sees_clothes: bool) -> None:
    look = FaceDescriber("plain", None).look(sight(60, 100 + gap), 0)
    assert (len(look.face) > 0, len(look.clothing) > 0) == (sees_face, sees_clothes)


def embedding(path: Path, side: int = 8, shape: tuple[int | str, ...] | None = None) -> Path:
    """A network that gives the mean colour of a face, as three numbers."""
    nodes = [
        onnx_models.node("GlobalAveragePool", ["image"], ["mean"]),
        onnx_models.node("Flatten", ["mean"], ["out"], axis=1),
    ]
    input_shape = shape or (1, 3, side, side)
    return onnx_models.save_model(
        path, input_shape=input_shape, outputs={"out": (1, 3)}, nodes=nodes, constants={}
    )


def test_a_face_embedding_of_any_network_serves(tmp_path: Path) -> None:
    embedder = FaceEmbedder(embedding(tmp_path / "mean.onnx"))
    plain = np.full((240, 400, 3), (255, 127, 0), np.uint8)
    here = sight(100)
    vector = embedder.embed(PixelFrame(plain, 0, 1), here.faces.landmarks_xy[0])
    expected = np.array([1.0, 127 / 127.5 - 1, -1.0])
    assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    look = FaceDescriber("onnx:mean.onnx", embedder).look(here, 0)
    assert look.face.shape == (3,) and len(look.clothing) == 34


def test_its_file_is_found_as_those_of_other_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = embedding(tmp_path / "mean.onnx")
    monkeypatch.setenv("HOME", str(tmp_path))
    as_path = resolve_engines(faces_name="precropped", appearance=f"onnx:{path}").appearance
    assert as_path.weights["embedding"].path == str(path)
    by_name = resolve_engines(faces_name="precropped", appearance="onnx:mean.onnx", weights_dir=tmp_path)
    at_home = resolve_engines(faces_name="precropped", appearance="onnx:~/mean.onnx")
    assert as_path == by_name.appearance == at_home.appearance
    line = "no such face embedding: mean.onnx, neither as a path nor in a folder of weights"
    with pytest.raises(WeightsError, match=f"^{line}$"):
        resolve_engines(faces_name="precropped", appearance="onnx:mean.onnx")
    monkeypatch.setenv("VIDEOFER_WEIGHTS", str(tmp_path))
    shared = resolve_engines(faces_name="precropped", appearance="onnx:mean.onnx")
    assert shared.appearance == as_path


def test_what_is_no_embedding_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"is no face embedding: .* expected \(N, 3, side, side\)"):
        FaceEmbedder(embedding(tmp_path / "wide.onnx", shape=(1, 3, 8, 16)))
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(WeightsError, match="not a usable ONNX model"):
        FaceEmbedder(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="needs its network"):
        FaceDescriber("onnx:mean.onnx", None)
