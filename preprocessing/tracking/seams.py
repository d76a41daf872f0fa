"""Joins the tracks of neighbouring segments: at a seam both neighbours have seen the same frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from preprocessing.tracking.association import box_iou
from preprocessing.tracking.evidence import SeamBox, SegmentEvidence, TrackKind

MIN_SEAM_IOU = 0.4  # mean over the frames that both neighbours saw; the same face gives about 0.9
OTHER_CLOTHES = 0.3  # 1 - similarity of the clothing of two who surely are not one

Key = tuple[int, TrackKind, int]
"""A local track within its video: (segment index, kind, local id)."""


def seam_pairs(before: SegmentEvidence, after: SegmentEvidence) -> list[tuple[Key, Key, float]]:
    """(track of the segment before, track of the segment after, mean IoU) that are one, each at most once.

    Pairs are of one kind, overlap by `MIN_SEAM_IOU` on average over the frames in which both were seen,
    and make the largest sum of overlaps. No pairs if the segments are not neighbours.
    """
    if after.index != before.index + 1:
        return []
    from scipy.optimize import linear_sum_assignment

    pairs: list[tuple[Key, Key, float]] = []
    kinds: tuple[TrackKind, ...] = ("face", "body")
    for kind in kinds:
        earlier, later = _by_track(before.tail, kind), _by_track(after.head, kind)
        if not earlier or not later:
            continue
        overlaps = [[_overlaps(a, b) for b in later.values()] for a in earlier.values()]
        means = np.array([[o.mean() if len(o) else 0.0 for o in row] for row in overlaps])  # (M, N)
        gain = np.where(means >= MIN_SEAM_IOU, [[o.sum() for o in row] for row in overlaps], 0.0)
        left, right = list(earlier), list(later)
        clothes_a, clothes_b = _clothes(before, kind), _clothes(after, kind)
        for m, a in enumerate(left):
            for n, b in enumerate(right):
                if _are_different(clothes_a.get(a, ()), clothes_b.get(b, ())):
                    gain[m, n] = 0.0
        for m, n in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
            if gain[m, n] > 0:
                first, second = (before.index, kind, left[m]), (after.index, kind, right[n])
                pairs.append((first, second, float(means[m, n])))
    return pairs


def _clothes(segment: SegmentEvidence, kind: TrackKind) -> dict[int, tuple[float, ...]]:
    """local id -> what is worn."""
    return {track.local_id: track.clothing for track in segment.tracks if track.kind == kind}


def _are_different(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two wear clearly different clothes: in a crowd boxes may lie in one place for a moment."""
    return len(a) == len(b) > 0 and float(np.dot(a, b)) < 1 - OTHER_CLOTHES


def _by_track(seam: Sequence[SeamBox], kind: TrackKind) -> dict[int, dict[int, SeamBox]]:
    """local id -> pts -> where it was."""
    tracks: dict[int, dict[int, SeamBox]] = defaultdict(dict)
    for seen in seam:
        if seen.kind == kind:
            tracks[seen.local_id][seen.pts] = seen
    return tracks


def _overlaps(a: dict[int, SeamBox], b: dict[int, SeamBox]) -> np.ndarray:
    """IoU in every frame that both have."""
    common = sorted(a.keys() & b.keys())
    if not common:
        return np.empty(0)
    boxes_a = np.array([a[pts].box_xyxy for pts in common])
    boxes_b = np.array([b[pts].box_xyxy for pts in common])
    return np.asarray(np.diagonal(box_iou(boxes_a, boxes_b)))
