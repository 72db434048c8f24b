"""MixUp and CutMix: batches of mixed images, and their loss.

The first image of a batch is mixed with the last, the second with the last but one, and so on.  The
order of a batch is random, so the partners are too, without a draw.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.geometry import inside
from fashion_hpo.training.augment.rows import Rows, uploaded
from fashion_hpo.training.randomness import numpy_generator

SIDE = 28


@dataclass(frozen=True)
class Batch:
    """Images ready for a network, and their labels."""

    pixels: Tensor  # float32 (n, channels, 28, 28)
    labels: Tensor  # int64 (n,)
    partners: Tensor  # int64 (n,): labels of the images that were mixed in
    share: float | Tensor = 1.0  # λ, the weight of an image's own label: one value, or (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def pieces(self, count: int) -> Iterator["Batch"]:
        """The batch split into `count` batches of even size."""
        if count == 1:
            return iter((self,))
        if isinstance(self.share, Tensor):
            shares: Iterator[float | Tensor] = iter(self.share.tensor_split(count))
        else:
            shares = repeat(self.share, count)
        tensors = (self.pixels, self.labels, self.partners)
        parts = zip(*(tensor.tensor_split(count) for tensor in tensors), shares, strict=True)
        return (Batch(*part) for part in parts)

    def with_shares(self) -> "Batch":
        """The same; if its images are mixed, λ is a tensor (n,)."""
        if self.partners is self.labels or isinstance(self.share, Tensor):
            return self
        shares = torch.full_like(self.labels, self.share, dtype=torch.float32)
        return replace(self, share=shares)

    def clone(self) -> "Batch":
        """A copy, whose tensors `copy_` may change."""
        labels = self.labels.clone()
        partners = labels if self.partners is self.labels else self.partners.clone()
        share = self.share.clone() if isinstance(self.share, Tensor) else self.share
        return Batch(self.pixels.clone(), labels, partners, share)

    def copy_(self, other: "Batch") -> None:
        """Take the values of another batch of the same sizes."""
        for target, source in zip(self.tensors(), other.tensors(), strict=True):
            target.copy_(source)

    def tensors(self) -> list[Tensor]:
        """The fields that are tensors, in order."""
        fields = (self.pixels, self.labels, self.partners, self.share)
        return [field for field in fields if isinstance(field, Tensor)]

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """The mean loss of logits (n, classes), in nats."""
        return mixed_loss(logits, self.labels, self.partners, self.share, label_smoothing)


class Mixing:
    """The draws of MixUp and CutMix for an epoch of `images` images in `batches` batches.

    MixUp has a λ per batch (as in R0's protocol) or per image; CutMix has a box per image.  If both
    are on, each batch gets one of them, with equal probability.
    """

    def __init__(
        self, config: TrainConfig, images: int, batches: int, epoch: int, device: str = "cpu"
    ) -> None:
        seed, self.per_image = config.seed, config.mixup_per_image
        self.mixes = config.mixup_alpha > 0
        count = images if self.per_image else batches
        self.lambdas = mixup_lambdas(config.mixup_alpha, count, seed, epoch)
        self.cuts = np.full(batches, config.cutmix_alpha > 0)
        if self.mixes and self.cuts.any():
            self.cuts = numpy_generator(seed, "mixup or cutmix", epoch).random(batches) < 0.5
        if config.cutmix_alpha:
            boxes = cutmix_boxes(config.cutmix_alpha, images, seed, epoch)
            self.boxes = uploaded(torch.from_numpy(boxes), device)
        if self.per_image:
            self.shares = uploaded(torch.from_numpy(self.lambdas).float(), device)

    def __call__(self, pixels: Tensor, labels: Tensor, rows: Rows, number: int) -> Batch:
        """Batch `number` of the epoch; `rows` (n,) are its images' row numbers in the split."""
        if self.cuts[number]:
            boxes = self.boxes[rows.device]
            return Batch(cut(pixels, boxes), labels, partners(labels), own_share(boxes))
        if not self.mixes:
            return Batch(pixels, labels, labels)
        share = self.shares[rows.device] if self.per_image else float(self.lambdas[number])
        return Batch(mix(pixels, share), labels, partners(labels), share)


def mixup_lambdas(alpha: float, count: int, seed: int, epoch: int) -> np.ndarray:
    """One λ ~ Beta(α, α) for each batch, or each image, of an epoch; shape (count,).

    α = 0 means no MixUp: λ is 1, as in the limit.
    """
    if alpha == 0:
        return np.ones(count)
    return numpy_generator(seed, "mixup", epoch).beta(alpha, alpha, size=count)


def mix(images: Tensor, share: float | Tensor) -> Tensor:
    """λ·x_i + (1−λ)·x_j (Zhang et al. 2018, eq. 1); images (n, ...), λ one value or (n,)."""
    if isinstance(share, Tensor):
        share = share.view(-1, *[1] * (images.dim() - 1))
    return torch.lerp(images.flip(0), images, share)


def cutmix_boxes(alpha: float, images: int, seed: int, epoch: int) -> np.ndarray:
    """Each image's box, int64 (images, 4): top, left, bottom and right (Yun et al. 2019).

    Its area is 1 − λ of the image, λ ~ Beta(α, α), before it is cut at the image's border; its
    centre is anywhere in the image.  α = 0: all boxes are empty.
    """
    if alpha == 0:
        return np.zeros((images, 4), dtype=np.int64)
    share = numpy_generator(seed, "cutmix", epoch).beta(alpha, alpha, size=images)
    half = np.floor(SIDE * np.sqrt(1 - share)).astype(np.int64)[:, None] // 2
    centre = numpy_generator(seed, "cutmix centre", epoch).integers(SIDE, size=(images, 2))
    boxes: np.ndarray = np.concatenate((centre - half, centre + half), axis=1).clip(0, SIDE)
    return boxes


def cut(images: Tensor, boxes: Tensor) -> Tensor:
    """Paste the box (n, 4) of each image's partner into the image; images (n, channels, 28, 28)."""
    return torch.where(inside(boxes, SIDE)[:, None], images.flip(0), images)


def own_share(boxes: Tensor) -> Tensor:
    """The effective λ: the share of pixels outside the box, (n,)."""
    height, width = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    return 1 - height * width / SIDE**2


def partners(labels: Tensor) -> Tensor:
    """The label of each image's partner."""
    return labels.flip(0)


def mixed_loss(
    logits: Tensor, labels: Tensor, partners: Tensor, share: float | Tensor, label_smoothing: float
) -> Tensor:
    """λ·CE(f(x̃), y_i) + (1−λ)·CE(f(x̃), y_j), the mean over the images.

    Equals the cross entropy with the soft labels λ·y_i + (1−λ)·y_j, which is linear in the labels.
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
