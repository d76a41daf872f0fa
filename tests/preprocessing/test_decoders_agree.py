"""All decoders give the same pictures at the same times, whatever the container; the exceptions stand here.

The default decoder is the measure: its own tests hold it against the container and against the pictures that
were encoded. What the others refuse is decoded by it in a run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from preprocessing.decode import decoder_for
from preprocessing.probe import probe
from preprocessing.types import Frame, InputError, Source
from tests.container_zoo import ZOO
from tests.decoders import OTHERS

MOST_FRAMES = 120  # that are looked at in a long video
PICTURE_EVERY = 10
MEAN_LEVELS, WORST_LEVELS = (
    1.6,
    4,
)  # rounding, and linear in the place of repeated chroma; worst: 99.9 % are below
SMOOTHED_MEAN_LEVELS = 6  # of a test card whose colours meet at hard edges


@dataclass(frozen=True)
class Deviation:
    """How engines differ from the default on some files. `docs/engines.md` has the same table."""

    files: tuple[str, ...]
    engines: tuple[str, ...]
    docs: str  # the row of the page
    refusal: str = ""  # what the engine says, a pattern
    smoothed: bool = False  # colours run into each other at edges
    more_frames: int = 0  # that the default leaves out


DEVIATIONS = (
    Deviation(
        files=(
            "tc_h264_10bits.mp4",
            "tc_testsrc2_odd_height_and_width_mpeg2.mp4",
            "10_bit.mp4",
            "odd_size_420.mkv",
        ),
        engines=("decord", "torchcodec"),
        docs="more than 8 bits, or an odd size, with subsampled colour",
        smoothed=True,
    ),
    Deviation(
        files=("mirrored.mp4",),
        engines=("decord", "torchcodec"),
        docs="a mirrored picture",
        refusal=r"does not mirror pictures",
    ),
    Deviation(
        files=("cut_off.mp4", "cut_off.mkv", "cut_off.avi"),
        engines=("decord", "torchcodec"),
        docs="a file that is cut off",
        refusal=r"the file is cut off",
    ),
    Deviation(
        files=("cut_off.flv", "hole.ts", "two_sizes.ts"),
        engines=("decord", "torchcodec"),
        docs="packets that are not whole",
        refusal=r"damaged: 1 packets are not whole",
    ),
    Deviation(
        files=("hole.mp4", "decord_corrupted.mp4"),
        engines=("decord", "torchcodec"),
        docs="packets that cannot be decoded",
        refusal=r"decord stops after \d+ frames|torchcodec fails between frames|decord cannot open it",
    ),
    Deviation(
        files=("hole.mkv",),
        engines=("decord", "torchcodec"),
        docs="a packet that decodes to a damaged picture",
        more_frames=1,
    ),
    Deviation(
        files=("mpeg2.mpg",),
        engines=("decord", "torchcodec"),
        docs="an MPEG program stream",
        refusal=r"decord's times differ|Requested next frame while there are no more frames",
    ),
    Deviation(
        files=("h264.avi",),
        engines=("decord",),
        docs="H.264 in AVI",
        refusal=r"decord's times differ from the container's",
    ),
    Deviation(
        files=("turned_90.mp4",),
        engines=("decord",),
        docs="some turned pictures",
        refusal=r"decord gives 64 x 48 x 4 values",
    ),
    Deviation(
        files=("two_streams.mp4",),
        engines=("decord",),
        docs="a stream that is not FFmpeg's first choice",
        refusal=r"decord would read another of the video streams",
    ),
    Deviation(
        files=("face_then_none_vfr_hevc.mov",),
        engines=("decord",),
        docs="some HEVC of variable rate",
        refusal=r"decord stops after|decord cannot open it",
    ),
)


def known_deviation(name: str, engine: str) -> Deviation:
    """That of a file, or none at all."""
    found = [each for each in DEVIATIONS if name in each.files and engine in each.engines]
    assert len(found) <= 1
    return found[0] if found else Deviation((name,), (engine,), "")


def read(path: Path, engine: str, most: int) -> tuple[list[tuple[int, int]], dict[int, np.ndarray], str]:
    """Times of frames (pts, duration), some pictures by pts, and why it ended early."""
    source = Source(path, path.name, "video")
    times: list[tuple[int, int]] = []
    pictures: dict[int, np.ndarray] = {}
    facts = probe(source)
    try:
        for number, frame in enumerate(decoder_for("video", engine).frames(source, facts)):
            if number == most:
                break
            times.append((frame.pts, frame.duration_pts))
            if number % PICTURE_EVERY == 0:
                pictures[frame.pts] = whole(frame)
    except InputError as error:
        assert "\n" not in error.reason
        return times, pictures, error.reason
    return times, pictures, ""


def whole(frame: Frame) -> np.ndarray:
    return frame.rgb_patch(0, 0, frame.width, frame.height)


def check(path: Path, engine: str, most: int) -> None:
    """The engine against the default on one file: equal, or as the table says."""
    known = known_deviation(path.name, engine)
    times, pictures, refusal = read(path, engine, most)
    if known.refusal or refusal:
        assert known.refusal, f"{path.name}: {refusal}"
        assert re.search(known.refusal, refusal), f"{path.name}: {refusal or 'is read'}"
        return
    expected_times, expected_pictures, _ = read(path, "pyav", most)
    assert len(times) == len(expected_times) + known.more_frames, path.name
    assert set(expected_times) <= set(times), path.name
    for pts in pictures.keys() & expected_pictures.keys():
        error = np.abs(expected_pictures[pts].astype(int) - pictures[pts])
        assert error.mean() < (SMOOTHED_MEAN_LEVELS if known.smoothed else MEAN_LEVELS), path.name
        is_smoothed = np.percentile(error, 99.9) > WORST_LEVELS
        assert is_smoothed == known.smoothed, path.name
    assert pictures.keys() & expected_pictures.keys()


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", ZOO)
def test_synthetic_files(tmp_path: Path, name: str, engine: str) -> None:
    check(ZOO[name](tmp_path / name), engine, most=1000)


@pytest.mark.parametrize("engine", OTHERS)
def test_real_files(shared_data: Path, engine: str) -> None:
    """The container collection as a whole, the beginning of the others."""
    suffixes = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
    paths = sorted(path for path in (shared_data / "videos").rglob("*.*") if path.suffix in suffixes)
    assert len(paths) > 25
    for path in paths:
        check(path, engine, most=1000 if path.parent.name == "container" else MOST_FRAMES)


def test_every_deviation_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
    rows = [row.split("|")[1:-1] for row in page.splitlines() if row.startswith("|")]
    for each in DEVIATIONS:
        (row,) = [row for row in rows if row[0].strip() == each.docs]
        assert [engine for engine in ("decord", "torchcodec") if engine in row[1]] == list(each.engines)
