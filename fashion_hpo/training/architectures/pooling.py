"""Max pooling 2x2, optionally with ReLU, that trains in place on a CPU.

torch's operator stores a 64-bit index for each output and scatters by it, which in bfloat16 takes a
quarter of the plain CNN's training time.  Here pairs of columns, then pairs of rows, are compared
as whole tensors.  The difference of each pair, whose sign says which value is greater, overwrites
the input, and so do the gradients in the backward pass: a training step is memory-bound, and fresh
memory is slow.  Outputs and gradients equal torch's to the bit.  Of equal values the first column,
then the first row, gets the gradient, as in torch.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

BITS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}
"""Integers of the same size: for positive numbers they are positive and have the same order."""


class MaxPool2x2(nn.MaxPool2d):
    """torch's max pooling, window and stride 2, and torch's ReLU if `relu`.

    In training on a CPU it overwrites an input that the network computed, which must have no other
    use.  There ReLU maps a NaN with negative sign to zero; evaluation keeps the NaN, so that a
    diverged training is recognised.
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
        """The arguments in the printed network."""
        return f"{super().extra_repr()}, relu={self.relu}"


def _is_paired(images: Tensor) -> bool:
    """Whether the images are channels-last, have even sides and were computed on the CPU."""
    even = images.shape[2] % 2 == images.shape[3] % 2 == 0
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    computed = images.device.type == "cpu" and images.dtype in BITS and images.grad_fn is not None
    return computed and even and channels_last


def _pool(images: Tensor, relu: bool) -> Tensor:
    pooled: Tensor = _PairwiseMax.apply(images, relu)
    return pooled


class _PairwiseMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, relu: bool) -> Tensor:
        count, channels, height, width = images.shape
        pixels = images.detach().permute(0, 2, 3, 1)
        if (
            relu
        ):  # values from 0 on keep their order as integers, which take half of bfloat16's time
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
    """The greater value of each pair, (M, K) of (M, 2, K); the second becomes second − first."""
    first, second = pairs.unbind(1)
    greater = torch.maximum(first, second)
    second.sub_(first)
    return greater


def _share(gradient: Tensor, pairs: Tensor) -> None:
    """Write the gradient (M, K) to the greater value of each pair (M, 2, K), and 0 to the other."""
    first, second = pairs.unbind(1)
    _where_positive(gradient, second, second)
    torch.bitwise_xor(
        gradient, second, out=first
    )  # 0 if second has the gradient, else the gradient


def _where_positive(gradient: Tensor, numbers: Tensor, out: Tensor) -> Tensor:
    """Write to `out` the gradient where the numbers, read as integers, are positive, else 0."""
    masked: Tensor = torch.ops.aten.threshold_backward.grad_input(
        gradient, numbers, 0, grad_input=out
    )
    return masked
