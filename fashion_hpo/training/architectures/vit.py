"""Report R0's vision transformer (R0.5; Dosovitskiy et al. 2021): 2,684,554 parameters.

Patches of 4x4, a class token initialised to zero, a learned position embedding for each of 50
tokens, width 192, six layers, and a linear head on the class token.  The report's dropout is 0.1.
The report does not state the number of heads, here three, as in other transformers of this width,
nor where the norms are, see `transformer`.
"""

import torch
from torch import Tensor, nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.transformer import (
    EncoderLayer,
    PatchEmbedding,
    initialise,
    position_embedding,
)


@network
def vit(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    patch: int = 4,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    mlp_ratio: int = 4,
) -> nn.Module:
    """`depth` layers over (28 / patch)² + 1 tokens."""
    return VisionTransformer(dropout, patch, width, depth, heads, mlp_ratio, in_channels, classes)


class VisionTransformer(nn.Module):
    """Images (N, channels, 28, 28) to logits (N, classes), from the class token."""

    def __init__(
        self,
        dropout: float,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: int,
        in_channels: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.embedding = PatchEmbedding(patch, width, in_channels)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = position_embedding(self.embedding.grid**2 + 1, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, mlp_ratio, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Embed, encode and classify the class token."""
        tokens = self.dropout(self.embed(images))
        for layer in self.layers:
            tokens = layer(tokens)
        logits: Tensor = self.head(self.norm(tokens[:, 0]))
        return logits

    def embed(self, images: Tensor) -> Tensor:
        """Images to tokens (N, 1 + patches, width), the class token first."""
        patches = self.embedding(images)
        first = self.class_token.expand(images.shape[0], -1, -1)
        return torch.cat([first, patches], 1) + self.position
