"""Max pooling 2x2 whose training pass on a CPU needs no index of each maximum.

torch's own keeps a 64-bit index for each output and scatters by it, which in bfloat16 costs a
quarter of the plain CNN's training.  Here pairs of columns, then pairs of rows, are compared as
whole tensors, and what is kept is their difference.  Outputs and gradients are torch's to the bit,
ties included: of equals, the first in a row, then the first row.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class MaxPool2x2(nn.MaxPool2d):
    """torch's max pooling, window and stride 2; faster in training where its input allows it."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H // 2, W // 2)."""
        return _pool(images) if self.training and _is_paired(images) else super().forward(images)


def _is_paired(images: Tensor) -> bool:
    """On the CPU, all channels of a pixel side by side, and no row or column without a partner."""
    even = images.shape[2] % 2 == images.shape[3] % 2 == 0
    flat = images.is_contiguous(memory_format=torch.channels_last)
    return images.device.type == "cpu" and even and flat


def _pool(images: Tensor) -> Tensor:
    pooled: Tensor = _PairwiseMax.apply(images)
    return pooled


class _PairwiseMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        count, channels, height, width = images.shape
        columns = images.permute(0, 2, 3, 1).reshape(-1, 2, channels)
        flat, across = _greater(columns)
        rows = flat.view(-1, 2, width // 2 * channels)
        pooled, down = _greater(rows)
        ctx.save_for_backward(across, down)
        ctx.shape = (count, height, width, channels)
        return pooled.view(count, height // 2, width // 2, channels).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        across, down = ctx.saved_tensors
        rows = _shared(gradient.permute(0, 2, 3, 1).reshape(down.shape), down)
        columns = _shared(rows.view(across.shape), across)
        return columns.view(ctx.shape).permute(0, 3, 1, 2)


def _greater(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Of pairs (M, 2, K) the greater, and by how much the second is: both (M, K)."""
    first, second = pairs.unbind(1)
    return torch.maximum(first, second), second - first


def _shared(gradient: Tensor, lead: Tensor) -> Tensor:
    """The gradient (M, K) of each greater one as that of the pairs (M, 2, K)."""
    pairs = gradient.new_empty((len(gradient), 2, gradient.shape[1]))
    first, second = pairs.unbind(1)
    torch.ops.aten.threshold_backward.grad_input(gradient, lead, 0, grad_input=second)
    torch.sub(gradient, second, out=first)
    return pairs
