"""The model over the windows of one person in a stream, each window and each clip once.

As `videofer.timeline.windows`, but a few windows at a time, from what is remembered of the newest frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from videofer.data.sampling import NANOSECONDS, SamplePlan, plan, read_clips, read_keypoints
from videofer.live.fragments import LiveCrops, LiveTrack
from videofer.timeline.fuse import fuse_windows
from videofer.timeline.settings import TimelineSettings
from videofer.timeline.windows import CLIPS_PER_BATCH

if TYPE_CHECKING:
    from torch import Tensor

    from videofer.checkpoint import TrainedModel


@dataclass(frozen=True)
class _Said:
    """What the model says of one window."""

    start: float  # media seconds
    log_probs: dict[str, np.ndarray]  # head -> (n,) float64
    evidence: dict[str, float]  # head -> share of the window that was seen


class LiveWindows:
    """Windows on the grid of rows: window j begins at j * hop / steps_per_hop."""

    def __init__(self, model: TrainedModel, settings: TimelineSettings, crop_size: int) -> None:
        self._model, self._settings = model, settings
        self._crops = LiveCrops(crop_size)
        self._said: dict[int, _Said] = {}
        self._features: dict[tuple[int, ...], Tensor] = {}  # of a clip, by the frames in it
        self.used_until = -np.inf
        """Media seconds: frames before were looked at, as far as there were any."""

    def start(self, number: int) -> float:
        """Media seconds at which a window begins."""
        spec = self._model.spec
        return number * spec.hop_ns // self._settings.steps_per_hop / NANOSECONDS

    def covering(self, t_start: float, t_end: float) -> range:
        """Numbers of the windows that cover a moment of [t_start, t_end)."""
        per_second = self._settings.steps_per_hop / self._model.spec.hop_seconds
        first = int(np.floor((t_start - self._model.spec.window_seconds) * per_second)) + 1
        stop = int(np.ceil(t_end * per_second))
        while self.start(first - 1) + self._model.spec.window_seconds > t_start:
            first -= 1
        while self.start(stop - 1) >= t_end:
            stop -= 1
        return range(first, stop)

    def missing(self, numbers: range) -> list[int]:
        return [number for number in numbers if number not in self._said]

    def look(self, numbers: list[int], track: LiveTrack) -> None:
        """Run the model over these windows; the track covers all frames shown in them."""
        spec, model = self._model.spec, self._model
        plans = []
        for number in numbers:
            t0 = self.start(number)
            self.used_until = max(self.used_until, t0 + spec.window_seconds)
            t1 = t0 + spec.window_seconds if spec.sampling == "interval" else None
            plans.append(plan(track, t0, spec, t1=t1))
        empty = dict.fromkeys(model.heads, 0.0)
        seen = [n for n, one in enumerate(plans) if one.has_face or (spec.use_body and one.has_body)]
        for n in sorted(set(range(len(plans))) - set(seen)):
            nothing = np.full(len(model.labels), np.nan)
            self._said[numbers[n]] = _Said(plans[n].t_start, dict.fromkeys(model.heads, nothing), empty)
        if seen:
            self._predict([numbers[n] for n in seen], [plans[n] for n in seen], track)

    def fused(self, numbers: range, centres: np.ndarray) -> dict[str, np.ndarray]:
        """Head -> (R, n) for rows with these centres (R,), NaN where no window shows enough."""
        said = [self._said[number] for number in numbers]
        starts = np.array([one.start for one in said])
        return {
            head: fuse_windows(
                np.array([one.log_probs[head] for one in said]),
                starts,
                np.array([one.evidence[head] for one in said]),
                centres,
                self._model.spec.window_seconds,
                kernel=self._settings.kernel,
                pool=self._settings.pool,
            )
            for head in self._model.heads
        }

    def forget(self, *, before: int | None = None, covering: float | None = None) -> None:
        """Drop windows with lower numbers, or those that reach beyond a media time, which are wrong now."""
        spec = self._model.spec
        for number, said in list(self._said.items()):
            old = before is not None and number < before
            if old or (covering is not None and said.start + spec.window_seconds > covering):
                del self._said[number]
        if covering is not None:
            self.used_until = min(self.used_until, covering)

    def forget_clips(self, before_frame: int) -> None:
        """Drop the features of clips with older frames."""
        for frames in [frames for frames in self._features if frames[0] < before_frame]:
            del self._features[frames]

    def __len__(self) -> int:
        """Windows and clips that are remembered."""
        return len(self._said) + len(self._features)

    def _predict(self, numbers: list[int], plans: list[SamplePlan], track: LiveTrack) -> None:
        import torch

        spec, model = self._model.spec, self._model
        clip_mask = np.stack([one.clip_mask for one in plans])  # (W, C)
        has_body = np.array([spec.use_body and one.has_body for one in plans])  # (W,)
        batch: dict[str, Tensor] = {}
        if spec.use_face:
            batch["clip_features"] = self._clip_features(plans, track)
            batch["clip_mask"] = torch.from_numpy(clip_mask)
        if spec.use_body:
            keypoints = np.stack([read_keypoints(track, one.body_rows, spec) for one in plans])
            batch["keypoints"] = torch.from_numpy(keypoints)
            batch["body_mask"] = torch.from_numpy(has_body)
        calibrated = model.window_log_probs(batch)
        log_probs = {head: calibrated[head].double().cpu().numpy() for head in model.heads}
        face = clip_mask.mean(axis=1)
        body = np.array([one.body_valid.mean() for one in plans]) * has_body
        evidence = {"face": face, "body": body, "fused": np.maximum(face, body)}
        for n, number in enumerate(numbers):
            self._said[number] = _Said(
                plans[n].t_start,
                {head: log_probs[head][n] for head in model.heads},
                {head: float(evidence[head][n]) for head in model.heads},
            )

    def _clip_features(self, plans: list[SamplePlan], track: LiveTrack) -> Tensor:
        """(W, C, F) on the model's device; zero where a clip is masked."""
        import torch

        model = self._model
        clips: dict[tuple[int, ...], np.ndarray] = {}  # frames -> rows of the track
        for one in plans:
            for rows in one.rows[one.clip_mask]:
                clips[tuple((rows + track.first_frame).tolist())] = rows
        new = [frames for frames in clips if frames not in self._features]
        for first in range(0, len(new), CLIPS_PER_BATCH):
            part = new[first : first + CLIPS_PER_BATCH]
            crops = read_clips(self._crops, track, np.stack([clips[frames] for frames in part]), model.spec)
            self._features.update(zip(part, model.clip_features(torch.from_numpy(crops)), strict=True))
        zero = torch.zeros(model.num_features, device=model.device)
        features = [
            self._features[tuple((rows + track.first_frame).tolist())] if seen else zero
            for one in plans
            for rows, seen in zip(one.rows, one.clip_mask.tolist(), strict=True)
        ]
        return torch.stack(features).reshape(len(plans), -1, model.num_features)
