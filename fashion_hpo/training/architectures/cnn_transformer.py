"""A small hybrid of CNN and transformer; the survey in report R0 names such networks, no shapes.

This one follows Hassani et al. (2021): two convolutions with batch norm and pooling make 7x7
overlapping patches, two encoder layers mix them, and a linear head reads the mean token.  89,866
parameters.  Dropout as in the other transformers.
"""

from torch import nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.pooled_vit import PooledTransformer
from fashion_hpo.training.architectures.pooling import MaxPool2x2
from fashion_hpo.training.architectures.transformer import EncoderLayer, Tokens


@network
def cnn_transformer(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    channels: int = 32,
    depth: int = 2,
    heads: int = 4,
    mlp_ratio: int = 2,
) -> nn.Module:
    """conv c, pool, conv 2c, pool; `depth` layers over 49 tokens of width 2c."""
    width = 2 * channels
    convolutions = nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1), nn.BatchNorm2d(channels),
        MaxPool2x2(relu=True),
        nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), MaxPool2x2(relu=True),
        Tokens(),
    )  # fmt: skip
    layers = [EncoderLayer(width, heads, mlp_ratio, dropout) for _ in range(depth)]
    return PooledTransformer(convolutions, 7 * 7, width, layers, dropout, classes)
