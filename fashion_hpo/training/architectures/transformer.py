"""Parts of the vision transformers (Dosovitskiy et al. 2021): encoder layer and patch embedding.

The reports do not state where the layer norms are.  Here they come before attention and MLP, and
once at the end, which gives exactly the derived parameter count of R0's network.  Dropout follows
the embedding, attention's output and both layers of the MLP; attention weights have no dropout.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

SIDE = 28  # pixels of an image's side

FEW_TOKENS = 128
"""Up to this many tokens, attention in bfloat16 on the CPU is written out: at 50 tokens torch's
operator takes eight times as long in the backward pass.  At 196, writing out needs much memory."""


class EncoderLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): (N, tokens, width) to the same."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.LayerNorm(width), SelfAttention(width, heads), nn.Dropout(dropout)
        )
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(mlp_ratio * width, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> Tensor:
        """Attention, then MLP."""
        attended: Tensor = tokens + self.attention(tokens)
        encoded: Tensor = attended + self.mlp(attended)
        return encoded


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017): (N, tokens, width) to the same.

    Raises ValueError if the number of heads does not divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"architecture option heads is {heads}, which does not divide the width, {width}; "
                f"choose one of {', '.join(map(str, _divisors(width)))}."
            )
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend with all heads and project."""
        joint = self.queries_keys_values(tokens).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = joint.permute(2, 0, 3, 1, 4).unbind(0)  # (N, heads, tokens, ·)
        mixed = attend(queries, keys, values)
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return joined


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(q · kᵀ / √d) · v; all tensors (N, heads, tokens, d)."""
    few = queries.shape[-2] <= FEW_TOKENS
    if few and queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        scores = queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5
        mixed: Tensor = scores.softmax(-1).to(values.dtype) @ values
        return mixed
    return scaled_dot_product_attention(queries, keys, values)


class PatchEmbedding(nn.Module):
    """Images (N, channels, 28, 28) to tokens (N, (28 / patch)², width), row by row.

    Raises ValueError if the patch size does not divide the image's side.
    """

    def __init__(self, patch: int, width: int, in_channels: int) -> None:
        super().__init__()
        if SIDE % patch:
            raise ValueError(
                f"architecture option patch is {patch}, which does not divide the image's side, "
                f"{SIDE}; choose one of {', '.join(map(str, _divisors(SIDE)))}."
            )
        self.grid = SIDE // patch
        self.projection = nn.Conv2d(in_channels, width, patch, stride=patch)
        self.tokens = Tokens()

    def forward(self, images: Tensor) -> Tensor:
        """Project each patch."""
        tokens: Tensor = self.tokens(self.projection(images))
        return tokens


class Tokens(nn.Module):
    """Feature maps (N, width, H, W) to tokens (N, H · W, width), row by row."""

    def forward(self, features: Tensor) -> Tensor:
        """Flatten the positions and put the channels last."""
        return features.flatten(2).transpose(1, 2)


def position_embedding(tokens: int, width: int) -> nn.Parameter:
    """A learned embedding of each position, (1, tokens, width)."""
    embedding = nn.Parameter(torch.empty(1, tokens, width))
    nn.init.trunc_normal_(embedding, std=0.02)
    return embedding


def initialise(network: nn.Module) -> None:
    """Initialise linear layers from a truncated normal, std 0.02, as in Touvron et al. (2021)."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
