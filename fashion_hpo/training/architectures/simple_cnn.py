"""Report R2's simple CNN (R2.2): two convolutions, no batch norm, one small hidden layer.

The report gives no shapes.  Here: 16 and 32 channels, 64 hidden units, in the layout of `cnn`.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.cnn import cnn


@network
def simple_cnn(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 16,
    hidden: int = 64,
) -> nn.Sequential:
    """conv c, pool, conv 2c, pool, fc hidden, fc 10; all convolutions 3x3."""
    return cnn(
        dropout=dropout, in_channels=in_channels, classes=classes, channels=channels, hidden=hidden
    )
