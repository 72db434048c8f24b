"""Augmentation of training images on their device, with a draw per image.

A draw is a function of (seed, purpose, epoch, image), independent of the batch, the number of
batches and the worker.  The draws of all images of an epoch are made at once, in numpy, within
milliseconds; each operation is applied to a whole batch.

Kornia is not used because it was four times slower (RandAugment with two operations on two cores:
41,700 images/s here, 10,800 with Kornia 0.9.0).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.erasing import Erasing
from fashion_hpo.training.augment.geometry import Affine, Flip, PixelShift
from fashion_hpo.training.augment.mixing import Batch, Mixing
from fashion_hpo.training.augment.randaugment import RandAugment
from fashion_hpo.training.augment.rows import Rows, rows_of

__all__ = ["Batch", "Mixing", "Rows", "Step", "apply", "rows_of", "steps"]


class Step(Protocol):
    """Changes images, not labels.  uint8 in and out, so that values stay in range."""

    def __call__(self, images: Tensor, rows: Rows) -> Tensor:
        """uint8 (n, S, S) to the same; `rows` (n,) are the images' row numbers in the split."""
        ...


def apply(step: Step, images: Tensor, rows: Rows) -> Tensor:
    """A step on grey images, or on each channel of colour images (n, 3, S, S) with the same draws.

    So colours stay in place; RandAugment's AutoContrast and Equalize act on each channel, as
    Pillow's do, its Contrast too, and Color changes nothing.
    """
    if images.dim() == 3:
        return step(images, rows)
    return torch.stack([step(channel, rows) for channel in images.unbind(1)], dim=1)


def steps(config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> list[Step]:
    """The config's steps, in order: affine, shift by pixels, flip, RandAugment, erasing.

    `images` is the number of images in the training split.  The draws are uploaded to the device.
    """
    is_on: dict[Callable[[TrainConfig, int, int, str], Step], object] = {
        Affine: config.warp and (config.rotation or config.shift or config.zoom or config.shear),
        PixelShift: config.shift_pixels,
        Flip: config.flip,
        RandAugment: config.randaugment_operations,
        Erasing: config.erasing,
    }
    return [step(config, images, epoch, device) for step, value in is_on.items() if value]
