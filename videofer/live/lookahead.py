"""How far each stage of a stream looks ahead, and the fixed lag of its rows that follows.

A row of a timeline is emitted when the stream has come `lag_seconds` beyond the end of the row's place on the
grid: half a window, plus the longest interval of face detection, plus 1 s. What the stages need must fit:

faces      a frame is settled once it can no longer be interpolated or smoothed otherwise
windows    a row is fused from all windows over it, the last of which begins in the row
smoothing  a row depends on later rows that begin before its end + the smoothing's lag, and on their windows

Smoothing gets what is left, up to 0.5 s, unless the settings say how much it wants. Where more is wanted than
fits (long windows, slow video) the lag is as long as is needed, and never shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from preprocessing.spec import PreprocessSpec
from preprocessing.types import Probe
from videofer.data.sampling import SampleSpec
from videofer.timeline.settings import TimelineSettings

EXTRA_SECONDS = 1.0
MOST_SMOOTHING_SECONDS = 0.5  # more look-ahead hardly changes a row
USUAL_FPS = 25.0  # of a stream that does not say its rate


@dataclass(frozen=True)
class LookAhead:
    """Media seconds. The stages' add up to at most `lag_seconds`."""

    faces: float  # of the followers of faces and bodies, one frame included
    identity: float  # how long somebody must be seen to be a person; within the lag where it fits
    windows: float  # from the end of a row to the end of its last window
    smoothing: float  # what `smoothing.lag_seconds` an offline timeline needs to have the same rows
    lag_seconds: float

    @property
    def needed_seconds(self) -> float:
        """What must fit into the lag for a row to be final."""
        return self.faces + self.windows + self.smoothing


def look_ahead(
    spec: PreprocessSpec,
    follower_seconds: float,
    facts: Probe,
    sample: SampleSpec,
    settings: TimelineSettings,
) -> LookAhead:
    """The look-ahead of every stage. follower_seconds: of the followers, as `LivePass` says."""
    hop = sample.hop_seconds / settings.steps_per_hop
    fps = min(facts.average_fps or USUAL_FPS, spec.max_fps)
    faces = follower_seconds + 1.0 / fps
    windows = sample.window_seconds - hop
    lag = sample.window_seconds / 2 + spec.detect_longest_seconds + EXTRA_SECONDS
    smoothing = settings.smoothing.lag_seconds
    if settings.smoothing.method == "none":
        smoothing = 0.0
    if smoothing is None:
        left = lag - faces - windows - spec.min_track_seconds
        num_rows = math.floor(min(max(left, 0.0), MOST_SMOOTHING_SECONDS) / hop + 1e-6)
        smoothing = round(num_rows * hop, 9)
    rows_ahead = math.ceil(smoothing / hop - 1e-6) * hop  # rows are looked at as a whole
    found = LookAhead(
        faces=faces,
        identity=spec.min_track_seconds,
        windows=windows,
        smoothing=smoothing,
        lag_seconds=max(lag, faces + windows + rows_ahead),
    )
    assert found.needed_seconds <= found.lag_seconds + 1e-9, found
    return found
