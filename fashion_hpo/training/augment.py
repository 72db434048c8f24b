"""What is done to a training batch on the device."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fashion_hpo.training.randomness import numpy_generator


def mixup_lambdas(alpha: float, batches: int, seed: int, epoch: int) -> np.ndarray:
    """One λ ~ Beta(α, α) for each batch of an epoch, drawn at once; shape (batches,).

    α = 0 is no MixUp, the limit in which λ is 1 (or 0, the same batch mirrored).
    """
    if alpha == 0:
        return np.ones(batches)
    return numpy_generator(seed, "mixup", epoch).beta(alpha, alpha, size=batches)


def mix(images: Tensor, lam: float) -> Tensor:
    """λ·x_i + (1−λ)·x_j; the partner j of image i is its mirror in the batch.

    The batch is already in random order, so a fixed partner is a random one and costs no draw.
    """
    return torch.lerp(images.flip(0), images, lam)


def partners(labels: Tensor) -> Tensor:
    """The label of each image's partner in `mix`."""
    return labels.flip(0)


def mixup_loss(
    logits: Tensor, labels: Tensor, partners: Tensor, lam: float, label_smoothing: float
) -> Tensor:
    """λ·CE(f(x̃), y_i) + (1−λ)·CE(f(x̃), y_j): decoupled MixUp (Zhang et al. 2018, eq. 1)."""
    own = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if lam == 1:
        return own
    return lam * own + (1 - lam) * cross_entropy(logits, partners, label_smoothing=label_smoothing)
