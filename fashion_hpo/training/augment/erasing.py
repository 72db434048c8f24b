"""Random erasing (Zhong et al. 2020, algorithm 1): a rectangle of the image is set to noise."""

import numpy as np
import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.geometry import inside
from fashion_hpo.training.augment.rows import Rows, uploaded
from fashion_hpo.training.randomness import numpy_generator

AREA = (0.02, 0.4)  # smallest and largest share of the image
ASPECT = (0.3, 1 / 0.3)  # height / width
SIDE = 28
NOISES = 256  # noise images per epoch, which the rectangles are cut from


class Erasing:
    """Erases a random rectangle of each image with probability `erasing`.

    Departure: a side longer than the image is cut to the image; the paper draws again.
    """

    def __init__(self, config: TrainConfig, images: int, epoch: int, device: str = "cpu") -> None:
        drawn = numpy_generator(config.seed, "erasing", epoch).random((images, 6))
        chosen = (drawn[:, 5] * NOISES).astype(np.int64)
        noise = numpy_generator(config.seed, "erasing noise", epoch)
        noise_images = noise.integers(256, size=(NOISES, SIDE, SIDE), dtype=np.uint8)
        self.boxes = uploaded(torch.from_numpy(boxes(drawn, config.erasing)), device)
        self.chosen = uploaded(torch.from_numpy(chosen), device)
        self.noise = uploaded(torch.from_numpy(noise_images), device)

    def __call__(self, images: Tensor, rows: Rows) -> Tensor:
        """Fill each image's rectangle with noise; uint8 (n, 28, 28)."""
        erased = inside(self.boxes[rows.device], SIDE)
        return torch.where(erased, self.noise[self.chosen[rows.device]], images)


def boxes(drawn: np.ndarray, probability: float) -> np.ndarray:
    """Top, left, bottom and right of each rectangle, int64 (n, 4); empty if nothing is erased.

    drawn: uniform in [0, 1), (n, 5 or more): whether to erase, area, aspect, row and column.
    """
    area = SIDE**2 * (AREA[0] + (AREA[1] - AREA[0]) * drawn[:, 1])
    aspect = ASPECT[0] + (ASPECT[1] - ASPECT[0]) * drawn[:, 2]
    size = np.sqrt(np.stack((area * aspect, area / aspect), axis=1))
    size = np.minimum(np.rint(size), SIDE) * (drawn[:, :1] < probability)
    corner = np.floor(drawn[:, 3:5] * (SIDE - size + 1))
    rectangles: np.ndarray = np.concatenate((corner, corner + size), axis=1).astype(np.int64)
    return rectangles
