"""Report R4's network (R4.1): three blocks of conv, batch norm, pooling and rising dropout.

The report does not state the padding; here it keeps the size (28, 14, 7, 3).  The report's dropout
rates 0.2, 0.3, 0.4 and 0.5 are 0.4, 0.6, 0.8 and 1 times `dropout`: dropout 0.5 is the report's
network, and 0 turns all four off.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooling import MaxPool2x2


@network
def three_block_cnn(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 64,
    hidden: int = 128,
) -> nn.Sequential:
    """Blocks with c, 2c, 4c channels; fc hidden with batch norm; fc 10."""
    widths = (in_channels, channels, 2 * channels, 4 * channels)
    layers: list[nn.Module] = []
    for block, factor in enumerate((0.4, 0.6, 0.8)):
        layers += [
            nn.Conv2d(widths[block], widths[block + 1], 3, padding=1), nn.ReLU(),
            nn.BatchNorm2d(widths[block + 1]), MaxPool2x2(), nn.Dropout(factor * dropout),
        ]  # fmt: skip
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(widths[3] * 3 * 3, hidden), nn.ReLU(),
        nn.BatchNorm1d(hidden), nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )  # fmt: skip
