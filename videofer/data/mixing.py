"""Mixup and CutMix of a training batch, on its device: two pictures and two labels become one sample.

Mixup (Zhang et al., ICLR 2018) blends two pictures, CutMix (Yun et al., ICCV 2019) puts a rectangle of one
into the other; the label is divided as the pixels are. A sample's partner is the one after it in the batch,
the last one's is the first: batches are drawn anew in every epoch, so that is a random one. Whether and how a
sample is mixed is drawn from its own seed. Where several processes share a batch each needs but one sample of
the next process, and the result is that of one process with the whole batch.

Letters in shapes: B samples of this process, C clips, K frames a clip, S side in pixels, n classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from videofer.data.dataset import PADDING
from videofer.models import noise
from videofer.recipe import AugmentRecipe

_MIXED = ("frames", "clip_mask", "target", "weight")
_QUANTILES = 4096


class Mixer:
    """Mixes batches that `DeviceAugment` has changed. The faces only: a mixed body would be none."""

    def __init__(self, recipe: AugmentRecipe, *, rank: int, gather: Callable[[Tensor], Tensor]) -> None:
        """gather: joins equally many rows (B, ...) of all processes, the first process's first."""
        self.recipe, self.rank, self.gather = recipe, rank, gather
        # Of Beta distributions, which torch cannot invert.
        self._blend = None if not recipe.mixup else _beta_quantiles(recipe.mixup)
        self._cut = None if not recipe.cutmix else _beta_quantiles(recipe.cutmix)

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch with mixed `frames` (B, C, K, S, S, 3) float, `target` (B, n) and `weight` (B,).

        A sample stays as it is where its partner does not show the same clips. A collective call.
        """
        partner = self._partners(batch)
        draws = noise.uniform(batch["seed"], 5, noise.MIXING)
        choice, middle = draws.split_with_sizes([3, 2], dim=1)
        chosen, which, beta = choice.unbind(dim=1)  # (B,)
        is_mixed = (chosen < self.recipe.mix) & (partner["clip_mask"] == batch["clip_mask"]).all(dim=1)
        share = self._shares(batch["frames"].shape[3], which, beta, middle)  # of the partner, (B, S, S)
        share = share * is_mixed[:, None, None]
        frames = batch["frames"].lerp(partner["frames"], share[:, None, None, :, :, None])
        of_label = share.mean(dim=(1, 2))
        changed = dict(batch)
        if "landmark_mask" in batch:  # of one face or of two, landmarks are not those of what is seen
            changed["landmark_mask"] = batch["landmark_mask"] & ~is_mixed[:, None, None]
        return {
            **changed,
            "frames": frames,
            "target": batch["target"].lerp(partner["target"], of_label[:, None]),
            "weight": batch["weight"].lerp(partner["weight"], of_label),
        }

    def _shares(self, side: int, which: Tensor, beta: Tensor, middle: Tensor) -> Tensor:
        """Draws in [0, 1), (B,), (B,) and (B, 2) -> the partner's share of each pixel (B, S, S)."""
        found = []
        if self._blend is not None:
            found.append(_quantile(self._blend, beta)[:, None, None].expand(-1, side, side))
        if self._cut is not None:
            found.append(_rectangles(_quantile(self._cut, beta), middle, side))
        return torch.where((which < 0.5)[:, None, None], found[0], found[-1])

    def _partners(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is mixed of each sample's partner; padding is its own."""
        device = batch["example"].device
        is_real = batch["example"] != PADDING  # (B,); padding comes last, and the last processes have it
        is_last = is_real & ~torch.cat([is_real[1:], is_real.new_zeros(1)])
        here = torch.arange(len(is_real), device=device)
        place = torch.where(is_real, here + 1, here).masked_fill(is_last, len(here))
        num_parts = self.gather(is_real[:1].long()).sum()  # processes that have a sample
        following = (self.rank + 1) % num_parts.clamp(min=1)
        found = {}
        for name in _MIXED:
            first = self.gather(batch[name][:1]).index_select(0, following[None])
            found[name] = torch.cat([batch[name], first])[place]
        return found


def _beta_quantiles(parameter: float) -> Tensor:
    """(m,) float32: the inverse distribution function of Beta(parameter, parameter) at even distances."""
    from scipy.stats import beta

    values = beta.ppf(np.linspace(0, 1, _QUANTILES + 1), parameter, parameter)
    return torch.from_numpy(values.astype(np.float32))


def _quantile(table: Tensor, draws: Tensor) -> Tensor:
    """draws (B,) in [0, 1) -> (B,)."""
    table = table.to(draws.device, non_blocking=True)
    place = draws * _QUANTILES
    low = place.long()
    return table[low].lerp(table[low + 1], place - low)


def _rectangles(share: Tensor, middle: Tensor, side: int) -> Tensor:
    """share (B,) of the area, middle (B, 2) x, y, all in [0, 1] -> (B, S, S) float, one inside, zero outside.

    What lies beyond the picture is cut off, as published.
    """
    at = torch.arange(side, device=share.device) + 0.5
    extent = side * share.sqrt()[:, None, None]
    inside = (at - side * middle[..., None]).abs() < extent / 2  # (B, 2, S)
    return (inside[:, 1, :, None] & inside[:, 0, None, :]).float()
