"""torchvision's ViT-B/16 (Dosovitskiy et al. 2021), trained on ImageNet, as our `vit`'s weights.

On an image of 28x28 that is enlarged eightfold, each pixel to 8x8 and to three equal channels, its
patches of 16x16 are ours of 2x2: a kernel's sum over those 8x8 places and the channels weighs one
pixel.  ImageNet's means and deviations are folded in.  So `vit` with `OPTIONS` computes the same
features from 196 patches without the enlarged image.  Its pixels must be in [0, 1].

Departure: our layer norms add 1e-5 to the variance, torchvision's 1e-6.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from fashion_hpo.training.architectures.pretrained import published_weights, torchvision_models

IMAGENET = "imagenet"
OPTIONS = {"patch": 2, "width": 768, "depth": 12, "heads": 12, "mlp_ratio": 4}
"""Those of `vit` with which the weights fit."""

MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ENLARGED = 8  # pixels of the enlarged image to one of ours, along each axis
LAYERS = {
    "ln_1": "attention.0",
    "self_attention.in_proj_": "attention.1.queries_keys_values.",
    "self_attention.out_proj": "attention.1.output",
    "ln_2": "mlp.0",
    "mlp.0": "mlp.1",
    "mlp.3": "mlp.4",
}
"""Within an encoder layer: how their names begin, and ours."""


def imagenet_vit() -> dict[str, Tensor]:
    """The weights, from torch's cache or else downloaded; raises ValueError if they cannot be."""
    models = torchvision_models("vit with a backbone of ImageNet")
    weights = models.ViT_B_16_Weights.IMAGENET1K_V1
    return translated(published_weights(weights, "backbone", "set backbone to 'random'"))


def translated(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names and shapes to those of our `vit`, but for the head."""
    kernel, bias = _patches(weights["conv_proj.weight"], weights["conv_proj.bias"])
    found = {
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
            theirs = next(theirs for theirs in LAYERS if rest.startswith(theirs))
            ours = LAYERS[theirs] + rest.removeprefix(theirs)
            found[f"layers.{number}.{ours}"] = value
    return found


def _patches(kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The first layer over grey pixels in [0, 1]: (width, 3, 16, 16) to (width, 1, 2, 2)."""
    shape = (1, 3, 1, 1)
    kernel = kernel / torch.tensor(DEVIATIONS).view(shape)
    bias = bias - (kernel * torch.tensor(MEANS).view(shape)).sum((1, 2, 3))
    places = kernel.unflatten(3, (-1, ENLARGED)).unflatten(2, (-1, ENLARGED))
    return places.sum((1, 3, 5)).unsqueeze(1), bias
