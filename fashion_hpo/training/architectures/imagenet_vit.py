"""The weights of torchvision's ViT-B/16 (Dosovitskiy et al. 2021), trained on ImageNet, for `vit`.

Enlarge a 28x28 image eightfold, each pixel to 8x8 pixels of three equal channels: then a 16x16
patch is a 2x2 patch of ours, and the sum of a kernel over 8x8 positions and the channels is the
weight of one pixel.  ImageNet's means and deviations are folded into the weights.  So `vit` with
`OPTIONS` computes the same features from 196 patches, without the enlarged image.  The pixels must
be in [0, 1].

Departure: our layer norms add 1e-5 to the variance, torchvision's 1e-6.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from fashion_hpo.training.architectures.pretrained import published_weights, torchvision_models

IMAGENET = "imagenet"
OPTIONS = {"patch": 2, "width": 768, "depth": 12, "heads": 12, "mlp_ratio": 4}
"""The options of `vit` that fit the weights."""

MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENLARGED = 8  # pixels of the enlarged image per pixel of ours, along each axis
LAYERS = {
    "ln_1": "attention.0",
    "self_attention.in_proj_": "attention.1.queries_keys_values.",
    "self_attention.out_proj": "attention.1.output",
    "ln_2": "mlp.0",
    "mlp.0": "mlp.1",
    "mlp.3": "mlp.4",
}
"""Prefixes of the names within an encoder layer: torchvision's to ours."""


def imagenet_vit() -> dict[str, Tensor]:
    """The weights, from torch's cache or downloaded; raises ValueError if neither is possible."""
    models = torchvision_models("vit with a backbone of ImageNet")
    weights = models.ViT_B_16_Weights.IMAGENET1K_V1
    return translated(published_weights(weights, "backbone", "set backbone to 'random'"))


def translated(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with torchvision's names and shapes as those of our `vit`, without the head."""
    kernel, bias = _patches(weights["conv_proj.weight"], weights["conv_proj.bias"])
    ours = {
        "class_token": weights["class_token"],
        "position": weights["encoder.pos_embedding"],
        "embedding.projection.weight": kernel,
        "embedding.projection.bias": bias,
        "norm.weight": weights["encoder.ln.weight"],
        "norm.bias": weights["encoder.ln.bias"],
    }
    layers = "encoder.layers.encoder_layer_"
    for name, value in weights.items():
        if name.startswith(layers):
            number, rest = name.removeprefix(layers).split(".", 1)
            prefix = next(prefix for prefix in LAYERS if rest.startswith(prefix))
            ours[f"layers.{number}.{LAYERS[prefix]}{rest.removeprefix(prefix)}"] = value
    return ours


def _patches(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The patch projection for grey pixels in [0, 1]: (width, 3, 16, 16) to (width, 1, 2, 2)."""
    shape = (1, 3, 1, 1)
    kernel = kernel / torch.tensor(DEVIATIONS).view(shape)
    bias = bias - (kernel * torch.tensor(MEANS).view(shape)).sum((1, 2, 3))
    blocks = kernel.unflatten(3, (-1, ENLARGED)).unflatten(2, (-1, ENLARGED))
    return blocks.sum((1, 3, 5)).unsqueeze(1), bias
