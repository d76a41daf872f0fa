"""One process's place among those that train together, and what they do together: adding up and gathering
tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Place:
    """This process among those that train together. Picklable."""

    rank: int = 0
    num_processes: int = 1
    device: torch.device

    @property
    def is_first(self) -> bool:
        """The process that writes the run folder."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, without a gradient. A collective call: all make it, in one order."""
        if self.num_processes == 1:
            return values
        total = values.detach().clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    def gather(self, rows: Tensor) -> Tensor:
        """Rows (B, ...) of all processes, which have equally many, the first process's first; no gradient.

        A collective call, as `sum` is.
        """
        if self.num_processes == 1:
            return rows.detach()
        mine = rows.detach().contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.num_processes)]
        torch.distributed.all_gather(parts, mine)
        return torch.cat(parts)

    def sum_together(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors of one dtype by their sums over all processes, in a single collective call.

        One message for the gradients of all parameters costs little more than its bytes. Unlike the hooks of
        DDP it does not care which parameters a process has used.
        """
        if self.num_processes == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))  # into its own memory layout
