"""Prepare a picture as the pictures of Fashion-MNIST were prepared.

There one article is bright on black, in the centre, its longer side 28 pixels: in the validation
images 27 or 28 pixels for 99 %, and the centre at most one pixel off (Xiao et al. 2017, section 3,
tell the steps).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE = 28
LIGHT = 127  # median of the border, of 255; every image that a search sees is darker
FAINT = 20  # of 255; a pixel nearer to the background is not part of the article
SPECKS = 0.005  # share of a row or column; fewer pixels are dust, no article
FRAMED = 26 / SIDE  # least share of the longer side that a framed article takes
OFF_CENTRE = 1.5 / SIDE  # most that the centre of a framed article is off, share of the side


@dataclass(frozen=True)
class Prepared:
    """A picture as the model takes it, uint8 (28, 28), and what was done, in words."""

    pixels: np.ndarray
    changes: tuple[str, ...]


def prepare(grey: np.ndarray) -> Prepared:
    """Prepare a grey picture, uint8 (height, width).

    A light background, judged by the picture's border, becomes black and the article bright.  The
    picture is cropped to the article, scaled and centred, unless it is so already.
    """
    changes = []
    level = float(np.median(_border(grey)))
    if level > LIGHT:
        grey, level = 255 - grey, 255 - level
        changes.append("inverted, because the background is light")
    contrast = np.clip((grey - level) * (255 / (255 - level)), 0, 255).astype(np.uint8)
    box = _article(contrast)
    if box is None:
        changes.append("nothing stands out from the background")
        return Prepared(_scaled(contrast, (SIDE, SIDE)), tuple(changes))
    top, bottom, left, right = box
    if not _is_framed(box, contrast.shape):
        contrast = contrast[top:bottom, left:right]
        changes.append("cropped to the article and centred")
    return Prepared(_fitted(contrast), tuple(changes))


def _border(grey: np.ndarray) -> np.ndarray:
    return np.concatenate((grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]))


def _article(contrast: np.ndarray) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of what stands out from the background; None if nothing does."""
    stands_out = contrast > FAINT
    height, width = contrast.shape
    rows = np.flatnonzero(stands_out.sum(1) > SPECKS * width)
    columns = np.flatnonzero(stands_out.sum(0) > SPECKS * height)
    if not len(rows) or not len(columns):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _is_framed(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    """Whether the article fills a square picture and is in its centre, as in the data set."""
    top, bottom, left, right = box
    height, width = shape
    off = max(abs(top + bottom - height), abs(left + right - width)) / 2
    longest = max(bottom - top, right - left)
    return height == width and longest >= FRAMED * height and off <= OFF_CENTRE * height


def _fitted(article: np.ndarray) -> np.ndarray:
    """Scale the longer side to 28 pixels and centre the article on black."""
    height, width = article.shape
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = _scaled(article, size)
    return canvas


def _scaled(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = Image.fromarray(grey)
    return np.array(picture if picture.size == size else picture.resize(size))
