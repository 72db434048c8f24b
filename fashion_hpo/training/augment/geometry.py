"""Affine maps, mirroring, and masks of boxes."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.rows import Rows, uploaded
from fashion_hpo.training.randomness import numpy_generator


class Affine:
    """Rotation, shift, zoom and shear as one map, so that an image is resampled only once.

    Each amount is uniform over its range, in both directions; zoom keeps the aspect ratio.  `warp`
    multiplies all ranges.
    """

    def __init__(self, config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> None:
        drawn = numpy_generator(config.seed, "affine", epoch).uniform(-1, 1, (images, 5))
        drawn *= config.warp
        angle, shear, zoom, right, down = torch.from_numpy(drawn.astype(np.float32)).unbind(1)
        maps = centred_maps(
            torch.deg2rad(config.rotation * angle),
            torch.deg2rad(config.shear * shear),
            1 + config.zoom * zoom,
            config.shift * right,
            config.shift * down,
        )
        self.maps = uploaded(maps, device)

    def __call__(self, images: Tensor, rows: Rows) -> Tensor:
        """Warp each image."""
        return warp(images, self.maps[rows.device])


class PixelShift:
    """Shifts by whole pixels, each number of pixels with equal probability; black moves in.

    Unlike a bilinear shift, it leaves an image as sharp as the images of evaluation.
    """

    def __init__(self, config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> None:
        self.most = config.shift_pixels
        drawn = numpy_generator(config.seed, "pixel shift", epoch).integers(
            -self.most, self.most, size=(images, 2), endpoint=True
        )
        self.shifts = uploaded(torch.from_numpy(drawn), device)  # (images, 2): down, right

    def __call__(self, images: Tensor, rows: Rows) -> Tensor:
        """Shift each image."""
        side = images.shape[-1]
        padded = pad(images, (self.most,) * 4)
        position = torch.arange(side, device=images.device)
        read_from = self.most - self.shifts[rows.device][:, :, None] + position  # (n, 2, side)
        number = torch.arange(len(images), device=images.device)
        down, right = read_from[:, 0, :, None], read_from[:, 1, None, :]
        return padded[number[:, None, None], down, right]


class Flip:
    """Mirrors each image left to right with probability `flip`."""

    def __init__(self, config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> None:
        drawn = numpy_generator(config.seed, "flip", epoch).random(images)
        self.chosen = uploaded(torch.from_numpy(drawn < config.flip), device)

    def __call__(self, images: Tensor, rows: Rows) -> Tensor:
        """Mirror the drawn images."""
        chosen = self.chosen[rows.device]
        return torch.where(chosen[:, None, None], images.flip(-1), images)


def warp(images: Tensor, maps: Tensor) -> Tensor:
    """Resample uint8 (n, S, S) bilinearly; black outside the image.

    maps: (n, 2, 3).  A map takes a position (x, y) in the result to the position in the image from
    which the pixel is read.  Positions run from -1 to 1, edge to edge, y downwards.
    """
    pixels = images.unsqueeze(1).float()
    grid = affine_grid(maps, list(pixels.shape), align_corners=False)
    return as_bytes(grid_sample(pixels, grid, align_corners=False).squeeze(1))


def centred_maps(angle: Tensor, shear: Tensor, zoom: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """The maps of `warp`, (n, 2, 3), that zoom, then shear along x, then rotate counter-clockwise
    about the centre, then shift; angles in radians, shifts as shares of the side, each (n,).

    The result is p' = R·H·z·p + t, so a pixel is taken from p = z⁻¹·H⁻¹·R⁻¹·(p' − t).
    """
    cos, sin, tan = torch.cos(angle), torch.sin(angle), torch.tan(shear)
    xx, xy = (cos - tan * sin) / zoom, (-sin - tan * cos) / zoom
    yx, yy = sin / zoom, cos / zoom
    x, y = 2 * right, 2 * down  # the image is 2 wide
    return maps(xx, xy, -(xx * x + xy * y), yx, yy, -(yx * x + yy * y))


def maps(*entries: Tensor) -> Tensor:
    """(n, 2, 3) from the six entries of a row-major 2x3 matrix, each (n,)."""
    return torch.stack(entries, dim=1).view(-1, 2, 3)


def inside(boxes: Tensor, side: int) -> Tensor:
    """The mask of each image's box: bool (n, side, side).

    boxes: (n, 4), top, left, bottom and right in pixels; bottom and right are exclusive.
    """
    position = torch.arange(side, device=boxes.device)
    top, left, bottom, right = boxes[:, :, None].unbind(1)
    vertical = (position >= top) & (position < bottom)
    horizontal = (position >= left) & (position < right)
    return vertical[:, :, None] & horizontal[:, None, :]


def as_bytes(pixels: Tensor) -> Tensor:
    """Float pixels, 0 to 255, to the nearest uint8."""
    return pixels.round().clamp(0, 255).to(torch.uint8)
