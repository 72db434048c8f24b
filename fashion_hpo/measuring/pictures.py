"""Pictures as people have them, made from validation images: what does preparing them win?"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

Disturb = Callable[[np.ndarray], np.ndarray]
Prepare = Callable[[np.ndarray], np.ndarray]
Classify = Callable[[np.ndarray], np.ndarray]

WIDTH, HEIGHT = 800, 600
SHIFT = 6  # pixels of 28
DEGREES = 10
QUALITY = 75  # of a JPEG


def as_it_is(image: np.ndarray) -> np.ndarray:
    """The image, uint8 (28, 28)."""
    return image


def photograph(image: np.ndarray) -> np.ndarray:
    """On a black picture of 800 x 600, off the centre, 400 pixels high."""
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    canvas[150:550, 330:730] = np.asarray(Image.fromarray(image).resize((400, 400)))
    return canvas


def negative(image: np.ndarray) -> np.ndarray:
    """Dark on white, 28 x 28."""
    return 255 - image


def shifted(image: np.ndarray) -> np.ndarray:
    """Six of 28 pixels to the right; what leaves the picture is lost."""
    moved = np.zeros_like(image)
    moved[:, SHIFT:] = image[:, :-SHIFT]
    return moved


def rotated(image: np.ndarray) -> np.ndarray:
    """Ten degrees counter-clockwise."""
    return np.asarray(Image.fromarray(image).rotate(DEGREES, Image.Resampling.BILINEAR))


def photograph_on_white(image: np.ndarray) -> np.ndarray:
    """The article, dark, off the centre of a light grey picture of 800 x 600 pixels."""
    return np.asarray(240 - photograph(image).astype(int) * 240 // 255, np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    """The same, written as a JPEG and read again."""
    file = io.BytesIO()
    Image.fromarray(photograph_on_white(image)).save(file, "JPEG", quality=QUALITY)
    return np.array(Image.open(file))


DISTURBANCES: Mapping[str, Disturb] = {
    "as in the data set": as_it_is,
    "800 x 600, off the centre": photograph,
    "dark on white": negative,
    "shifted by 6 of 28 pixels": shifted,
    "rotated by 10 degrees": rotated,
    "800 x 600, dark on light grey": photograph_on_white,
    "the same as a JPEG": jpeg,
}


def resized(picture: np.ndarray) -> np.ndarray:
    """Without preparation: scaled to 28 x 28, nothing else."""
    return np.array(Image.fromarray(picture).resize((28, 28)))


def rate(
    images: np.ndarray, labels: np.ndarray, disturb: Disturb, prepare: Prepare, classify: Classify
) -> float:
    """The share of right answers; images uint8 (N, 28, 28), `classify` gives classes (N,)."""
    prepared = np.stack([prepare(disturb(image)) for image in images])
    return float((classify(prepared) == labels).mean())
