"""Affine maps, mirroring, and masks of boxes."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.rows import Rows, uploaded
from fashion_hpo.training.randomness import numpy_generator


class Affine:
    """Rotation, shift, zoom and shear as one map, so that an image is resampled only once.

    Each amount is uniform over its range, in both directions; zoom keeps the aspect ratio.
    """

    def __init__(self, config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> None:
        drawn = numpy_generator(config.seed, "affine", epoch).uniform(-1, 1, (images, 5))
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
