"""RandAugment (Cubuk et al. 2020): N of fourteen operations on each image, drawn with equal
probability, all at magnitude M.

The operations and their strengths at M = 0 to 30 are those of torchvision's `RandAugment`.
Departures: warps are bilinear, because nearest-neighbour sampling tears edges in images this small;
values are rounded, not truncated.  Color is the identity on grey images, in torchvision too.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.geometry import as_bytes, maps, warp
from fashion_hpo.training.augment.rows import Rows, uploaded
from fashion_hpo.training.randomness import numpy_generator

STRONGEST = 30  # the magnitude of strength 1


class RandAugment:
    """Draws the operations and signs of each image.

    The host keeps the operations too: it must know how many images an operation gets.
    """

    def __init__(self, config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> None:
        shape = (images, config.randaugment_operations, 2)
        drawn = numpy_generator(config.seed, "randaugment", epoch).random(shape)
        self.operations = (drawn[..., 0] * len(OPERATIONS)).astype(np.int64)
        strength = config.randaugment_magnitude / STRONGEST
        strengths = np.where(drawn[..., 1] < 0.5, -strength, strength).astype(np.float32)
        self.strengths = uploaded(torch.from_numpy(strengths), device)
        self._uploaded_operations = uploaded(torch.from_numpy(self.operations), device)

    def __call__(self, images: Tensor, rows: Rows) -> Tensor:
        """Apply the operations in order."""
        operations = self._uploaded_operations[rows.device].unbind(1)
        strengths = self.strengths[rows.device].unbind(1)
        for of_host, *of_device in zip(
            self.operations[rows.host].T, operations, strengths, strict=True
        ):
            images = apply(images, group_sizes(of_host), *of_device)
        return images


def group_sizes(operations: np.ndarray) -> list[int]:
    """How many images each of OPERATIONS gets; operations: indices into it, (n,)."""
    sizes: list[int] = np.bincount(operations, minlength=len(OPERATIONS)).tolist()
    return sizes


def apply(images: Tensor, sizes: list[int], operations: Tensor, strengths: Tensor) -> Tensor:
    """Apply one operation to each image, uint8 (n, S, S); images are grouped by operation.

    operations: indices into OPERATIONS, (n,); strengths: −1 to 1, (n,).  `sizes` are the
    operations' `group_sizes`, which the host would else have to read from the device.
    """
    order = operations.argsort(stable=True)
    groups, magnitudes = images[order].split(sizes), strengths[order].split(sizes)
    parts = zip(OPERATIONS.values(), groups, magnitudes, strict=True)
    result = torch.empty_like(images)
    result[order] = torch.cat([f(group, m) for f, group, m in parts if len(group)])
    return result


def _identity(images: Tensor, m: Tensor) -> Tensor:
    return images


def _auto_contrast(images: Tensor, m: Tensor) -> Tensor:
    """Stretch the grey levels to 0 to 255; a uniform image stays as it is."""
    pixels = images.float()
    low, high = pixels.amin((1, 2), keepdim=True), pixels.amax((1, 2), keepdim=True)
    stretched = (pixels - low) * (255 / (high - low).clamp(min=1))
    return torch.where(high > low, as_bytes(stretched), images)


def _equalize(images: Tensor, m: Tensor) -> Tensor:
    """Equalise the histogram by Pillow's formula, in integers."""
    levels = images.flatten(1).long()
    counts = levels.new_zeros(len(images), 256).scatter_add_(1, levels, torch.ones_like(levels))
    brightest = counts.gather(1, levels.amax(1, keepdim=True))
    step = (levels.shape[1] - brightest) // 255
    below = counts.cumsum(1) - counts  # pixels that are darker than each level
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, table.gather(1, levels), levels).to(torch.uint8).view_as(images)


def _solarize(images: Tensor, m: Tensor) -> Tensor:
    """Invert the pixels at or above a threshold."""
    threshold = 255 * (1 - m.abs())
    return torch.where(images >= threshold[:, None, None], 255 - images, images)


def _posterize(images: Tensor, m: Tensor) -> Tensor:
    """Keep the upper 8 to 4 bits."""
    mask = 256 - 2 ** (4 * m.abs()).round()
    return images & mask.to(torch.uint8)[:, None, None]


def _brightness(images: Tensor, m: Tensor) -> Tensor:
    return _blend(torch.zeros(()), images.float(), m)


def _contrast(images: Tensor, m: Tensor) -> Tensor:
    pixels = images.float()
    return _blend(pixels.mean((1, 2), keepdim=True), pixels, m)


def _sharpness(images: Tensor, m: Tensor) -> Tensor:
    """Blend with a smoothed image, whose border pixels are not smoothed."""
    pixels = images.float()
    kernel = torch.ones(1, 1, 3, 3, device=images.device)
    kernel[..., 1, 1] = 5
    smooth = conv2d(pixels[:, None], kernel / 13)[:, 0]
    inner = pad(torch.ones_like(smooth, dtype=torch.bool), (1, 1, 1, 1))
    return _blend(torch.where(inner, pad(smooth, (1, 1, 1, 1)), pixels), pixels, m)


def _blend(dull: Tensor, pixels: Tensor, m: Tensor) -> Tensor:
    """Scale the distance from the dull image by a factor of 0.1 to 1.9 (m = −1 to 1)."""
    factor = (1 + 0.9 * m)[:, None, None]
    return as_bytes(dull + factor * (pixels - dull))


def _rotate(images: Tensor, m: Tensor) -> Tensor:
    """Rotate about the centre, counter-clockwise, by up to 30 degrees."""
    cos, sin, zero = torch.cos(m * torch.pi / 6), torch.sin(m * torch.pi / 6), torch.zeros_like(m)
    return warp(images, maps(cos, -sin, zero, sin, cos, zero))


def _shear_x(images: Tensor, m: Tensor) -> Tensor:
    """Shift each row to the left by up to 0.3 of its distance from the upper edge."""
    slope, zero, one = 0.3 * m, torch.zeros_like(m), torch.ones_like(m)
    return warp(images, maps(one, slope, slope, zero, one, zero))


def _shear_y(images: Tensor, m: Tensor) -> Tensor:
    """Shift each column up by up to 0.3 of its distance from the left edge."""
    slope, zero, one = 0.3 * m, torch.zeros_like(m), torch.ones_like(m)
    return warp(images, maps(one, zero, zero, slope, one, slope))


def _translate_x(images: Tensor, m: Tensor) -> Tensor:
    """Shift right by whole pixels, by up to 150 / 331 of the side."""
    zero, one = torch.zeros_like(m), torch.ones_like(m)
    return warp(images, maps(one, zero, _share_of_side(images, m), zero, one, zero))


def _translate_y(images: Tensor, m: Tensor) -> Tensor:
    """Shift down by whole pixels, by up to 150 / 331 of the side."""
    zero, one = torch.zeros_like(m), torch.ones_like(m)
    return warp(images, maps(one, zero, zero, zero, one, _share_of_side(images, m)))


def _share_of_side(images: Tensor, m: Tensor) -> Tensor:
    side = images.shape[-1]
    return -2 / side * (150 / 331 * side * m).trunc()


Operation = Callable[[Tensor, Tensor], Tensor]
"""uint8 (n, S, S) and signed strengths (n,), −1 to 1, to uint8 (n, S, S)."""

OPERATIONS: dict[str, Operation] = {
    "Identity": _identity,
    "AutoContrast": _auto_contrast,
    "Equalize": _equalize,
    "Rotate": _rotate,
    "Solarize": _solarize,
    "Color": _identity,
    "Posterize": _posterize,
    "Contrast": _contrast,
    "Brightness": _brightness,
    "Sharpness": _sharpness,
    "ShearX": _shear_x,
    "ShearY": _shear_y,
    "TranslateX": _translate_x,
    "TranslateY": _translate_y,
}
