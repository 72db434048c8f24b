"""The dilated CNN of report R0's code (R0.8; Yu and Koltun 2016): the plain `cnn` with dilation.

The report does not state the dilation.  Here it is 2 in both convolutions, and padding keeps the
size, so that the network has the plain one's 421,642 parameters.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.cnn import cnn


@network
def dilated_cnn(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    hidden: int = 128,
    dilation: int = 2,
) -> nn.Sequential:
    """conv c, pool, conv 2c, pool, fc hidden, fc 10; 3x3 convolutions with `dilation`."""
    return cnn(
        dropout=dropout,
        in_channels=in_channels,
        classes=classes,
        channels=channels,
        hidden=hidden,
        dilation=dilation,
    )
