"""Where a box is expected next: a filter of constant velocity on its centre, after real times."""

from __future__ import annotations

import numpy as np

MEMORY_SECONDS = 0.25  # over which a velocity is averaged
COAST_SECONDS = 0.5  # an unseen box slows down over about so long: people behind people often stop


class Motion:
    """An alpha-beta filter: a Kalman filter of constant velocity in its steady state."""

    def __init__(self, box_xyxy: np.ndarray, seconds: float) -> None:
        self.box = np.asarray(box_xyxy, np.float64)  # where it was last seen
        self.seconds = seconds
        self._velocity: np.ndarray | None = None  # (2,) pixels a second

    @property
    def velocity(self) -> np.ndarray:
        """(2,) pixels a second of the centre."""
        return self._velocity if self._velocity is not None else np.zeros(2)

    def expected(self, seconds: float) -> np.ndarray:
        """(4,) where the box should be at a later time."""
        reach = COAST_SECONDS * (1 - np.exp(-(seconds - self.seconds) / COAST_SECONDS))
        return np.asarray(self.box + np.tile(self.velocity * reach, 2))

    def see(self, box_xyxy: np.ndarray, seconds: float, *, broken: bool = False) -> None:
        """The box was found here. broken: after so long a loss that the way between says nothing."""
        box = np.asarray(box_xyxy, np.float64)
        elapsed = max(seconds - self.seconds, 1e-6)
        moved = (box[:2] + box[2:] - self.box[:2] - self.box[2:]) / 2
        if broken:
            self._velocity = None
        elif self._velocity is None:
            self._velocity = moved / elapsed
        else:
            gain = 1 - np.exp(-elapsed / MEMORY_SECONDS)
            self._velocity = self._velocity + gain * (moved / elapsed - self._velocity)
        self.box, self.seconds = box, seconds
