"""Report R1's VGG networks (R1.1 to R1.4), after Simonyan and Zisserman (2015).

Every convolution is 3x3 with batch norm and ReLU, two poolings leave 7x7 positions, and three fully
connected layers follow: 42,655,978 parameters (VGG8), 42,535,018 (depthwise-separable, Chollet
2017) and 223,062,802 (VGG12), the counts of the report's shapes.

`dropout` comes before each of the two wide layers; the report's rate is 0.2.  Departures: the
report does not say how much wider `vgg8_wide` is; here it has twice the channels.  Pooling comes
between batch norm and ReLU; pooling and ReLU commute.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooling import MaxPool2x2


@network
def vgg8(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    hidden: int = 4096,
) -> nn.Sequential:
    """Five convolutions of c, c, 2c, 2c, 4c channels; fc hidden twice; fc 10."""
    return _vgg8(dropout, in_channels, classes, channels, hidden, _plain)


@network
def vgg8_separable(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    hidden: int = 4096,
) -> nn.Sequential:
    """`vgg8` with depthwise-separable convolutions, except the first."""
    return _vgg8(dropout, in_channels, classes, channels, hidden, _separable)


@network
def vgg8_wide(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 64,
    hidden: int = 4096,
) -> nn.Sequential:
    """`vgg8` with twice the channels."""
    return _vgg8(dropout, in_channels, classes, channels, hidden, _plain)


@network
def vgg12(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 8,
    hidden: int = 4096,
) -> nn.Sequential:
    """Nine convolutions of c, c, 2c, 4c, ... 128c channels, depthwise-separable after the first."""
    widths = [channels, channels, *(channels * 2**power for power in range(1, 8))]
    return _vgg([in_channels, *widths], {3, 6}, _separable, dropout, classes, hidden)


Convolution = Callable[[int, int], list[nn.Module]]


def _vgg8(
    dropout: float,
    in_channels: int,
    classes: int,
    channels: int,
    hidden: int,
    convolution: Convolution,
) -> nn.Sequential:
    widths = [channels, channels, 2 * channels, 2 * channels, 4 * channels]
    return _vgg([in_channels, *widths], {2, 4}, convolution, dropout, classes, hidden)


def _vgg(
    widths: Sequence[int],
    pooled: set[int],
    convolution: Convolution,
    dropout: float,
    classes: int,
    hidden: int,
) -> nn.Sequential:
    """`pooled`: the two convolutions, counted from one, that pooling follows: 28x28 becomes 7x7."""
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        layers += _plain(inputs, outputs) if number == 1 else convolution(inputs, outputs)
        layers.append(nn.BatchNorm2d(outputs))
        layers.append(MaxPool2x2(relu=True) if number in pooled else nn.ReLU())
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(widths[-1] * 7 * 7, hidden), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, classes),
    )  # fmt: skip


def _plain(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1)]


def _separable(inputs: int, outputs: int) -> list[nn.Module]:
    """A depthwise 3x3 convolution, then a pointwise one."""
    return [nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), nn.Conv2d(inputs, outputs, 1)]
