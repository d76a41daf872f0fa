"""Posture: what a body says by how it is held, instant by instant; the body branch of the published hybrids.

Filntisis et al., IEEE RA-L 4(4), 2019, and github.com/bernie6401/NTUST_Special_Topic: each instant's joints,
as seen from the middle of the hips and each hand's from its own wrist, scaled joint by joint to [0, 1], pass
one linear layer; the mean over time is normalised and classified. 36,871 parameters for the 67 joints of
OpenPose and 7 classes.

What the published code does, and this does not:

- The scaler was fitted on the test fold, or on training and test separately. Here it is fitted on the
  training part alone, before the first step, and from then on belongs to the weights.
- Scores were scaled as well, before the threshold of 0.1 was applied to them. Here the threshold is for the
  scores as they are, and unseen joints are set to zero after the scaling, which would bring them back.
- Padding went through the layer, whose bias leaked into the mean over time. Here an instant without a seen
  joint does not enter the mean. A joint counts as seen only where its centre was.

Letters in shapes: B samples, L instants, J joints, P joints that enter, F features, n classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from preprocessing.skeletons.layouts import Layout
from videofer.models.gesture import Normalization, normalize, seen_joints
from videofer.models.row_norm import RowNorm

FINGERS = ("hand_root", "thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


@dataclass(frozen=True)
class Part:
    """Joints that are seen from one place."""

    joints: tuple[int, ...]
    centre: tuple[int, ...]
    """Joints whose mean is that place."""


def parts_of(layout: Layout) -> tuple[Part, ...]:
    """The body, without the face's points, and the hands that the layout has, left first.

    ValueError where the layout does not say where the hips are, or the wrist of a hand.
    """
    body, hands = list[int](), {"left_": list[int](), "right_": list[int]()}
    for joint, name in enumerate(layout.anatomy):
        side = next((side for side in hands if name.startswith(side)), "")
        if side and name.removeprefix(side).startswith(FINGERS):
            hands[side].append(joint)
        elif not name.removeprefix(side).startswith("face_"):
            body.append(joint)
    parts = [Part(tuple(body), _first_of(layout, ("mid_hip",), ("left_hip", "right_hip")))]
    for side, joints in hands.items():
        if joints:
            centre = _first_of(layout, (f"{side}hand_root",), (f"{side}wrist",))
            parts.append(Part(tuple(joints), centre))
    return tuple(parts)


def _first_of(layout: Layout, *choices: tuple[str, ...]) -> tuple[int, ...]:
    for names in choices:
        if all(name in layout.place for name in names):
            return tuple(layout.place[name] for name in names)
    wanted = " or ".join(" and ".join(names) for names in choices)
    raise ValueError(f"the layout {layout.name} has no {wanted}, from where a posture is seen")


class PostureNet(nn.Module):
    """Joints of each instant to the features of a sample, and those to logits."""

    low: Tensor
    scale: Tensor

    def __init__(self, layout: Layout, num_classes: int, width: int = 256) -> None:
        super().__init__()
        self.parts = parts_of(layout)
        self.num_joints = sum(len(part.joints) for part in self.parts)  # P
        self.num_features = width
        self.embed = nn.Linear(2 * self.num_joints, width)
        self.normalization = RowNorm(width)
        self.head = nn.Linear(width, num_classes)
        self.register_buffer("low", torch.zeros(self.num_joints, 2))
        self.register_buffer("scale", torch.ones(self.num_joints, 2))

    def places(
        self, keypoints: Tensor, min_score: float, normalization: Normalization | None
    ) -> tuple[Tensor, Tensor]:
        """keypoints (B, L, J, 3) -> joints as seen from their centres (B, L, P, 2), and which there are.

        normalization: the unit of length is the side of the box of the whole "sequence", that of each
        "frame", or a pixel (None: as published, where all videos are of one camera).
        """
        seen = seen_joints(keypoints, min_score)
        xy = torch.where(seen[..., None], keypoints[..., :2], 0.0)
        if normalization is not None:
            xy = normalize(keypoints, seen, 2, normalization)  # one unit is the box's side
        places, there = [], []
        for part in self.parts:
            joints, centre = list(part.joints), list(part.centre)
            places.append(xy[:, :, joints] - xy[:, :, centre].mean(dim=2, keepdim=True))
            there.append(seen[:, :, joints] & seen[:, :, centre].all(dim=2, keepdim=True))
        return torch.cat(places, dim=2), torch.cat(there, dim=2)

    @torch.no_grad()
    def fit_on(self, places: Tensor, seen: Tensor) -> None:
        """Finds the scale of each joint: from the least to the largest place where it was seen.

        places (B, L, P, 2), seen (B, L, P): of training samples, and of no others. A joint that never moved,
        or never was seen, stays at zero. ValueError where none was seen at all.
        """
        if not bool(seen.any()):
            raise ValueError("no joint was seen together with the middle of the hips")
        low = places.masked_fill(~seen[..., None], torch.inf).amin(dim=(0, 1))  # (P, 2)
        span = places.masked_fill(~seen[..., None], -torch.inf).amax(dim=(0, 1)) - low
        moves = span > 0  # not of one that was never seen: minus infinity
        self.low.copy_(torch.where(moves, low, 0.0))
        self.scale.copy_(torch.where(moves, 1 / span, 0.0))

    def forward(self, places: Tensor, seen: Tensor) -> Tensor:
        """(B, L, P, 2), (B, L, P) bool, see `places` -> (B, F): the mean over instants with a seen joint."""
        scaled = torch.where(seen[..., None], (places - self.low) * self.scale, 0.0)
        embedded = self.embed(rearrange(scaled, "b l p xy -> b l (p xy)")).relu()
        counts = seen.any(dim=2)[..., None]  # (B, L, 1)
        total = torch.where(counts, embedded, 0.0).sum(dim=1)
        return total / counts.sum(dim=1).clamp(min=1)

    def classify(self, features: Tensor) -> Tensor:
        """(B, F) -> logits (B, n)."""
        return self.head(self.normalization(features))  # type: ignore[no-any-return]
