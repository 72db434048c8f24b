"""Report R2's optimized CNN (R2.1): four convolutional blocks, then fully connected layers.

The report says "varying kernel sizes", batch norm and dropout in each block, and gives no shapes.
Here: 5x5 with 32 channels, then 3x3 with 64, 128 and 128; three poolings, the first before the wide
layers, so that two CPU cores train some thousand images a second.

Dropout in a block drops whole channels (Tompson et al. 2015): neighbouring pixels carry the same
information, so dropping single pixels hides little, and their masks took a quarter of the time.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooling import MaxPool2x2


@network
def optimized_cnn(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    hidden: int = 256,
) -> nn.Sequential:
    """Blocks of conv, batch norm, ReLU, (pool,) dropout with c, 2c, 4c, 4c channels; fc; fc 10."""
    c = channels
    return nn.Sequential(
        *_block(in_channels, c, 5, dropout, pool=True),
        *_block(c, 2 * c, 3, dropout, pool=True),
        *_block(2 * c, 4 * c, 3, dropout, pool=True),
        *_block(4 * c, 4 * c, 3, dropout, pool=False),
        nn.Flatten(),
        nn.Linear(4 * c * 3 * 3, hidden), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )  # fmt: skip


def _block(inputs: int, outputs: int, kernel: int, dropout: float, pool: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),  # batch norm has one
    ]
    if pool:
        layers.append(MaxPool2x2())  # before batch norm, which then has a quarter of the work
    return [*layers, nn.BatchNorm2d(outputs), nn.ReLU(), nn.Dropout2d(dropout)]
