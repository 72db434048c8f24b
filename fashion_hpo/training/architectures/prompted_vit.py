"""Report R0's visual prompt tuning (R0.6, R0.7; Jia et al. 2022) of its vision transformer.

The transformer is frozen.  Trained are a new head and prompts: tokens between the class token and
the patches.  Shallow: 50 prompts at the input pass through all layers (11,530 trainable
parameters).  Deep: every layer replaces the previous layer's prompts by 20 of its own (24,970).

The report does not state what its backbone was trained on.  Here the option `backbone` is "random",
a frozen initialisation from the seed, the likely reading; or the name of a trained `vit`, which the
caller resolves to a file of weights ("models:/NAME@champion", "trial:UID", or "imagenet", see
`imagenet_vit`).

Departures: dropout acts on the prompts and before the head.  The frozen layers have none, so that
the features the prompts work on do not vary.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fashion_hpo.training.architectures.catalogue import network
from fashion_hpo.training.architectures.imagenet_vit import IMAGENET, OPTIONS
from fashion_hpo.training.architectures.pretrained import load_into
from fashion_hpo.training.architectures.vit import VisionTransformer

TRIAL = "trial:"
NAMES = ("models:/", TRIAL)
"""Prefixes of the names of trained backbones."""


@network
def vit_shallow_prompts(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    prompts: int = 50,
    backbone: str = "random",
    patch: int = 4,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    mlp_ratio: int = 4,
) -> nn.Module:
    """`prompts` at the input; the other options are those of the backbone, a `vit`."""
    _check_backbone(backbone, patch, width, depth, heads, mlp_ratio)
    return PromptedTransformer(
        1, prompts, dropout, patch, width, depth, heads, mlp_ratio, in_channels, classes
    )


@network
def vit_deep_prompts(
    *,
    dropout: float = 0.0,
    in_channels: int = 1,
    classes: int = 10,
    prompts: int = 20,
    backbone: str = "random",
    patch: int = 4,
    width: int = 192,
    depth: int = 6,
    heads: int = 3,
    mlp_ratio: int = 4,
) -> nn.Module:
    """`prompts` at every layer; the other options are those of the backbone, a `vit`."""
    _check_backbone(backbone, patch, width, depth, heads, mlp_ratio)
    return PromptedTransformer(
        depth, prompts, dropout, patch, width, depth, heads, mlp_ratio, in_channels, classes
    )


class PromptedTransformer(VisionTransformer):
    """A frozen `VisionTransformer` with a trainable head and trainable prompts.

    Each of the first `places` layers gets `prompts` tokens; they stay until a layer replaces them.
    """

    def __init__(
        self,
        places: int,
        prompts: int,
        dropout: float,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: int,
        in_channels: int,
        classes: int,
    ) -> None:
        super().__init__(0.0, patch, width, depth, heads, mlp_ratio, in_channels, classes)
        self.requires_grad_(False)
        self.head.requires_grad_(True)
        self.dropout = nn.Dropout(dropout)
        self.prompts = nn.Parameter(torch.empty(places, prompts, width))
        bound = math.sqrt(6 / (patch * patch + width))  # that of a layer from patches to tokens
        nn.init.uniform_(self.prompts, -bound, bound)

    def forward(self, images: Tensor) -> Tensor:
        """Embed, encode with the prompts, and classify the class token."""
        tokens = self.embed(images)
        for place, layer in enumerate(self.layers):
            if place < len(self.prompts):
                tokens = self._prompted(tokens, self.prompts[place])
            tokens = layer(tokens)
        logits: Tensor = self.head(self.dropout(self.norm(tokens[:, 0])))
        return logits

    def load_backbone(self, weights: Mapping[str, Tensor], source: str) -> None:
        """Load a trained `vit` except its head; raises ValueError if the weights do not fit."""
        load_into(self, weights, source, without=("head.", "prompts"))

    def _prompted(self, tokens: Tensor, prompts: Tensor) -> Tensor:
        """The class token, these prompts instead of earlier ones, and the patches."""
        dropped = self.dropout(prompts.expand(tokens.shape[0], -1, -1))
        patches = self.embedding.grid**2
        return torch.cat([tokens[:, :1], dropped, tokens[:, -patches:]], 1)


def _check_backbone(backbone: str, *options: int) -> None:
    if backbone == IMAGENET and options != tuple(OPTIONS.values()):
        fitting = ", ".join(f"{name} {value}" for name, value in OPTIONS.items())
        raise ValueError(
            "architecture option backbone is 'imagenet', whose weights fit these options alone: "
            f"{fitting}; set them."
        )
    if backbone not in ("random", IMAGENET) and not backbone.startswith(NAMES):
        raise ValueError(
            f"architecture option backbone is {backbone!r}; allowed is random, imagenet, or the "
            f"name of a trained vit that begins with {' or '.join(NAMES)}."
        )
