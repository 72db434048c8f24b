"""Report R1's ResNet18 (R1.5 to R1.7), after He et al. (2016), for one grey channel.

Four stages of two basic blocks with c, 2c, 4c and 8c channels.  The report adapts the network "so
that small images survive" and gives no strides; here the stem is an option.  "imagenet": 7x7 with
stride 2 and max pooling; the stages have 7, 4, 2 and 1 pixels a side (11,175,370 parameters at
c = 64).  "small": 3x3 with stride 1 and no pooling, as published for CIFAR; 28, 14, 7 and 4 pixels
(11,172,810).  `resnet18_7x7` keeps 7 pixels a side in all stages, stride 1 after the ImageNet stem,
for the report's "minimum image resolution of 7x7 before flattening": with strides of 2 the last
stage has one pixel, around which a dilated convolution reads padding alone.

Departures: the report's figure says fewer kernels and its text says more, so `resnet18_narrow` has
half and `resnet18_wide` twice as many.  The report's dilation of 1 is an ordinary convolution;
the dilated networks have 2 by default, in every 3x3 convolution of the blocks, and the same
strides.  `dropout` comes before the last layer.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from fashion_hpo.training.architectures.catalogue import network

Stem = Literal["imagenet", "small"]


@network
def resnet18(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 64,
    stem: Stem = "imagenet",
) -> nn.Sequential:
    """Stem; two blocks each of c, 2c, 4c, 8c channels; global average pooling; fc 10."""
    return _resnet18(dropout, in_channels, classes, channels, stem, dilation=1)


@network
def resnet18_narrow(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    stem: Stem = "imagenet",
) -> nn.Sequential:
    """`resnet18` with half the channels."""
    return _resnet18(dropout, in_channels, classes, channels, stem, dilation=1)


@network
def resnet18_wide(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 128,
    stem: Stem = "imagenet",
) -> nn.Sequential:
    """`resnet18` with twice the channels."""
    return _resnet18(dropout, in_channels, classes, channels, stem, dilation=1)


@network
def resnet18_dilated(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 64,
    stem: Stem = "imagenet",
    dilation: Literal[1, 2] = 2,
) -> nn.Sequential:
    """`resnet18` with dilated blocks; at dilation 1 it is `resnet18`."""
    return _resnet18(dropout, in_channels, classes, channels, stem, dilation)


@network
def resnet18_7x7(
    *, dropout: float = 0.0, in_channels: int = 1, classes: int = 10, channels: int = 64
) -> nn.Sequential:
    """`resnet18` with stride 1 in all stages."""
    return _resnet18(dropout, in_channels, classes, channels, "imagenet", dilation=1, stride=1)


@network
def resnet18_7x7_dilated(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 64,
    dilation: Literal[1, 2] = 2,
) -> nn.Sequential:
    """`resnet18_7x7` with dilated blocks."""
    return _resnet18(dropout, in_channels, classes, channels, "imagenet", dilation, stride=1)


class BasicBlock(nn.Module):
    """x to relu(x + f(x)) with two 3x3 convolutions f; x is projected if its shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, dilation, dilation, bias=False),
            nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / stride, W / stride)."""
        return torch.relu(self.residual(features) + self.shortcut(features))


def _resnet18(
    dropout: float,
    in_channels: int,
    classes: int,
    channels: int,
    stem: Stem,
    dilation: int,
    stride: int = 2,
) -> nn.Sequential:
    """`stride`: of the first block of the second, third and fourth stage."""
    blocks: list[nn.Module] = []
    inputs = channels
    for stage in range(4):
        outputs = channels * 2**stage
        blocks.append(BasicBlock(inputs, outputs, 1 if stage == 0 else stride, dilation))
        blocks.append(BasicBlock(outputs, outputs, 1, dilation))
        inputs = outputs
    network = nn.Sequential(
        *_stem(stem, in_channels, channels), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(inputs, classes),
    )  # fmt: skip
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def _stem(stem: Stem, in_channels: int, channels: int) -> list[nn.Module]:
    norm = nn.BatchNorm2d(channels)
    if stem == "small":
        return [nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), norm, nn.ReLU()]
    first = nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)
    return [first, norm, nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)]
