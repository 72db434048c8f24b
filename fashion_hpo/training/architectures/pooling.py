"""Max pooling 2x2, alone or with the ReLU after it, whose training pass on a CPU works in place.

torch's own keeps a 64-bit index for each output and scatters by it, which in bfloat16 costs a
quarter of the plain CNN's training.  Here pairs of columns, then pairs of rows, are compared as
whole tensors.  The memory of the images takes the differences that tell which of a pair is greater,
and on the way back the gradients: a network's step is bound by memory, and new memory is slow.
Outputs and gradients are torch's to the bit, ties included: of equals, the first in a row, then the
first row.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}
"""Integers of the same bits: positive where the number is, and in the same order there."""


class MaxPool2x2(nn.MaxPool2d):
    """torch's max pooling, window and stride 2, and torch's ReLU if asked for.

    In training on a CPU it overwrites its input, which must have no other use; one that the network
    did not compute is left as it is.  There a ReLU takes a NaN of negative sign for a zero;
    evaluation, from which a diverged training is known, keeps it.
    """

    def __init__(self, *, relu: bool = False) -> None:
        super().__init__(2)
        self.relu = relu

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H // 2, W // 2)."""
        if self.training and _is_paired(images):
            return _pool(images, self.relu)
        pooled: Tensor = super().forward(images)
        return pooled.relu() if self.relu else pooled

    def extra_repr(self) -> str:
        """What printing the network shows."""
        return f"{super().extra_repr()}, relu={self.relu}"


def _is_paired(images: Tensor) -> bool:
    """Computed on the CPU, all channels of a pixel side by side, no row or column without a
    partner."""
    even = images.shape[2] % 2 == images.shape[3] % 2 == 0
    flat = images.is_contiguous(memory_format=torch.channels_last)
    computed = images.device.type == "cpu" and images.dtype in BITS and images.grad_fn is not None
    return computed and even and flat


def _pool(images: Tensor, relu: bool) -> Tensor:
    pooled: Tensor = _PairwiseMax.apply(images, relu)
    return pooled


class _PairwiseMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, relu: bool) -> Tensor:
        count, channels, height, width = images.shape
        pixels = images.detach().permute(0, 2, 3, 1)
        if relu:  # what is left is in order as integers, which take half of bfloat16's time
            pixels = pixels.view(BITS[images.dtype]).clamp_(0)
        columns = pixels.view(-1, 2, channels)
        rows = _greater(columns).view(-1, 2, width // 2 * channels)
        pooled = _greater(rows).view(images.dtype).view(count, height // 2, width // 2, channels)
        ctx.save_for_backward(columns, rows, pooled if relu else None)
        ctx.shape = (count, height, width, channels)
        return pooled.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        columns, rows, pooled = ctx.saved_tensors
        bits = BITS[gradient.dtype]
        shared = gradient.permute(0, 2, 3, 1).reshape(len(rows), -1).view(bits)
        if pooled is not None:
            numbers = pooled.view(bits).view(shared.shape)
            shared = _where_positive(shared, numbers, torch.empty_like(shared))
        for pairs in (rows.view(bits), columns.view(bits)):
            _share(shared.view(len(pairs), -1), pairs)
            shared = pairs
        return shared.view(gradient.dtype).view(ctx.shape).permute(0, 3, 1, 2), None


def _greater(pairs: Tensor) -> Tensor:
    """Of pairs (M, 2, K) the greater, (M, K); each second becomes by how much it is greater."""
    first, second = pairs.unbind(1)
    greater = torch.maximum(first, second)
    second.sub_(first)
    return greater


def _share(gradient: Tensor, pairs: Tensor) -> None:
    """Put the gradient (M, K) of each greater one where it was in the pairs (M, 2, K), else 0."""
    first, second = pairs.unbind(1)
    _where_positive(gradient, second, second)
    torch.bitwise_xor(gradient, second, out=first)  # the gradient or 0, whichever second is not


def _where_positive(gradient: Tensor, numbers: Tensor, out: Tensor) -> Tensor:
    """Into `out`, the gradient where the numbers, read as integers, are positive, else 0."""
    found: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, numbers, 0, grad_input=out
    )
    return found
