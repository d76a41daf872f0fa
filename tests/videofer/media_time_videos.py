"""Real videos whose times are awkward, with the number of every picture drawn in it, and reading it back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.videos import write_tone

SIDE = 96  # pixels
NUM_PICTURES = 40


@dataclass(frozen=True)
class NumberedVideo:
    """A file, and when each of its pictures is shown: media seconds, known from how it was made.

    How long the last picture stays is not known: containers round it, or guess.
    """

    path: Path
    numbers: list[int]
    t_start: list[Fraction]  # the earliest of sound and pictures is at 0

    def number_at(self, t: float) -> int | None:
        """The picture on screen, None before the first one."""
        shown = [number for number, start in zip(self.numbers, self.t_start, strict=True) if start <= t]
        return shown[-1] if shown else None

    def seconds_to_change(self, t: float) -> float:
        """How near the next or last change of the picture is."""
        return min(abs(float(start) - t) for start in self.t_start)


def draw(number: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: below, eight fields, six of them the digits of a binary number, one white, one
    black. Most of the picture stays the same, or each would be taken for a new scene.
    """
    grey = np.tile(np.linspace(60, 190, SIDE), (SIDE, 1))
    fields = np.array([1, *(number >> bit & 1 for bit in range(6)), 0])
    grey[-SIDE // 4 :] = np.repeat(fields * 120 + 60, SIDE // 8)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def read(picture: np.ndarray) -> int:
    """The number in a square picture (S, S, 3) of any size."""
    side = picture.shape[0]
    strip = picture[-side // 6 : -side // 12].mean(axis=(0, 2))  # (S,)
    fields = strip[(np.arange(8) * side + side // 2) // 8]
    assert fields[0] > 140 and fields[7] < 100, fields
    return sum(1 << bit for bit in range(6) if fields[1 + bit] > 120)


def write(
    path: Path,
    pts: list[int],
    *,
    ticks_per_second: int = 1000,
    sound_from: Fraction | None = None,
    codec: str = "libx264",
    b_frames: int = 0,
) -> NumberedVideo:
    """One picture for each of pts; sound, where wanted, begins at a time of its own."""
    options = {"libx264": {"crf": "18", "preset": "medium", "bf": str(b_frames)}}.get(codec, {"crf": "10"})
    container_options = (
        {"video_track_timescale": str(ticks_per_second)} if path.suffix in (".mp4", ".mov") else {}
    )
    time_base = Fraction(1, ticks_per_second)
    with av.open(path, "w", options=container_options) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        sound = None if sound_from is None else container.add_stream("aac", rate=8000, layout="mono")
        for number, stamp in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        if sound is not None:
            assert sound_from is not None
            write_tone(container, sound, sound_from, num_blocks=12)
        container.mux(stream.encode(None))
    begin = Fraction(pts[0], ticks_per_second)
    start = begin if sound_from is None else min(begin, sound_from)
    times = [Fraction(stamp, ticks_per_second) - start for stamp in pts]
    return NumberedVideo(path, list(range(len(pts))), times)


def constant_with_b_frames(folder: Path) -> NumberedVideo:
    return write(folder / "b_frames.mp4", list(range(NUM_PICTURES)), ticks_per_second=25, b_frames=3)


def variable_rate(folder: Path) -> NumberedVideo:
    """Without B-frames: with them Chromium seeks to an earlier picture, by lengths in decoding order."""
    steps = np.random.default_rng(3).choice([21, 33, 41, 99, 251], NUM_PICTURES - 1)
    return write(folder / "variable.mp4", [0, *np.cumsum(steps).tolist()])


def starts_at_ten_seconds(folder: Path) -> NumberedVideo:
    """The container says 10 s, and nothing comes before: for a player that is the beginning."""
    return write(folder / "ten.mkv", [10_000 + 40 * i for i in range(NUM_PICTURES)])


def starts_at_ten_seconds_mp4(folder: Path) -> NumberedVideo:
    return write(folder / "ten.mp4", [10_000 + 40 * i for i in range(NUM_PICTURES)])


def pictures_long_after_sound(folder: Path) -> NumberedVideo:
    """Sound from 0, pictures from 10 s on."""
    return write(folder / "after.mp4", [10_000 + 40 * i for i in range(NUM_PICTURES)], sound_from=Fraction(0))


def sound_before_pictures(folder: Path) -> NumberedVideo:
    """Both late, the sound by 2.048 s, the pictures half a second after it."""
    return write(
        folder / "sound_first.mkv", [2548 + 33 * i for i in range(NUM_PICTURES)],
        sound_from=Fraction(2048, 1000), b_frames=2,
    )  # fmt: skip


def edit_list(folder: Path) -> NumberedVideo:
    """The file holds all pictures, its edit list shows those from the seventh on."""
    hidden = 7
    whole = write(folder / "edited.mp4", list(range(NUM_PICTURES)), ticks_per_second=25, b_frames=2)
    data = bytearray(whole.path.read_bytes())
    at = data.index(b"elst") + 4
    assert data[at] == 0 and struct.unpack_from(">I", data, at + 4) == (1,)
    length, media_time = struct.unpack_from(">Ii", data, at + 8)  # in ticks of the film, and of the stream
    ticks_per_second = length * 25 // NUM_PICTURES
    struct.pack_into(">Ii", data, at + 8, length - hidden * ticks_per_second // 25, media_time + hidden)
    whole.path.write_bytes(data)
    shift = whole.t_start[hidden]
    return NumberedVideo(whole.path, whole.numbers[hidden:], [t - shift for t in whole.t_start[hidden:]])


VIDEOS: dict[str, Callable[[Path], NumberedVideo]] = {
    maker.__name__: maker
    for maker in (
        constant_with_b_frames, variable_rate, starts_at_ten_seconds, starts_at_ten_seconds_mp4,
        pictures_long_after_sound, sound_before_pictures, edit_list,
    )
}  # fmt: skip
