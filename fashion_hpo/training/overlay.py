"""Draw a heat map over its image."""

import numpy as np

from fashion_hpo.training.heat import Look

COLOURS = np.array([(0, 0, 60), (110, 0, 110), (235, 70, 40), (255, 190, 40), (255, 255, 190)])
"""From no heat to the most: dark blue, purple, red, yellow; the lightness rises, for
colour-blind readers."""
COVER = 0.65  # of the heat over the picture, where the heat is 1
ENLARGED = 8  # pixels of a file per pixel of the image
GAP = 1  # white pixels between image and overlay


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image, uint8 (28, 28) or (3, 28, 28), under its heat (28, 28): uint8 (28, 28, 3)."""
    places = np.linspace(0, 1, len(COLOURS))
    colours = np.stack([np.interp(heat, places, channel) for channel in COLOURS.T], -1)
    cover = COVER * np.sqrt(heat)[..., None]
    drawn = np.rint((1 - cover) * in_colour(image) + cover * colours)
    return np.asarray(drawn, np.uint8)


def side_by_side(image: np.ndarray, look: Look) -> np.ndarray:
    """The image and beside it the overlay, enlarged: uint8 (224, 456, 3)."""
    gap = np.full((len(look.heat), GAP, 3), 255, np.uint8)
    joined = np.concatenate([in_colour(image), gap, overlay(image, look.heat)], 1)
    drawn = joined.repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    for row, column in look.points:
        _dot(drawn[:, -len(look.heat) * ENLARGED :], row, column)
    return drawn


def _dot(overlaid: np.ndarray, row: float, column: float) -> None:
    """Draw a white dot with a dark edge at a place of the image; a place outside is left out."""
    top, left = (round((place + 0.5) * ENLARGED) for place in (row, column))
    if 0 <= top < overlaid.shape[0] and 0 <= left < overlaid.shape[1]:
        overlaid[max(top - 2, 0) : top + 3, max(left - 2, 0) : left + 3] = 0
        overlaid[max(top - 1, 0) : top + 2, max(left - 1, 0) : left + 2] = 255


def in_colour(image: np.ndarray) -> np.ndarray:
    """uint8 (28, 28) or (3, 28, 28) to (28, 28, 3)."""
    return image.transpose(1, 2, 0) if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
