"""Batch normalisation over the batch of all processes together, on CPUs (gloo) and GPUs (NCCL) alike.

torch.nn.SyncBatchNorm refuses CPUs. Here several processes normalise a batch as one process does with the
whole of it: outputs, gradients and running statistics agree up to rounding. A process may have no row at all.

Letters in shapes: N rows of this process, C channels, H W.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from videofer.models.arm import RunningMean


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose statistics in training are of all processes' rows.

    Forward and backward pass are collective calls: all processes make them, in the same order.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape; N may be 0."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        normalized: Tensor = _normalize(self, input)
        return normalized


class SyncRunningMean(RunningMean):
    """`RunningMean` of all processes' rows. A collective call in training."""

    def sum_and_count(self, rows: Tensor) -> Tensor:
        """(M, *shape) -> (1 + shape's size,) float32, of all processes together."""
        together = super().sum_and_count(rows)
        torch.distributed.all_reduce(together)
        return together


def synchronize_norms(model: nn.Module) -> None:
    """Replaces every nn.BatchNorm2d and RunningMean inside `model`. Parameters and buffers stay the same
    objects.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _synchronized(child))
            elif type(child) is RunningMean:
                running = SyncRunningMean(tuple(child.mean.shape))
                running.mean = child.mean
                setattr(module, name, running.train(child.training))
            else:
                batch_norms = nn.modules.batchnorm._BatchNorm
                assert not isinstance(child, batch_norms) or isinstance(child, SyncBatchNorm2d), type(child)


def _synchronized(norm: nn.BatchNorm2d) -> SyncBatchNorm2d:
    assert norm.affine and norm.track_running_stats and norm.momentum is not None
    synchronized = SyncBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    synchronized.weight, synchronized.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        synchronized.register_buffer(name, buffer)
    return synchronized.train(norm.training)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _normalize(norm: SyncBatchNorm2d, rows: Tensor) -> Tensor:
    mean, var, count = _joint_statistics(rows.detach())
    _follow(norm, mean, var, count)
    normalized: Tensor = _Normalize.apply(rows, norm.weight, norm.bias, mean, var, count, norm.eps)  # type: ignore[no-untyped-call]
    return normalized


def _joint_statistics(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """rows (N, C, H, W) -> mean (C,), biased variance (C,), count () of all processes, in float32.

    Each process contributes its exact first and second moments in float64: there the difference of two large
    squares loses nothing that float32 had.
    """
    count = rows.new_tensor(rows.numel() // rows.shape[1], dtype=torch.float64)
    mean = var = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    if rows.numel() > 0:
        mean, var = (part.double() for part in torch.batch_norm_update_stats(rows, None, None, 0.0))  # (C,)
    moments = torch.cat([count[None], count * mean, count * (var + mean.square())])  # (1 + 2C,)
    torch.distributed.all_reduce(moments)
    count, sums, squares = moments[0], *moments[1:].chunk(2)
    mean = sums / count.clamp(min=1)
    var = (squares / count.clamp(min=1) - mean.square()).clamp(min=0)
    return mean.float(), var.float(), count.float()


@torch.no_grad()
def _follow(norm: SyncBatchNorm2d, mean: Tensor, var: Tensor, count: Tensor) -> None:
    """Moves the running statistics as nn.BatchNorm2d does: by the unbiased variance; not where no row is."""
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None and norm.momentum is not None
    share = norm.momentum * (count > 0)
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(var * count / (count - 1).clamp(min=1), share)
    norm.num_batches_tracked.add_((count > 0).long())


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(rows, weight, mean, var, count)
        ctx.eps = eps
        if rows.numel() == 0:
            return torch.empty_like(rows)
        return F.batch_norm(rows, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, mean, var, count = ctx.saved_tensors
        if rows.numel() > 0:
            # As in evaluation, where the statistics are constants; what is missing for them follows below.
            grad_rows, grad_weight, grad_bias = torch.ops.aten.native_batch_norm_backward(
                grad, rows, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
            )
        else:
            grad_rows, grad_weight, grad_bias = map(torch.zeros_like, (rows, weight, weight))
        joint = torch.stack([grad_bias, grad_weight])  # (2, C): of grad, of grad * normalised rows
        torch.distributed.all_reduce(joint)
        mean_grad, mean_dot = joint / count.clamp(min=1)
        # d rows = weight * invstd * (grad - mean_grad - (rows - mean) * invstd * mean_dot)
        invstd = (var + ctx.eps).rsqrt()  # (C,)
        slope = -weight * invstd * mean_dot * invstd
        offset = -weight * invstd * mean_grad - slope * mean
        channels = (None, slice(None), None, None)  # (C,) -> (1, C, 1, 1)
        through_statistics = torch.addcmul(offset[channels], rows, slope[channels])
        return grad_rows.add_(through_statistics), grad_weight, grad_bias, None, None, None, None
