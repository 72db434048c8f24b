"""Report R2's simple CNN (R2.2): two convolutions, no batch normalisation, one small layer.

The report gives no shapes; these are ours: 16 and 32 channels, 64 hidden units.  Pooling comes
before ReLU, as in `cnn`.
"""

from torch import nn


def simple_cnn(*, dropout: float = 0.0, channels: int = 16, hidden: int = 64) -> nn.Sequential:
    """conv c, pool, conv 2c, pool, fc hidden, fc 10; all convolutions 3x3."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 7 * 7, hidden), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(hidden, 10),
    )  # fmt: skip
