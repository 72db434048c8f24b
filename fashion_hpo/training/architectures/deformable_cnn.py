"""Report R0's deformable CNN (R0.3): the plain `cnn` with two modulated deformable convolutions.

Deformable convolution v2 (Zhu et al. 2019, eq. 1): y(p) = sum over taps k of
w_k · x(p + p_k + Δp_k) · Δm_k, where one convolution gives the 2·9 offsets Δp and another the 9
modulators Δm = 2·sigmoid(·).  Both start at zero, so that the network starts as the plain one, with
the same initial weights.  429,715 parameters.

Departures: the report has a penalty β·‖Δp‖² on the offsets, its code has none; here it is the
option `offset_penalty`, off by default.  From the paper, as in the report: the paper's modulators
are sigmoid(·), which start at 0.5; one convolution gives offsets and modulators; these learn at a
tenth of the rate; and the paper replaces convolutions of a ResNet's later stages, the report every
one, so that the first reads raw pixels.
"""

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, linear, pad

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.cnn import cnn


@network
def deformable_cnn(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    hidden: int = 128,
    offset_penalty: float = 0.0,
) -> nn.Sequential:
    """The layers of `cnn`; `offset_penalty` is β, in nats per squared pixel of offset."""
    if not 0 <= offset_penalty < math.inf:
        raise ValueError(
            f"architecture option offset_penalty is {offset_penalty!r}; allowed is 0 or more."
        )
    plain = cnn(
        dropout=dropout, in_channels=in_channels, classes=classes, channels=channels, hidden=hidden
    )
    layers = [DeformableConv2d(layer) if isinstance(layer, nn.Conv2d) else layer for layer in plain]
    if offset_penalty:
        return OffsetsPenalised(layers, offset_penalty)
    return nn.Sequential(*layers)


class DeformableConv2d(nn.Module):
    """A modulated deformable 3x3 convolution: (N, C, H, W) to (N, C', H, W)."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution
        self.offsets = _zero_conv(convolution.in_channels, 2 * 9)
        self.modulators = _zero_conv(convolution.in_channels, 9)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve at the offsets."""
        convolved, _ = self.with_offsets(images)
        return convolved

    def with_offsets(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve; returns also the offsets, float32 (N, 18, H, W)."""
        offsets = self.offsets(images).float()  # bfloat16 resolves an eighth of a pixel only
        modulators = 2 * torch.sigmoid(self.modulators(images).float())
        convolve = _torchvisions() if images.is_cuda else None
        weight, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        if convolve is None:
            return deform_conv2d(images, offsets, modulators, weight, bias), offsets
        return convolve(images, offsets, weight, bias, padding=1, mask=modulators), offsets


class OffsetsPenalised(nn.Sequential):
    """Layers, and a penalty on the offsets of the deformable convolutions among them.

    The penalty is β (`weight`) times the squared length of an image's offsets, mean over the batch.
    """

    def __init__(self, layers: Iterable[nn.Module], weight: float) -> None:
        super().__init__(*layers)
        self.weight = weight

    def penalised(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and penalty."""
        penalty = images.new_zeros(())
        for layer in self:
            if isinstance(layer, DeformableConv2d):
                images, offsets = layer.with_offsets(images)
                penalty = penalty + self.weight * offsets.square().flatten(1).sum(1).mean()
            else:
                images = layer(images)
        return images, penalty


def deform_conv2d(
    images: Tensor, offsets: Tensor, modulators: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """Modulated deformable 3x3 convolution, stride 1, padding 1, from torch's own operators.

    images (N, C, H, W); offsets (N, 18, H, W) in pixels, for each tap down and then right;
    modulators (N, 9, H, W); weight (C', C, 3, 3); bias (C',).  Returns (N, C', H, W); result and
    gradients equal those of `torchvision.ops.deform_conv2d`.  It is faster on the CPU, and its
    export needs no torchvision.
    """
    height, width = images.shape[2:]
    index, share = _neighbours(offsets, modulators, height, width)
    framed = pad(images.float(), (2, 2, 2, 2))  # pixels outside the image are zero
    read = _read(framed, index, share)
    return linear(read, weight.permute(0, 2, 3, 1).flatten(1), bias).permute(0, 3, 1, 2)


def _neighbours(
    offsets: Tensor, modulators: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """For each tap, the indices of its four neighbouring pixels in the framed image, and their
    bilinear weights times the modulator; both (N, H, W, 9, 4).

    The frame is two pixels wide.  Positions are clamped so that all neighbours are inside the
    frame; a clamped position reads zeros, as it would outside.
    """
    device = offsets.device
    down, right = offsets.permute(0, 2, 3, 1).unflatten(-1, (9, 2)).unbind(-1)
    tap = torch.arange(-1, 2, device=device)
    y = down + torch.arange(height, device=device).view(-1, 1, 1) + tap.repeat_interleave(3)
    x = right + torch.arange(width, device=device).view(-1, 1) + tap.repeat(3)
    y, x = y.clamp(-2, height), x.clamp(-2, width)
    top, left = y.floor(), x.floor()
    line = width + 4
    corner = ((top + 2) * line + left + 2).long()
    # the offsets of a diverging network are NaN; they must not cause an index error
    corner = corner.clamp(0, (height + 2) * line + width + 2)
    lower, righter = y - top, x - left
    rows = torch.stack((1 - lower, lower), -1) * modulators.permute(0, 2, 3, 1).unsqueeze(-1)
    columns = torch.stack((1 - righter, righter), -1)
    pair = torch.arange(2, device=device)
    share = (rows.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(-2)
    return corner.unsqueeze(-1) + (pair.view(-1, 1) * line + pair).flatten(), share


def _read(framed: Tensor, index: Tensor, share: Tensor) -> Tensor:
    """The interpolated values at the taps, (N, H, W, 9 · C), of images (N, C, H + 4, W + 4).

    `index` and `share` are the results of `_neighbours`.
    """
    if framed.shape[1] == 1:  # embedding_bag does not pay for a single channel
        grey = framed.flatten(1).gather(1, index.flatten(1)).view_as(share)
        return (grey * share).sum(-1)
    pixels = framed.permute(0, 2, 3, 1).flatten(1, 2)
    image = torch.arange(share.shape[0], device=index.device).view(-1, 1, 1, 1)
    if torch.compiler.is_exporting():  # slower, but no size or stride depends on images · pixels
        parts = [pixels[image, index[..., k]] * share[..., k].unsqueeze(-1) for k in range(4)]
        return (parts[0] + parts[1] + parts[2] + parts[3]).flatten(3)
    rows = index + (image * pixels.shape[1]).unsqueeze(-1)
    read = embedding_bag(
        rows.reshape(-1, 4), pixels.flatten(0, 1),
        per_sample_weights=share.reshape(-1, 4), mode="sum",
    )  # fmt: skip
    return read.view(*share.shape[:3], -1)


def _zero_conv(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


@cache
def _torchvisions() -> Any:
    """torchvision's operator, for GPUs; None if torchvision cannot be imported."""
    try:
        from torchvision.ops import deform_conv2d as operator
    except (ImportError, RuntimeError):  # absent, or built for another torch
        return None
    return operator
