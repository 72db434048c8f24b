"""A small residual network, of no report: ours, for the search for the best model.

After the network of eight convolutions with which Page (2018, "How to Train Your ResNet") trained
CIFAR-10 in seconds: convolutions that double the channels and pool, two of them followed by a
residual pair, then the highest value of each channel over the places.  Departures: an extra
pooling is left out, because 28 pixels a side allow three; 24 channels rather than 64, for two CPU
cores; and the logits are not scaled.  Pooling comes before the norm, which then has a quarter to
do.
"""

from torch import Tensor, nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooling import MaxPool2x2


@network
def resnet9(*, dropout: float = 0.0, channels: int = 24) -> nn.Sequential:
    """conv c; conv 2c, pool, pair; conv 4c, pool; conv 8c, pool, pair; highest value; fc 10."""
    c = channels
    return nn.Sequential(
        _convolution(1, c),
        _convolution(c, 2 * c, pool=True), ResidualPair(2 * c),
        _convolution(2 * c, 4 * c, pool=True),
        _convolution(4 * c, 8 * c, pool=True), ResidualPair(8 * c),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8 * c, 10),
    )  # fmt: skip


class ResidualPair(nn.Module):
    """x to x + f(x), f two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(channels, channels), _convolution(channels, channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        added: Tensor = features + self.residual(features)
        return added


def _convolution(inputs: int, outputs: int, pool: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)]
    if pool:
        layers.append(MaxPool2x2())
    return nn.Sequential(*layers, nn.BatchNorm2d(outputs), nn.ReLU())
