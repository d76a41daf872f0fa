"""Thins a fast stream out to the rate of the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from preprocessing.types import Frame, Probe

RATE_TOLERANCE = 0.9  # a frame this part of 1 / max_fps after the last one is still kept


def sample(
    frames: Iterator[Frame], probe: Probe, max_fps: float, cuts: Sequence[int] = ()
) -> Iterator[tuple[int, Frame]]:
    """Thin a stream out to at most max_fps by its own times: (index among decoded frames, frame).

    A stream whose average rate is not higher is kept whole: its frames may come at uneven times. Thinning
    begins anew at each of `cuts` (pts, rising), so that both neighbours of a cut keep the same frames.
    """
    least_pts = RATE_TOLERANCE / max_fps / probe.time_base
    if probe.average_fps is not None and probe.average_fps * RATE_TOLERANCE <= max_fps:
        least_pts = 0
    ahead = list(cuts)
    last_pts: int | None = None
    for index, frame in enumerate(frames):
        while ahead and frame.pts >= ahead[0]:
            del ahead[0]
            last_pts = None
        if last_pts is None or frame.pts - last_pts >= least_pts:
            last_pts = frame.pts
            yield index, frame
