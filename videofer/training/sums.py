"""Running sums of an epoch's figures, kept on the device so that adding to them waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Sums:
    """Adds up scalars by name, in float64; remembers the first batch whose loss or gradient was no number."""

    def __init__(self, sums: Mapping[str, float], device: torch.device) -> None:
        """sums: what to go on from, as from `read`; empty: from nothing."""
        self._names = list(sums)
        self._sums = torch.tensor(list(sums.values()), dtype=torch.float64, device=device)
        # Batch, loss, norm of the gradient; the batch is -1 while all were finite.
        self._non_finite = torch.tensor([-1.0, 0.0, 0.0], dtype=torch.float64, device=device)

    def add(self, values: Mapping[str, Tensor], batch: int, *, gradient_may_overflow: bool = False) -> None:
        """values: scalars, among them `total` and `gradient_norm`; the same names every time.

        gradient_may_overflow: with float16 it does now and then; that step is left out and counts as zero.
        """
        new = torch.stack(list(values.values())).double()
        loss, norm = values["total"].double(), values["gradient_norm"].double()
        if gradient_may_overflow:
            new, norm = torch.where(torch.isfinite(new), new, 0.0), torch.zeros_like(norm)
        if not self._names:
            self._names, self._sums = list(values), torch.zeros_like(new)
        self._sums += new
        is_fine = torch.isfinite(loss) & torch.isfinite(norm)
        here = torch.stack([torch.full_like(loss, batch), loss, norm])
        self._non_finite = torch.where(is_fine | (self._non_finite[0] >= 0), self._non_finite, here)

    def read(self) -> dict[str, float]:
        """The sums so far."""
        return dict(zip(self._names, self._sums.tolist(), strict=True))

    def first_non_finite(self) -> tuple[int, float, float] | None:
        """Batch, loss and norm of the gradient, where one was no number."""
        batch, loss, norm = self._non_finite.tolist()
        return None if batch < 0 else (int(batch), loss, norm)
