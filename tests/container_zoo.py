"""Small real files of every kind that decoders might read differently, by name."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from tests.videos import truncate, write_video

QUARTER_TURN = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)  # a display matrix: 90 degrees clockwise
HALF_TURN = (-1 << 16, 0, 0, 0, -1 << 16, 0, 0, 0, 1 << 30)
MIRROR = (-1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
UNEVEN = (0, 1, 3, 6, 7, 15, 16, 40, 41, 42)


def _cut_off(path: Path, share: float = 0.6) -> Path:
    options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    whole = write_video(path.with_stem("whole"), pts=range(100), container_options=options)
    return truncate(whole, share, path)


def _with_hole(path: Path) -> Path:
    """Zeros in the middle."""
    write_video(path, pts=range(100), codec_options={"g": "10"})
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + len(data) // 20] = bytes(len(data) // 20)
    path.write_bytes(data)
    return path


def _two_sizes(path: Path) -> Path:
    """A broadcast that changes its picture size."""
    parts = []
    for number, width in enumerate((64, 96)):
        part = path.with_stem(f"part{number}")
        parts.append(write_video(part, size_wh=(width, 48), pts=range(20 * number, 20 * number + 20)))
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


ZOO: dict[str, Callable[[Path], Path]] = {
    "h264.mp4": write_video,
    "h264.mov": write_video,
    "h264.mkv": write_video,
    "h264.avi": write_video,
    "h264.flv": write_video,
    "h264.ts": write_video,
    "mpeg4.avi": lambda path: write_video(path, codec="mpeg4"),
    "mjpeg.avi": lambda path: write_video(path, codec="mjpeg", pix_fmt="yuvj420p"),
    "mpeg2.mpg": lambda path: write_video(path, codec="mpeg2video"),
    "vp9.webm": lambda path: write_video(path, codec="libvpx-vp9"),
    "hevc.mp4": lambda path: write_video(
        path, codec="libx265", codec_options={"x265-params": "log-level=none"}
    ),
    "av1.mp4": lambda path: write_video(path, codec="libsvtav1"),
    "ffv1.mkv": lambda path: write_video(path, codec="ffv1"),
    "b_frames.mp4": lambda path: write_video(
        path, pts=range(20), codec_options={"bf": "3", "preset": "medium", "g": "8"}
    ),
    "b_frames.mkv": lambda path: write_video(
        path, pts=range(20), codec_options={"bf": "3", "preset": "medium", "g": "8"}
    ),
    "variable_rate.mp4": lambda path: write_video(path, pts=UNEVEN),
    "variable_rate.mkv": lambda path: write_video(path, pts=UNEVEN),
    "starts_at_10_s.mp4": lambda path: write_video(
        path, pts=range(250, 260), audio_start_seconds=Fraction(10)
    ),
    "starts_at_10_s.mkv": lambda path: write_video(
        path, pts=range(250, 260), audio_start_seconds=Fraction(10)
    ),
    "one_frame.mp4": lambda path: write_video(path, pts=[0]),
    "odd_size.mp4": lambda path: write_video(path, size_wh=(61, 47), pix_fmt="yuv444p"),
    "odd_size_420.mkv": lambda path: write_video(path, size_wh=(61, 47), codec="ffv1"),
    "10_bit.mp4": lambda path: write_video(path, pix_fmt="yuv420p10le"),
    "10_bit_422.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="yuv422p10le"),
    "12_bit_444.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="yuv444p12le"),
    "422.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="yuv422p"),
    "444.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="yuv444p"),
    "grey.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="gray"),
    "rgb.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="bgr0"),
    "alpha.mkv": lambda path: write_video(path, codec="ffv1", pix_fmt="yuva420p"),
    "turned_90.mp4": lambda path: write_video(path, display_matrix=QUARTER_TURN),
    "turned_180.mp4": lambda path: write_video(path, display_matrix=HALF_TURN),
    "mirrored.mp4": lambda path: write_video(path, display_matrix=MIRROR),
    "two_streams.mp4": lambda path: write_video(path, second_size_wh=(96, 80)),
    "cut_off.mp4": _cut_off,
    "cut_off.mkv": _cut_off,
    "cut_off.avi": _cut_off,
    "cut_off.flv": _cut_off,
    "hole.mp4": _with_hole,
    "hole.mkv": _with_hole,
    "hole.ts": _with_hole,
    "two_sizes.ts": _two_sizes,
}
