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

    A frame that is left out is shown as part of the one before it: the duration_pts of a frame that was given
    grows until the next one is, and is that of all of them once the stream has ended.
    """
    least_pts = RATE_TOLERANCE / max_fps / probe.time_base
    if probe.average_fps is not None and probe.average_fps * RATE_TOLERANCE <= max_fps:
        least_pts = 0
    ahead = list(cuts)
    kept: Frame | None = None
    last_pts = before_pts = 0  # of the frame that was kept, of the one that was decoded before
    for index, frame in enumerate(frames):
        while ahead and frame.pts >= ahead[0]:
            del ahead[0]
            kept = None
        if kept is None or frame.pts - last_pts >= least_pts:
            if least_pts and index and frame.duration_pts <= 0:  # else it seems as long as sampled ones
                frame.duration_pts = frame.pts - before_pts
            kept, last_pts, before_pts = frame, frame.pts, frame.pts
            yield index, frame
        else:
            duration_pts = frame.duration_pts if frame.duration_pts > 0 else frame.pts - before_pts
            kept.duration_pts = frame.pts - last_pts + duration_pts
            before_pts = frame.pts
