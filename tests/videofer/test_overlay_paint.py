"""Paint in planes, against libswscale and against blending done in floating point."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videofer.emotions import COLOURS
from videofer.overlay.footage import Colours
from videofer.overlay.paint import Stamp, draw_dots, draw_lines, fill, ink_on, rgb_of, to_planes, to_samples

BT601, BT709 = Colours(6), Colours(1)
RED = (255, 0, 0)


def grey(height: int = 48, width: int = 64, luma: int = 100) -> list[np.ndarray]:
    return [
        np.full((height, width), luma, np.uint8),
        np.full((height // 2, width // 2), 128, np.uint8),
        np.full((height // 2, width // 2), 128, np.uint8),
    ]


def test_colours_are_those_of_the_standard() -> None:
    """Red, green, blue and white of BT.601 and BT.709 in limited range, from the standards' tables."""
    rgb = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)], float)
    expected_601 = [(81, 90, 240), (145, 54, 34), (41, 240, 110), (235, 128, 128), (16, 128, 128)]
    expected_709 = [(63, 102, 240), (173, 42, 26), (32, 240, 118), (235, 128, 128), (16, 128, 128)]
    assert np.abs(to_samples(rgb, BT601) - expected_601).max() < 0.6
    assert np.abs(to_samples(rgb, BT709) - expected_709).max() < 0.6
    assert to_samples(rgb, Colours(6, full_range=True))[3:, 0].tolist() == pytest.approx([255, 0], abs=0.01)


@pytest.mark.parametrize("colours", [BT601, BT709])
def test_planes_come_back_as_the_colours_they_were(colours: Colours) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (6, 8, 3))
    rgb = np.repeat(np.repeat(blocks, 8, axis=0), 8, axis=1)
    frame = av.VideoFrame(64, 48, "yuv420p")
    for plane, samples in zip(frame.planes, to_planes(rgb.astype(float), colours), strict=True):
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width] = samples
    back = frame.to_ndarray(format="rgb24", src_colorspace="ITU709" if colours.matrix == 1 else "ITU601")
    assert np.abs(back.astype(int) - rgb).mean() < 3


def test_an_unknown_matrix_is_taken_as_bt601() -> None:
    rgb = np.array([[200.0, 30, 90]])
    assert np.allclose(to_samples(rgb, Colours(14)), to_samples(rgb, BT601))


@settings(max_examples=60)
@given(
    x=st.integers(-20, 70), y=st.integers(-20, 60), width=st.integers(1, 17), height=st.integers(1, 13),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_a_stamp_blends_wherever_it_lies(x: int, y: int, width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rgba = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    planes = grey()
    Stamp(rgba, BT601).put(planes, x, y)

    whole = np.zeros((48 + 80, 64 + 80, 4))  # the picture with a margin of 40, so that nothing is cut off
    whole[y + 40 : y + 40 + height, x + 40 : x + 40 + width] = rgba
    cut = whole[40 : 40 + 48, 40 : 40 + 64]
    alpha = cut[..., 3:] / 255
    luma = 100 * (1 - alpha[..., 0]) + to_samples(cut[..., :3], BT601)[..., 0] * alpha[..., 0]
    assert np.abs(planes[0] - luma).max() <= 1.6
    # Chroma: the mean of four pixels, each with its own transparency.
    samples = to_samples(cut[..., :3], BT601)
    mixed = 128 * (1 - alpha) + samples[..., 1:] * alpha
    chroma = mixed.reshape(24, 2, 32, 2, 2).mean(axis=(1, 3))
    inside = (slice(1, -1), slice(1, -1))  # at the edges the four pixels are not all in the picture
    for plane, expected in zip(planes[1:], (chroma[..., 0], chroma[..., 1]), strict=True):
        assert np.abs(plane[inside] - expected[inside]).max() <= 2.1


def test_what_is_clear_stays_as_it_was_and_what_is_opaque_is_covered() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, 4:] = (*RED, 255)
    planes = grey()
    Stamp(rgba, BT601).put(planes, 10, 10)
    assert (planes[0][10:18, 10:14] == 100).all()
    assert (planes[1][5:9, 5:7] == 128).all()
    assert (planes[0][10:18, 14:18] == 81).all()
    assert (planes[2][5:9, 7:9] == 240).all()


def test_lines_and_dots_lie_in_all_planes_at_the_same_place() -> None:
    planes = grey(luma=16)
    draw_lines(planes, [np.array([[10.0, 20.0], [50.0, 20.0]])], (255, 255, 255), 4, BT601)
    rows = np.flatnonzero(planes[0][:, 30] > 120)
    assert rows.min() in (18, 19) and rows.max() in (21, 22)
    draw_dots(planes, np.array([[40.0, 36.0]]), RED, 4, BT601)
    y, x = np.nonzero(planes[2] > 200)
    assert abs(2 * x.mean() + 0.5 - 40) < 1 and abs(2 * y.mean() + 0.5 - 36) < 1


def test_a_line_outside_the_picture_is_no_matter() -> None:
    planes = grey()
    draw_lines(planes, [np.array([[-500.0, -500.0], [900.0, -400.0]])], RED, 4, BT601, closed=True)
    draw_dots(planes, np.array([[-50.0, 1e4]]), RED, 4, BT601)
    assert (planes[0] == 100).all()


def test_a_filled_box_has_its_colour() -> None:
    planes = grey()
    fill(planes, (4, 6, 20, 16), RED, BT601)
    assert (planes[0][6:16, 4:20] == 81).all() and (planes[2][3:8, 2:10] == 240).all()
    assert planes[0][5, 4] == 100 and planes[0][6, 20] == 100


def test_letters_on_a_colour_can_be_read() -> None:
    """Contrast of WCAG 2, worked out here: 4.5 at least on every colour that an expression has."""

    def luminance(rgb: tuple[int, int, int]) -> float:
        linear = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in COLOURS.values():
        light, dark = sorted((luminance(rgb_of(colour)), luminance(ink_on(rgb_of(colour)))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour
