"""Inputs that are keypoints without a picture: their times, and frames that have nothing but a time.

A `.npz` tells its times by `t_seconds` or `fps`, a table by its column of times; a folder of OpenPose JSON
files, one a frame, and a table without times by the declared rate. What the keypoints are is read by
`preprocessing.skeletons`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from preprocessing.decode.frames import BlindFrame
from preprocessing.decode.limits import Limits
from preprocessing.decode.still_engine import MICROSECONDS, frame_time_us
from preprocessing.types import Frame, InputError, Probe, Source

OPENPOSE_SUFFIX = "_keypoints.json"
_MAX_ARRAY_BYTES = 1 << 32  # a zip may claim to hold far more than its own size


class KeypointDecoder:
    """Fulfils `preprocessing.types.Decoder` for keypoints without a video."""

    name = "keypoints"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.warnings: list[str] = []

    def frames(self, source: Source, probe: Probe) -> Iterator[Frame]:
        """One frame without pixels for every row of keypoints."""
        starts_us, _ = _read_times(source)
        for pts, duration_pts in zip(starts_us.tolist(), _durations(starts_us).tolist(), strict=True):
            yield BlindFrame(pts, duration_pts, probe.width, probe.height)


def probe_keypoints(source: Source, limits: Limits) -> Probe:
    """Times and picture size that the file tells; the size is 0x0 where it does not. Raises InputError."""
    files = [source.path] if source.path.is_file() else openpose_files(source.path)
    try:
        limits.check_bytes(sum(file.stat().st_size for file in files))
    except OSError as error:
        raise InputError("probe", f"cannot be read: {error.strerror}") from error
    starts_us, (width, height) = _read_times(source)
    duration = float((int(starts_us[-1] - starts_us[0]) + int(_durations(starts_us)[-1])) * MICROSECONDS)
    limits.check_duration(duration)
    if (width, height) != (0, 0):
        limits.check_picture(width, height)
    return Probe(
        width=width,
        height=height,
        rotation=0,
        mirrored=False,
        stream_index=0,
        time_base=MICROSECONDS,
        presentation_start=Fraction(0),
        duration=duration,
        codec="keypoints",
        pixel_format="none",
        stream_start=int(starts_us[0]) * MICROSECONDS,
    )


def openpose_files(folder: Path) -> list[Path]:
    """The OpenPose JSON files of a folder, in order of their names; empty where it is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(OPENPOSE_SUFFIX))
    except OSError:
        return []


def _read_times(source: Source) -> tuple[np.ndarray, tuple[int, int]]:
    """(T,) int64 microseconds, strictly increasing; (width, height) or (0, 0). Raises InputError."""
    if not source.path.is_file():
        return _times_at_rate(len(openpose_files(source.path)), source.fps), (0, 0)
    if source.path.suffix.lower() in (".csv", ".json"):
        return _times_of_table(source)
    try:
        with zipfile.ZipFile(source.path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_ARRAY_BYTES:
                raise InputError("probe", f"keypoint arrays of more than {_MAX_ARRAY_BYTES} bytes")
        with np.load(source.path, allow_pickle=False) as arrays:
            if "keypoints" not in arrays:
                raise InputError("probe", f"no array 'keypoints' in the file, only {sorted(arrays.files)}")
            num_rows = len(np.atleast_1d(arrays["keypoints"]))
            size = np.asarray(arrays.get("size_wh", (0, 0))).ravel()
            seconds = np.asarray(arrays["t_seconds"], np.float64) if "t_seconds" in arrays else None
            fps = float(arrays["fps"]) if "fps" in arrays else source.fps
    except MemoryError as error:  # a header that claims more than the file holds
        raise InputError("probe", "keypoint arrays that do not fit into memory") from error
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError("probe", f"not a keypoint file: {error}".replace("\n", " ")) from error
    size_wh = (int(size[0]), int(size[1])) if len(size) == 2 else (0, 0)
    return _checked_times(num_rows, seconds, fps), size_wh


def _times_of_table(source: Source) -> tuple[np.ndarray, tuple[int, int]]:
    """The same of a CSV table or JSON file."""
    from preprocessing.skeletons.sidecar import load_sidecar  # reads them whole

    data = load_sidecar(source.path)
    if data.size_wh == (1, 1):
        raise InputError(
            "probe", "coordinates are parts of a picture of unknown size: put it beside its video"
        )
    return _checked_times(len(data.keypoints), data.t_seconds, data.fps or source.fps), (0, 0)


def _checked_times(num_rows: int, seconds: np.ndarray | None, fps: float | None) -> np.ndarray:
    """(T,) int64 microseconds, strictly increasing. Raises InputError."""
    if seconds is None:
        return _times_at_rate(num_rows, fps)
    if seconds.shape != (num_rows,) or num_rows == 0:
        raise InputError("probe", f"'t_seconds' is {seconds.shape}, 'keypoints' has {num_rows} rows")
    if not np.isfinite(seconds).all() or np.abs(seconds).max() > 1e9:
        raise InputError("probe", "'t_seconds' holds times that are no times")
    starts_us = np.rint(seconds * 1e6).astype(np.int64)
    if (np.diff(starts_us) <= 0).any():
        raise InputError("probe", "'t_seconds' does not increase")
    return starts_us


def _times_at_rate(num_rows: int, fps: float | None) -> np.ndarray:
    if num_rows == 0:
        raise InputError("probe", "no keypoints")
    if fps is None or not 0 < fps <= 100_000:
        raise InputError("probe", "keypoints without a video need 't_seconds' or a frame rate")
    return np.array([frame_time_us(index, fps) for index in range(num_rows)], np.int64)


def _durations(starts_us: np.ndarray) -> np.ndarray:
    """(T,) int64: to the next row; the last row lasts as long as is usual, a single one 1 s."""
    gaps = np.diff(starts_us)
    return np.append(gaps, int(np.median(gaps)) if len(gaps) else 1_000_000)
