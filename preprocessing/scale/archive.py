"""An archive as a planner sees it: how long each video is, from a table or from a distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cache.errors import UserError

DEFAULT_SPREAD = 1.0  # standard deviation of the log of durations; archives of mixed length have 0.8 to 1.5
DURATION_COLUMNS = ("duration_seconds", "duration", "seconds")
BYTES_COLUMNS = ("num_bytes", "bytes", "size")


@dataclass(frozen=True)
class Archive:
    """Videos of which only the length is known, and their bytes if at all."""

    durations_seconds: np.ndarray  # (N,) float64
    num_bytes: np.ndarray | None  # (N,) float64
    described: str  # where the durations come from, for people

    def __len__(self) -> int:
        return len(self.durations_seconds)

    @property
    def total_seconds(self) -> float:
        return float(self.durations_seconds.sum())


def read_archive(path: Path, fallback_bytes_per_second: float | None = None) -> Archive:
    """A table, CSV or Parquet, one row a video, with the column duration_seconds or, less exact, bytes.

    fallback_bytes_per_second: of a measured run, to take durations from bytes. UserError, naming the file
    and the columns, where neither can be used.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is no table: {error}") from None
    bytes_column = next((name for name in BYTES_COLUMNS if name in table), None)
    num_bytes = None if bytes_column is None else _numbers(table[bytes_column], path, bytes_column)
    column = next((name for name in DURATION_COLUMNS if name in table), None)
    if column is not None:
        return Archive(_numbers(table[column], path, column), num_bytes, f"{path.name}, column {column}")
    if num_bytes is None:
        wanted = ", ".join((*DURATION_COLUMNS, *BYTES_COLUMNS))
        raise UserError(f"{path} has none of the columns {wanted}; it has {', '.join(map(str, table))}")
    if not fallback_bytes_per_second:
        raise UserError(f"{path} has sizes but no durations, and the measured run does not tell its bytes")
    rate = f"{fallback_bytes_per_second / 1e3:.0f} kB a second"
    return Archive(
        num_bytes / fallback_bytes_per_second, num_bytes, f"{path.name}, bytes at the measured {rate}"
    )


def drawn_archive(
    num_videos: int, total_hours: float, spread: float = DEFAULT_SPREAD, seed: int = 0
) -> Archive:
    """Log-normal durations with this total. spread: standard deviation of their logarithm."""
    if num_videos < 1 or total_hours <= 0 or spread < 0:
        raise UserError("an archive has at least one video, hours above 0, and a spread of 0 or more")
    drawn = np.random.default_rng(seed).lognormal(0.0, spread, num_videos)
    durations = drawn * (total_hours * 3600 / drawn.sum())
    return Archive(durations, None, f"log-normal, spread {spread:.2f}")


def fitted_spread(durations_seconds: np.ndarray) -> float | None:
    """Standard deviation of the log of measured durations; None where there are too few to tell."""
    positive = durations_seconds[durations_seconds > 0]
    return float(np.log(positive).std(ddof=1)) if len(positive) >= 20 else None


def cut(durations_seconds: np.ndarray, segment_seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Segments of every video, as `preprocessing.decode.keyframes.plan_spans` cuts them.

    Returns seconds (S,) and the index of the video (S,), videos in their order. A video up to 1.5 segments
    stays whole; no part is shorter than half a segment or longer than one and a half.
    """
    if math.isinf(segment_seconds):
        return durations_seconds.copy(), np.arange(len(durations_seconds))
    num_cuts = np.floor(durations_seconds / segment_seconds - 0.5).astype(np.int64)
    num_cuts[durations_seconds <= 1.5 * segment_seconds] = 0
    videos = np.repeat(np.arange(len(durations_seconds)), num_cuts + 1)
    seconds = np.full(len(videos), float(segment_seconds))
    last = np.cumsum(num_cuts + 1) - 1
    seconds[last] = durations_seconds - num_cuts * segment_seconds
    return seconds, videos


def _numbers(column: object, path: Path, name: str) -> np.ndarray:
    import pandas as pd

    values: np.ndarray = pd.to_numeric(pd.Series(column), errors="coerce").to_numpy(np.float64)  # type: ignore[call-overload]
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"{path}: row {row + 2}: {name} is not a number of 0 or more")
    if not len(values):
        raise UserError(f"{path} has no rows")
    return values
