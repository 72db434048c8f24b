"""Report R0's deformable CNN (R0.3): the plain `cnn`, both convolutions modulated deformable ones.

Deformable convolution v2 (Zhu et al. 2019, eq. 1): y(p) = sum over taps k of
w_k · x(p + p_k + Δp_k) · Δm_k, where one convolution gives the 2·9 offsets Δp and another the 9
modulators Δm = 2·sigmoid(·).  Both start at zero, so at first the network is the plain one, with
the same initial weights.  429,715 parameters.

Departures: the penalty β·‖Δp‖² on the offsets stands in the report and not in its code; here it is
the option `offset_penalty`, off by default.
"""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from fashion_hpo.training.architectures.cnn import cnn


def deformable_cnn(
    *, dropout: float = 0.0, channels: int = 32, hidden: int = 128, offset_penalty: float = 0.0
) -> nn.Sequential:
    """The layers of `cnn`; `offset_penalty` is β, in nats per squared pixel of offset."""
    if not 0 <= offset_penalty < math.inf:
        raise ValueError(
            f"architecture option offset_penalty is {offset_penalty!r}; allowed is 0 or more."
        )
    network = cnn(dropout=dropout, channels=channels, hidden=hidden)
    for place, layer in enumerate(network):
        if isinstance(layer, nn.Conv2d):
            network[place] = DeformableConv2d(layer, offset_penalty)
    return network


class DeformableConv2d(nn.Module):
    """A 3x3 convolution whose taps move: (N, C, H, W) to (N, C', H, W).

    `penalty`, a scalar tensor, is β times the squared length of an image's offsets, mean over the
    batch; the trainer adds it to the loss.  It is None but after a forward pass in training mode
    with a β above zero.
    """

    def __init__(self, convolution: nn.Conv2d, offset_penalty: float) -> None:
        super().__init__()
        self.convolution = convolution
        self.offsets = _from_zero(convolution.in_channels, 2 * 9)
        self.modulators = _from_zero(convolution.in_channels, 9)
        self.offset_penalty = offset_penalty
        self.penalty: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Convolve where the offsets lead; sets `penalty` in training mode."""
        offsets = self.offsets(images).float()  # bfloat16 knows a place to an eighth of a pixel
        modulators = 2 * torch.sigmoid(self.modulators(images).float())
        if self.training and self.offset_penalty:
            self.penalty = self.offset_penalty * offsets.square().flatten(1).sum(1).mean()
        convolve = _torchvisions() if images.is_cuda else None
        weight, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        if convolve is None:
            return deform_conv2d(images, offsets, modulators, weight, bias)
        convolved: Tensor = convolve(images, offsets, weight, bias, padding=1, mask=modulators)
        return convolved

    def train(self, mode: bool = True) -> "DeformableConv2d":
        """Forget the penalty of what was seen before."""
        self.penalty = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "penalty": None}  # a copy is no part of the graph


def deform_conv2d(
    images: Tensor, offsets: Tensor, modulators: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """Modulated deformable 3x3 convolution, stride 1, padding 1, of torch's own operators.

    images (N, C, H, W); offsets (N, 18, H, W) in pixels, for each tap down and then right;
    modulators (N, 9, H, W); weight (C', C, 3, 3); bias (C',).  Gives (N, C', H, W), equal, with its
    gradients, to `torchvision.ops.deform_conv2d`.  On the CPU it is the faster of the two, and it
    can be exported to a file that needs no torchvision.
    """
    count, channels, height, width = images.shape
    index, share = _neighbours(offsets, height, width)
    share = share * modulators.permute(0, 2, 3, 1).unsqueeze(-1)
    first = torch.arange(count, device=images.device) * (height * width)
    index = index + first.view(-1, 1, 1, 1, 1)
    pixels = images.float().permute(0, 2, 3, 1).reshape(-1, channels)
    read = embedding_bag(  # one sum over the four neighbours of each place
        index.reshape(-1, 4), pixels, per_sample_weights=share.reshape(-1, 4), mode="sum"
    )
    columns = read.view(-1, 9 * channels)
    kernel = weight.permute(2, 3, 1, 0).reshape(9 * channels, -1)
    outputs = torch.addmm(bias, columns, kernel)
    return outputs.view(count, height, width, -1).permute(0, 3, 1, 2)


def _neighbours(offsets: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The four pixels around each place, as numbers in the image, and their bilinear shares.

    Both (N, H, W, 9, 4).  A pixel outside the image has no share.
    """
    there = offsets.device
    down, right = offsets.permute(0, 2, 3, 1).unflatten(-1, (9, 2)).unbind(-1)
    tap = torch.arange(-1, 2, device=there)
    y = down + torch.arange(height, device=there).view(-1, 1, 1) + tap.repeat_interleave(3)
    x = right + torch.arange(width, device=there).view(-1, 1) + tap.repeat(3)
    top, left = y.floor(), x.floor()
    numbers, shares = [], []
    for row, of_row in ((top, top + 1 - y), (top + 1, y - top)):
        for column, of_column in ((left, left + 1 - x), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            shares.append(of_row * of_column * inside)
            # whole numbers first: a diverging network's offsets are none, and must not fail here
            rows, columns = row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)
            numbers.append(rows * width + columns)
    return torch.stack(numbers, -1), torch.stack(shares, -1)


def _from_zero(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


@cache
def _torchvisions() -> Any:
    """torchvision's operator, whose kernel is the faster on a GPU; None where there is none."""
    try:
        from torchvision.ops import deform_conv2d as operator
    except (ImportError, RuntimeError):  # absent, or built for another torch
        return None
    return operator
