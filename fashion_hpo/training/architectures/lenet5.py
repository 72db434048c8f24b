"""LeNet-5 (LeCun et al. 1998), a baseline for claim R4.c: 61,706 parameters.

The usual departures: average pooling without weights, a second convolution over all six channels,
and a linear last layer, for cross entropy, instead of radial basis functions.  `dropout` comes
before the last layer; the original has none.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network


@network
def lenet5(*, dropout: float = 0.0, in_channels: int = 1, classes: int = 10) -> nn.Sequential:
    """conv 5x5 6, pool, conv 5x5 16, pool, fc 120, fc 84, fc 10; tanh."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Tanh(),
        nn.Linear(120, 84), nn.Tanh(), nn.Dropout(dropout),
        nn.Linear(84, classes),
    )  # fmt: skip
