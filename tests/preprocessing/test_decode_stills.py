"""Images, folders of images, and keypoints without pictures."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from preprocessing.decode import decoder_for
from preprocessing.decode.still_engine import frame_time_us, natural_key
from preprocessing.probe import probe
from preprocessing.types import Frame, InputError, Source
from tests.videos import numbered_picture


def decode(source: Source) -> tuple[list[Frame], list[str]]:
    """Frames and warnings."""
    decoder = decoder_for(source.kind)
    return list(decoder.frames(source, probe(source))), decoder.warnings


def image(path: Path) -> Source:
    return Source(path, path.name, "image")


def save_frames(folder: Path, count: int, pattern: str = "frame{}.png") -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(numbered_picture(number)).save(folder / pattern.format(number))
    return folder


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".jpg"])
def test_image_is_a_video_of_one_frame(tmp_path: Path, suffix: str) -> None:
    options = (
        {"lossless": True}
        if suffix == ".webp"
        else {"quality": 98, "subsampling": 0}
        if suffix == ".jpg"
        else {}
    )
    Image.fromarray(numbered_picture(2)).save(tmp_path / f"a{suffix}", **options)
    (frame,), warnings = decode(image(tmp_path / f"a{suffix}"))
    assert (frame.pts, frame.duration_pts, warnings) == (0, 1_000_000, [])
    error = np.abs(frame.rgb_patch(0, 0, 64, 48).astype(int) - numbered_picture(2))
    assert error.mean() < (1.5 if suffix == ".jpg" else 0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    """The same picture, stored in each of the eight ways, comes out the same."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = Image.fromarray(numbered_picture(0))
    stored = picture.transpose(undo[orientation]) if orientation in undo else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    (frame,), _ = decode(image(tmp_path / "a.png"))
    np.testing.assert_array_equal(frame.rgb_patch(0, 0, frame.width, frame.height), numbered_picture(0))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK", "I;16"])
def test_modes(tmp_path: Path, mode: str) -> None:
    gray = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    if mode == "I;16":
        picture = Image.fromarray(gray.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(gray).convert("RGB").convert(mode)
    picture.save(tmp_path / "a.tif")
    (frame,), _ = decode(image(tmp_path / "a.tif"))
    error = np.abs(frame.rgb_patch(0, 0, 64, 48).astype(int) - gray[..., None])
    assert error.mean() < {"1": 150, "P": 20}.get(mode, 8)


def test_truncated_image_fails(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)).save(
        tmp_path / "a.png"
    )
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="damaged picture") as caught:
        decode(image(tmp_path / "a.png"))
    assert caught.value.stage == "decode"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_flipped_bytes_never_crash(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(numbered_picture(0)).save(tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        flipped = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(data), size=rng.integers(1, 8))
        flipped[places] ^= rng.integers(1, 256, size=len(places), dtype=np.uint8)
        (tmp_path / f"b{suffix}").write_bytes(flipped.tobytes())
        try:
            decode(image(tmp_path / f"b{suffix}"))
        except InputError as error:
            assert "\n" not in error.reason


def test_folder_at_a_declared_rate(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "clip", 12)
    frames, warnings = decode(Source(folder, "clip", "frames", fps=30.0))
    assert [frame.pts for frame in frames] == [round(number * 1e6 / 30) for number in range(12)]
    assert warnings == []
    for number, frame in enumerate(frames):  # frame2 comes before frame10
        np.testing.assert_array_equal(frame.rgb_patch(0, 0, 64, 48), numbered_picture(number))
    for frame, following in pairwise(frames):
        assert frame.pts + frame.duration_pts == following.pts


def test_folder_without_a_rate_says_so(tmp_path: Path) -> None:
    frames, warnings = decode(Source(save_frames(tmp_path / "clip", 3), "clip", "frames"))
    assert [frame.pts for frame in frames] == [0, 1_000_000, 2_000_000]
    assert warnings == ["no frame rate declared: pictures are taken as 1 s apart"]


def test_folder_fails_at_a_picture_of_another_size(tmp_path: Path) -> None:
    folder = save_frames(tmp_path / "clip", 3)
    Image.fromarray(numbered_picture(9, 32, 24)).save(folder / "frame1.png")
    source = Source(folder, "clip", "frames", fps=25.0)
    frames = decoder_for("frames").frames(source, probe(source))
    next(frames)
    with pytest.raises(InputError, match=r"frame1\.png: 32x24 pixels, the first picture has 64x48"):
        next(frames)


def test_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures in the folder"):
        probe(Source(tmp_path / "empty", "empty", "frames"))
    folder = save_frames(tmp_path / "clip", 2)
    with pytest.raises(InputError, match="frame rate of -1"):
        probe(Source(folder, "clip", "frames", fps=-1.0))


def test_rates_of_television_are_exact() -> None:
    """29.97 means 30000/1001: after an hour the frame is where it should be, not 3.6 ms off."""
    assert frame_time_us(107_892, 29.97) == round(107_892 * 1001 / 30000 * 1e6)
    assert frame_time_us(24_000, 23.976) == frame_time_us(24_000, 23.98) == 1001 * 1_000_000
    assert frame_time_us(12_000, 12.0) == 1000 * 1_000_000
    assert frame_time_us(7, 25.0) == 280_000


def test_natural_order() -> None:
    names = ["a10", "a2", "a1b20", "a1b3", "b", "٣"]
    assert sorted(names, key=natural_key) == ["a1b3", "a1b20", "a2", "a10", "b", "٣"]


def test_keypoints_are_frames_without_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.keypoints.npz"
    np.savez(path, keypoints=np.zeros((3, 2, 17, 3), np.float32), fps=25.0, size_wh=[320, 240])
    frames, _ = decode(Source(path, "a", "keypoints"))
    assert [(frame.pts, frame.duration_pts) for frame in frames] == [
        (0, 40_000),
        (40_000, 40_000),
        (80_000, 40_000),
    ]
    assert (frames[0].width, frames[0].height) == (320, 240)
    with pytest.raises(InputError, match="no pictures"):
        frames[0].rgb_patch(0, 0, 1, 1)
    with pytest.raises(InputError, match="no pictures"):
        frames[0].reduced_rgb((1, 1))
    assert not frames[0].luma_thumbnail().any()


def test_openpose_folder_is_a_keypoint_input(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"x_{number:012d}_keypoints.json").write_text(json.dumps({"people": []}))
    frames, _ = decode(Source(tmp_path, "x", "keypoints", fps=50.0))
    assert [frame.pts for frame in frames] == [0, 20_000, 40_000]
    with pytest.raises(InputError, match="frame rate"):
        decode(Source(tmp_path, "x", "keypoints"))
