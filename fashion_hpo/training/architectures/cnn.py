"""Report R0's plain CNN (R0.1): two convolutions, two fully connected layers.

Departures: dropout before the last layer, for studies of dropout; at 0 the network is the report's,
with its 421,642 parameters.  Pooling comes before ReLU: the two commute, outputs and gradients are
the same, and ReLU has a quarter of the work.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooling import MaxPool2x2


@network
def cnn(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    hidden: int = 128,
    dilation: int = 1,
) -> nn.Sequential:
    """conv c, pool, conv 2c, pool, fc hidden, fc 10; 3x3 convolutions that keep the size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=dilation, dilation=dilation),
        MaxPool2x2(relu=True),
        nn.Conv2d(channels, 2 * channels, 3, padding=dilation, dilation=dilation),
        MaxPool2x2(relu=True), nn.Flatten(),
        nn.Linear(2 * channels * 7 * 7, hidden), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )  # fmt: skip
