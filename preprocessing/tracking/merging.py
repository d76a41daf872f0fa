"""Fragments of one person, put together by what they look like: after gaps, cuts and occlusion.

Conservative: two who are there at the same time are never merged, and a fragment that looks like two such
people is left alone.
"""

from __future__ import annotations

import numpy as np

from preprocessing.tracking.appearance import CLOTHING_SCALE, EMBEDDING_SCALE, FACE_SCALE, difference, unit
from preprocessing.tracking.strands import Group, Strand, meet

SAME_PERSON = 1.5  # difference up to which fragments with both clothing and face are merged
SAME_FACE = 1.2  # where only the face can be compared
SAME_CLOTHING = 0.3  # where only the clothing can be: many wear the same
MARGIN = 0.35  # by so much anybody else who may be meant must look more different
CLOTHING_ONLY_SECONDS = 10.0  # and not after longer than this: somebody else in such a coat will come
DOUBT = 0.3  # a merge at the limit takes so much off the certainty


Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of a group, sums over its looks: clothing below the face, clothing of the trunk, face. Empty: not seen."""


def merge_fragments(groups: list[Group], appearance: str) -> list[Group]:
    """Groups with the fragments of one person together. appearance: of the spec; "none" merges nothing."""
    if appearance == "none":
        return groups
    face_scale = EMBEDDING_SCALE if appearance.startswith("onnx:") else FACE_SCALE
    if len(groups) < 2:
        return groups
    groups = list(groups)
    looks = [_look_of(group) for group in groups]
    apart = np.array([[_are_apart(a, b) for b in groups] for a in groups], bool).reshape(len(groups), -1)
    unlike = np.full(apart.shape, np.inf)
    for i in range(len(groups)):
        for j in range(i):
            unlike[i, j] = unlike[j, i] = _unlike(groups[i], groups[j], looks[i], looks[j], face_scale)
    refused: set[tuple[Group, Group]] = set()
    while True:
        candidates = np.where(apart & (unlike <= 1.0), unlike, np.inf)
        for i, j in zip(*np.nonzero(np.isfinite(candidates)), strict=True):
            if (groups[i], groups[j]) in refused:
                candidates[i, j] = candidates[j, i] = np.inf
        if candidates.size == 0 or not np.isfinite(candidates.min()):
            return groups
        i, j = sorted(int(n) for n in np.unravel_index(candidates.argmin(), candidates.shape))
        if _is_ambiguous(i, j, unlike, apart):
            refused |= {(groups[i], groups[j]), (groups[j], groups[i])}
            continue
        certainty = min(groups[i].certainty, groups[j].certainty, 1.0 - DOUBT * float(unlike[i, j]))
        groups[i] = Group(groups[i].faces + groups[j].faces, groups[i].bodies + groups[j].bodies, certainty)
        looks[i] = _sum(looks[i], looks[j])
        apart[i] &= apart[j]
        apart[:, i] = apart[i]
        groups.pop(j)
        looks.pop(j)
        unlike = np.delete(np.delete(unlike, j, 0), j, 1)
        apart = np.delete(np.delete(apart, j, 0), j, 1)
        for k in range(len(groups)):
            if k != i:
                unlike[i, k] = unlike[k, i] = _unlike(groups[i], groups[k], looks[i], looks[k], face_scale)


def _is_ambiguous(i: int, j: int, unlike: np.ndarray, apart: np.ndarray) -> bool:
    """Whether somebody else, seen together with one of them, looks almost as much like the other."""
    for one, other in ((i, j), (j, i)):
        rivals = ~apart[other] & (np.arange(len(apart)) != other) & (np.arange(len(apart)) != one)
        rivals &= apart[one]
        if (unlike[one][rivals] < unlike[i, j] + MARGIN).any():
            return True
    return False


def _unlike(a: Group, b: Group, look_a: Parts, look_b: Parts, face_scale: float) -> float:
    """Difference of two groups in units of the limit that holds for what can be compared; inf if nothing."""
    parts_a, parts_b = [unit(part) for part in look_a], [unit(part) for part in look_b]
    value = difference(parts_a, parts_b, (CLOTHING_SCALE, CLOTHING_SCALE, face_scale))
    if value is None:
        return np.inf
    below, trunk, has_face = (len(x) > 0 and len(y) > 0 for x, y in zip(parts_a, parts_b, strict=True))
    if has_face and (below or trunk):
        return value / SAME_PERSON
    if has_face:
        return value / SAME_FACE
    return value / SAME_CLOTHING if _gap_seconds(a, b) <= CLOTHING_ONLY_SECONDS else np.inf


def _are_apart(a: Group, b: Group) -> bool:
    return a is not b and not any(meet(x, y) for x in a.strands for y in b.strands)


def _gap_seconds(a: Group, b: Group) -> float:
    """Shortest time between a strand of one and a strand of the other."""

    def times(strand: Strand) -> tuple[float, float]:
        tracks = strand.tracks.values()
        return min(t.t_start for t in tracks), max(t.t_end for t in tracks)

    gaps = []
    for x in a.strands:
        for y in b.strands:
            (x_start, x_end), (y_start, y_end) = times(x), times(y)
            gaps.append(max(x_start - y_end, y_start - x_end, 0.0))
    return min(gaps)


def _look_of(group: Group) -> Parts:
    total: Parts = (np.empty(0), np.empty(0), np.empty(0))
    for strand in group.strands:
        for track in strand.tracks.values():
            clothing = np.array(track.clothing) * track.num_descriptors
            face = np.array(track.face) * track.num_descriptors
            nothing = np.empty(0)
            here = (clothing, nothing) if strand.kind == "face" else (nothing, clothing)
            total = _sum(total, (*here, face))
    return total


def _sum(a: Parts, b: Parts) -> Parts:
    clothing, trunk, face = (
        x + y if len(x) == len(y) else (x if len(x) else y) for x, y in zip(a, b, strict=True)
    )
    return clothing, trunk, face
