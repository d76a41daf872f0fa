"""Run a model over the windows of one person's track, every clip through the trunk once.

Windows start on the grid of media time, `steps_per_hop` to a hop (window length / clips). What is in a window
comes from the sampler that training uses (`videofer.data.sampling.plan`); clips that consist of the same
frames, in whatever windows they occur, are the same clip and are read and computed once.

Letters in shapes: W windows, C clips, K frames a clip, L body instants, J joints, U distinct clips,
F features of a clip, n classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from videofer.data.sampling import (
    NANOSECONDS,
    CropReader,
    SamplePlan,
    SampleSpec,
    Track,
    plan,
    read_clips,
    read_keypoints,
)

if TYPE_CHECKING:
    from torch import Tensor

    from videofer.checkpoint import TrainedModel

CLIPS_PER_BATCH = 32
WINDOWS_PER_BATCH = 128


@dataclass(frozen=True)
class WindowPredictions:
    """What a model says of each window of a track, for each of its heads (face, body, fused)."""

    starts: np.ndarray  # (W,) float64 media seconds
    log_probs: dict[str, np.ndarray]  # head -> (W, n) float64, calibrated and normalised
    dimensions: dict[str, np.ndarray]  # head -> (W, d) float64 in [-1, 1], of a model that tells them
    evidence: dict[str, np.ndarray]  # head -> (W,) float64 in [0, 1]: the share of the window that was seen


def window_starts_ns(t_start: float, t_end: float, spec: SampleSpec, steps_per_hop: int = 1) -> np.ndarray:
    """Starts (W,) int64 nanoseconds of the grid windows that overlap [t_start, t_end); may be negative."""
    if steps_per_hop < 1:
        raise ValueError(f"steps_per_hop is {steps_per_hop}, must be at least 1")
    first = int((t_start - spec.window_seconds) * NANOSECONDS * steps_per_hop // spec.hop_ns)
    last = int(t_end * NANOSECONDS * steps_per_hop // spec.hop_ns) + 1
    # Whole hops are exact, so that windows at different steps share their clips.
    starts = np.arange(first, last + 1, dtype=np.int64) * spec.hop_ns // steps_per_hop
    length = round(spec.window_seconds * NANOSECONDS)
    inside = (starts < round(t_end * NANOSECONDS)) & (starts + length > round(t_start * NANOSECONDS))
    kept: np.ndarray = starts[inside]
    return kept


def plan_windows(
    track: Track, spec: SampleSpec, steps_per_hop: int = 1, *, still: bool = False
) -> list[SamplePlan]:
    """The sample of each window over the track, as training would plan it."""
    starts = window_starts_ns(float(track.t_start[0]), float(track.t_end[-1]), spec, steps_per_hop)
    plans = []
    for start in starts:
        t0 = int(start) / NANOSECONDS
        t1 = t0 + spec.window_seconds if spec.sampling == "interval" else None
        plans.append(plan(track, t0, spec, t1=t1, still=still))
    return plans


def predict_windows(
    model: TrainedModel,
    reader: CropReader,
    track: Track,
    *,
    steps_per_hop: int = 1,
    still: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> WindowPredictions:
    """Predictions of every window that overlaps the track. `on_progress` gets the share done, up to 1.

    still: the video is one picture.
    """
    import torch

    spec = model.spec
    plans = plan_windows(track, spec, steps_per_hop, still=still)
    report = on_progress or (lambda share: None)

    clip_mask = np.stack([one.clip_mask for one in plans])  # (W, C)
    has_body = np.array([spec.use_body and one.has_body for one in plans])  # (W,)
    features, clip_of = None, np.zeros(clip_mask.shape, dtype=np.int64)
    if spec.use_face:
        rows, inverse = np.unique(
            np.stack([one.rows for one in plans])[clip_mask], axis=0, return_inverse=True
        )  # (U, K)
        clip_of[clip_mask] = inverse.reshape(-1)
        features = clip_features(model, reader, track, rows, report)  # (U + 1, F), the last one is zero
        clip_of[~clip_mask] = len(rows)

    outputs: dict[str, list[np.ndarray]] = {head: [] for head in model.heads}
    told: dict[str, list[np.ndarray]] = {head: [] for head in model.heads if model.recipe.data.dimensions}
    for first in range(0, len(plans), WINDOWS_PER_BATCH):
        part = slice(first, first + WINDOWS_PER_BATCH)
        batch: dict[str, Tensor] = {}
        if features is not None:
            batch["clip_features"] = features[torch.from_numpy(clip_of[part]).to(features.device)]
            batch["clip_mask"] = torch.from_numpy(clip_mask[part])
        if spec.use_body:
            keypoints = np.stack([read_keypoints(track, one.body_rows, spec) for one in plans[part]])
            batch["keypoints"] = torch.from_numpy(keypoints)  # (B, L, J, 3)
            batch["body_mask"] = torch.from_numpy(has_body[part])
        calibrated, dimensions = model.window_answers(batch)
        for head, parts in outputs.items():
            parts.append(calibrated[head].double().cpu().numpy())
        for head, parts in told.items():
            parts.append(dimensions[head].double().cpu().numpy())
    report(1.0)

    face = clip_mask.mean(axis=1)
    body = np.array([one.body_valid.mean() for one in plans]) * has_body
    evidence = {"face": face, "body": body, "fused": np.maximum(face, body)}
    return WindowPredictions(
        starts=np.array([one.t_start for one in plans]),
        log_probs={head: np.concatenate(parts) for head, parts in outputs.items()},
        dimensions={head: np.concatenate(parts) for head, parts in told.items()},
        evidence={head: evidence[head] for head in outputs},
    )


def clip_features(
    model: TrainedModel,
    reader: CropReader,
    track: Track,
    rows: np.ndarray,
    report: Callable[[float], None] = lambda share: None,
) -> Tensor:
    """rows (U, K) of the track -> features (U + 1, F) on the model's device; the last row is zero."""
    import torch

    parts = []
    for first in range(0, len(rows), CLIPS_PER_BATCH):
        crops = read_clips(reader, track, rows[first : first + CLIPS_PER_BATCH], model.spec)
        parts.append(model.clip_features(torch.from_numpy(crops)))  # (N, K, S, S, 3) -> (N, F)
        report(0.95 * min(1.0, (first + CLIPS_PER_BATCH) / len(rows)))
    return torch.cat([*parts, torch.zeros(1, model.num_features, device=model.device)])
