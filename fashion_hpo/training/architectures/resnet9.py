"""A small residual network for the search for the best model; in no report.

It follows Page's network for CIFAR-10 (2018, "How to Train Your ResNet"): convolutions that double
the channels and pool, two of them followed by a residual pair, then global max pooling.
Departures: three poolings, one fewer, for 28 pixels a side; 24 channels instead of 64, for two CPU
cores; unscaled logits; pooling before batch norm, which then has a quarter of the work.
"""

from torch import Tensor, nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooling import MaxPool2x2


@network
def resnet9(
    *, dropout: float = 0.0, in_channels: int = 1, classes: int = 10, channels: int = 24
) -> nn.Sequential:
    """conv c; conv 2c, pool, pair; conv 4c, pool; conv 8c, pool, pair; global max pool; fc 10."""
    c = channels
    return nn.Sequential(
        _convolution(in_channels, c),
        _convolution(c, 2 * c, pool=True), ResidualPair(2 * c),
        _convolution(2 * c, 4 * c, pool=True),
        _convolution(4 * c, 8 * c, pool=True), ResidualPair(8 * c),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8 * c, classes),
    )  # fmt: skip


class ResidualPair(nn.Module):
    """x to x + f(x) with two convolutions f."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(channels, channels), _convolution(channels, channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        summed: Tensor = features + self.residual(features)
        return summed


def _convolution(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
    if pool:
        layers.append(MaxPool2x2())
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.ReLU())
