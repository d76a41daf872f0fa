"""How far the stage is: plain sums that the driver keeps and others show."""

from __future__ import annotations

from dataclasses import dataclass, field

from preprocessing.stage.costs import Costs


@dataclass
class Totals:
    """Sums of one run. Videos count once, however many segments they have."""

    num_jobs: int  # distinct contents
    num_done: int = 0
    num_failed: int = 0
    num_frames: int = 0
    media_seconds: float = 0.0
    media_seconds_under_way: float = 0.0  # of what workers are at: told every few seconds
    num_segments: int = 0  # known by now; a video that is not cut has one
    num_segments_done: int = 0
    num_bytes: int = 0  # of all jobs' files
    num_bytes_done: int = 0
    bytes_written: int = 0  # sealed shards
    num_workers_lost: int = 0
    costs: Costs = field(default_factory=Costs)  # of committed videos
