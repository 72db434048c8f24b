"""MixUp and CutMix: a batch whose images are mixed with those of others, and its loss.

The partner of an image is its mirror in the batch, which is in random order already: a fixed
partner is a random one and costs no draw.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.geometry import inside
from fashion_hpo.training.randomness import numpy_generator

SIDE = 28


@dataclass(frozen=True)
class Batch:
    """Images ready for a network, and what they show."""

    pixels: Tensor  # float32 (n, 1, 28, 28)
    labels: Tensor  # int64 (n,)
    partners: Tensor  # int64 (n,): labels of the images that were mixed in
    share: float | Tensor = 1.0  # λ of an image's own part: one for all, or (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def pieces(self, count: int) -> Iterator["Batch"]:
        """The same images in `count` batches of even size."""
        if count == 1:
            return iter((self,))
        if isinstance(self.share, Tensor):
            shares: Iterator[float | Tensor] = iter(self.share.tensor_split(count))
        else:
            shares = repeat(self.share, count)
        wholes = (self.pixels, self.labels, self.partners)
        parts = zip(*(whole.tensor_split(count) for whole in wholes), shares, strict=True)
        return (Batch(*part) for part in parts)

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """The mean loss of logits (n, 10), in nats."""
        return mixed_loss(logits, self.labels, self.partners, self.share, label_smoothing)


class Mixing:
    """What is mixed in one epoch of `images` images in `batches` batches.

    MixUp has one λ a batch (as in R0's protocol) or one an image; CutMix has each image's own box.
    With both, a batch has the one or the other, with equal chance.
    """

    def __init__(self, config: TrainConfig, images: int, batches: int, epoch: int) -> None:
        seed, self.per_image = config.seed, config.mixup_per_image
        self.mixes = config.mixup_alpha > 0
        count = images if self.per_image else batches
        self.lambdas = mixup_lambdas(config.mixup_alpha, count, seed, epoch)
        self.cuts = np.full(batches, config.cutmix_alpha > 0)
        if self.mixes and self.cuts.any():
            self.cuts = numpy_generator(seed, "mixup or cutmix", epoch).random(batches) < 0.5
        self.boxes = cutmix_boxes(config.cutmix_alpha, images, seed, epoch)

    def __call__(self, pixels: Tensor, labels: Tensor, rows: np.ndarray, number: int) -> Batch:
        """Batch `number` of the epoch; `rows` (n,) are its images' numbers in the split."""
        if self.cuts[number]:
            boxes = torch.from_numpy(self.boxes[rows]).to(pixels.device)
            return Batch(cut(pixels, boxes), labels, partners(labels), own_share(boxes))
        if not self.mixes:
            return Batch(pixels, labels, labels)
        share: float | Tensor = (
            float(self.lambdas[number])
            if not self.per_image
            else (torch.from_numpy(self.lambdas[rows]).float().to(pixels.device))
        )
        return Batch(mix(pixels, share), labels, partners(labels), share)


def mixup_lambdas(alpha: float, count: int, seed: int, epoch: int) -> np.ndarray:
    """One λ ~ Beta(α, α) for each batch, or each image, of an epoch; shape (count,).

    α = 0 is no MixUp, the limit in which λ is 1 (or 0, the same batch mirrored).
    """
    if alpha == 0:
        return np.ones(count)
    return numpy_generator(seed, "mixup", epoch).beta(alpha, alpha, size=count)


def mix(images: Tensor, share: float | Tensor) -> Tensor:
    """λ·x_i + (1−λ)·x_j (Zhang et al. 2018, eq. 1); images (n, ...), λ one for all or (n,)."""
    if isinstance(share, Tensor):
        share = share.view(-1, *[1] * (images.dim() - 1))
    return torch.lerp(images.flip(0), images, share)


def cutmix_boxes(alpha: float, images: int, seed: int, epoch: int) -> np.ndarray:
    """Each image's box, int64 (images, 4): top, left, bottom and right (Yun et al. 2019).

    Its area is to be 1 − λ of the image, λ ~ Beta(α, α), its centre anywhere: what lies outside the
    image is cut off.  α = 0: all are empty.
    """
    if alpha == 0:
        return np.zeros((images, 4), dtype=np.int64)
    share = numpy_generator(seed, "cutmix", epoch).beta(alpha, alpha, size=images)
    half = np.floor(SIDE * np.sqrt(1 - share)).astype(np.int64)[:, None] // 2
    centre = numpy_generator(seed, "cutmix centre", epoch).integers(SIDE, size=(images, 2))
    found: np.ndarray = np.concatenate((centre - half, centre + half), axis=1).clip(0, SIDE)
    return found


def cut(images: Tensor, boxes: Tensor) -> Tensor:
    """Paste the box (n, 4) of each image's partner into it; images (n, 1, 28, 28)."""
    return torch.where(inside(boxes, SIDE)[:, None], images.flip(0), images)


def own_share(boxes: Tensor) -> Tensor:
    """λ as it came out: the share of pixels, (n,), that stayed outside the box."""
    height, width = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    return 1 - height * width / SIDE**2


def partners(labels: Tensor) -> Tensor:
    """The label of each image's partner."""
    return labels.flip(0)


def mixed_loss(
    logits: Tensor, labels: Tensor, partners: Tensor, share: float | Tensor, label_smoothing: float
) -> Tensor:
    """λ·CE(f(x̃), y_i) + (1−λ)·CE(f(x̃), y_j), decoupled MixUp: the mean over the images.

    Equal to the cross entropy with the soft labels λ·y_i + (1−λ)·y_j, which it is linear in.
    """
    if isinstance(share, Tensor):
        own = cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)
        other = cross_entropy(logits, partners, reduction="none", label_smoothing=label_smoothing)
        return (share * own + (1 - share) * other).mean()
    own = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if share == 1:
        return own
    other = cross_entropy(logits, partners, label_smoothing=label_smoothing)
    return share * own + (1 - share) * other
