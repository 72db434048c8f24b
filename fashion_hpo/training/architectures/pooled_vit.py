"""Report R1's small vision transformers without a class token (R1.8 to R1.10).

`vit_pooled`, 270,986 parameters: patches of 7x7, a learned position embedding for each cell of the
4x4 grid, four layers (the report's code has two), width 64, eight heads, MLP ratio 6, and a linear
head on the mean token (Beyer et al. 2022).  The report's dropout is 0.1.

`vit_depthwise`: each layer T becomes x → T(x) + DW(x), where DW is norm, GELU and a depthwise 3x3
convolution on the grid (Zhang et al. 2024).  The report does not specify the norm; here it is layer
norm, which does not depend on the batch.  274,058 parameters, 1.1 % more.

`vit_patch_free`: with 784 tokens, as in the report's text, a token is a linear function of one
pixel (317,066 parameters).  The default is that of the report's code, a 3x3 convolution with stride
2 (196 tokens, 279,946 parameters), whose attention costs a sixteenth.
"""

from collections.abc import Iterable
from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import gelu

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.transformer import (
    EncoderLayer,
    PatchEmbedding,
    Tokens,
    initialise,
    position_embedding,
)


@network
def vit_pooled(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    patch: int = 7,
    width: int = 64,
    depth: int = 4,
    heads: int = 8,
    mlp_ratio: int = 6,
) -> nn.Module:
    """`depth` layers over (28 / patch)² tokens."""
    embedding = PatchEmbedding(patch, width, in_channels)
    layers = [EncoderLayer(width, heads, mlp_ratio, dropout) for _ in range(depth)]
    return PooledTransformer(embedding, embedding.grid**2, width, layers, dropout, classes)


@network
def vit_depthwise(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    patch: int = 7,
    width: int = 64,
    depth: int = 4,
    heads: int = 8,
    mlp_ratio: int = 6,
) -> nn.Module:
    """`vit_pooled` with a depthwise convolution beside each layer."""
    embedding = PatchEmbedding(patch, width, in_channels)
    layers = [
        DepthwiseLayer(embedding.grid, width, heads, mlp_ratio, dropout) for _ in range(depth)
    ]
    return PooledTransformer(embedding, embedding.grid**2, width, layers, dropout, classes)


@network
def vit_patch_free(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    tokens: Literal[196, 784] = 196,
    width: int = 64,
    depth: int = 4,
    heads: int = 8,
    mlp_ratio: int = 6,
) -> nn.Module:
    """`vit_pooled` over pixels (784 tokens) or over a convolution with stride 2 (196)."""
    kernel, stride, padding = (1, 1, 0) if tokens == 784 else (3, 2, 1)
    embedding = nn.Sequential(nn.Conv2d(in_channels, width, kernel, stride, padding), Tokens())
    layers = [EncoderLayer(width, heads, mlp_ratio, dropout) for _ in range(depth)]
    return PooledTransformer(embedding, tokens, width, layers, dropout, classes)


class PooledTransformer(nn.Module):
    """Images (N, channels, 28, 28) to logits (N, classes), from the mean token.

    `embedding` maps images to tokens (N, tokens, width).
    """

    def __init__(
        self,
        embedding: nn.Module,
        tokens: int,
        width: int,
        layers: Iterable[nn.Module],
        dropout: float,
        classes: int,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.position = position_embedding(tokens, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Embed, encode and classify the mean token."""
        tokens = self.layers(self.dropout(self.embedding(images) + self.position))
        logits: Tensor = self.head(self.norm(tokens).mean(1))
        return logits


class DepthwiseLayer(EncoderLayer):
    """x to T(x) + DW(x), on a square grid of tokens."""

    def __init__(self, grid: int, width: int, heads: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__(width, heads, mlp_ratio, dropout)
        self.grid = grid
        self.norm = nn.LayerNorm(width)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, tokens: Tensor) -> Tensor:
        """The encoder layer plus the convolution."""
        planes = gelu(self.norm(tokens)).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        convolved: Tensor = self.depthwise(planes).flatten(2).transpose(1, 2)
        return super().forward(tokens) + convolved
