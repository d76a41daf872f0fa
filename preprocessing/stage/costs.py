"""What finished videos cost: sums, the slowest ones, and a sample from which later runs are planned."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

NUM_SLOWEST = 10
NUM_SAMPLED = 500  # bounds the report of a run over a million videos


@dataclass(frozen=True)
class VideoCost:
    """One finished video, over all its segments."""

    name: str
    media_seconds: float
    num_frames: int  # sampled
    num_segments: int
    num_bytes: int  # of the source; 0 if not known
    worker_seconds: float  # from handing out to reply, summed over segments
    stage_seconds: dict[str, float] = field(default_factory=dict)  # exclusive, see preprocessing.meter
    warning: str = ""  # the first one, e.g. that another decoder had to read it


@dataclass
class Costs:
    """The costs of one run, in bounded memory."""

    num_videos: int = 0
    num_segments: int = 0
    num_frames: int = 0
    num_bytes: int = 0
    media_seconds: float = 0.0
    worker_seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    num_with_warnings: int = 0  # videos
    first_warning: str = ""  # with the name of its video
    _slowest: list[tuple[float, int, VideoCost]] = field(default_factory=list)  # a heap
    _sample: list[VideoCost] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311  (a sample)

    def saw(self, cost: VideoCost) -> None:
        """Count one finished video."""
        self.num_videos += 1
        self.num_segments += cost.num_segments
        self.num_frames += cost.num_frames
        self.num_bytes += cost.num_bytes
        self.media_seconds += cost.media_seconds
        self.worker_seconds += cost.worker_seconds
        for stage, seconds in cost.stage_seconds.items():
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + seconds
        if cost.warning:
            self.num_with_warnings += 1
            self.first_warning = self.first_warning or f"{cost.name!r}: {cost.warning}"
        item = (cost.worker_seconds, self.num_videos, cost)
        push = heapq.heappush if len(self._slowest) < NUM_SLOWEST else heapq.heappushpop
        push(self._slowest, item)
        if len(self._sample) < NUM_SAMPLED:
            self._sample.append(cost)
        elif (place := self._random.randrange(self.num_videos)) < NUM_SAMPLED:  # each with the same chance
            self._sample[place] = cost

    @property
    def slowest(self) -> list[VideoCost]:
        """The videos that took most worker time, the slowest first."""
        return [cost for *_, cost in sorted(self._slowest, key=lambda item: (-item[0], item[1]))]

    @property
    def sample(self) -> list[VideoCost]:
        """At most NUM_SAMPLED videos, drawn with equal chances."""
        return list(self._sample)
