"""Logits of a split, and their loss and accuracy."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fashion_hpo.design.config import PixelRange
from fashion_hpo.training.data import Split
from fashion_hpo.training.devices import Hardware

EVALUATION_BATCH = 500
"""Images per forward pass: 500 fit a CPU's caches.  No result depends on the number."""


class Score(NamedTuple):
    """Mean cross entropy in nats, and accuracy from 0 to 1; scalars on the device."""

    loss: Tensor
    accuracy: Tensor


def normalise(images: Tensor, pixel_range: PixelRange, hardware: Hardware) -> Tensor:
    """uint8 (N, 28, 28) or (N, 3, 28, 28) to float32 (N, 1 or 3, 28, 28) in [0, 1] or [-1, 1]."""
    pixels = with_channels(images).to(torch.float32, memory_format=hardware.memory_format)
    pixels = pixels.div_(255)
    return pixels if pixel_range == "unit" else pixels.mul_(2).sub_(1)


def with_channels(images: Tensor) -> Tensor:
    """Grey images (N, 28, 28) with a dimension for the one channel; colour ones as they are."""
    return images.unsqueeze(1) if images.dim() == 3 else images


@torch.no_grad()
def logits_of(
    model: nn.Module, split: Split, pixel_range: PixelRange, hardware: Hardware
) -> Tensor:
    """Logits float32 (N, classes) in evaluation mode; the model's mode is restored.

    A micro-batch that training needs for lack of memory limits the evaluation too.
    """
    at_once = min(EVALUATION_BATCH, hardware.micro_batch or EVALUATION_BATCH)
    was_training = model.training
    model.eval()
    parts = []
    for images in split.images.split(at_once):
        with hardware.autocast():
            parts.append(model(normalise(images, pixel_range, hardware)).float())
    model.train(was_training)
    return torch.cat(parts)


def score(logits: Tensor, labels: Tensor) -> Score:
    """Loss and accuracy, not yet read from the device."""
    accuracy = (logits.argmax(1) == labels).float().mean()
    return Score(cross_entropy(logits, labels), accuracy)
