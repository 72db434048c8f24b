"""Where a deformable network reads the image."""

from collections.abc import Sequence

import numpy as np

TAPS = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1), indexing="ij"), -1).reshape(9, 2)
"""The places of a 3x3 kernel, down and right, without offsets."""


def reading_points(offsets: Sequence[np.ndarray], heat: np.ndarray) -> np.ndarray:
    """Rows and columns (9 ** layers, 2) that are read for the hottest place; none without layers.

    offsets: those of each deformable convolution, the first layer first: (18, S, S), for each tap
    down and then right.  Between two layers a place is rounded to the nearest position.
    """
    if not offsets:
        return np.empty((0, 2))
    places = np.array(np.unravel_index(heat.argmax(), heat.shape))[None].astype(float)
    for layer in reversed(offsets):
        scale = len(heat) / layer.shape[-1]
        nearest = np.rint((places + 0.5) / scale - 0.5).astype(int).clip(0, layer.shape[-1] - 1)
        moved = layer[:, nearest[:, 0], nearest[:, 1]].T.reshape(-1, 9, 2)
        read = (nearest[:, None] + TAPS + moved).reshape(-1, 2)
        places = (read + 0.5) * scale - 0.5
    return places
