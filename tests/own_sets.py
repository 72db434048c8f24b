"""Real data sets that packages bring: scikit-learn's digits, and tiles of its two photographs."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

TILE = 40  # pixels of a tile's side


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 grey images of 8x8 pixels, ten classes (Alpaydin and Kaynak 1998)."""
    images, labels = load_digits(return_X_y=True)
    return (images.reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8), labels


def write_digits(folder: Path) -> Path:
    """The digits as digits.npz."""
    images, labels = digits()
    np.savez(folder / "digits.npz", images=images, labels=labels)
    return folder / "digits.npz"


def write_tiles(folder: Path, tiles: int = 60) -> Path:
    """Colour tiles of a photograph of a temple and one of a flower, a folder of PNGs for each."""
    for name, photograph in zip(("temple", "flower"), load_sample_images().images, strict=True):
        kind = folder / "tiles" / name
        kind.mkdir(parents=True)
        rows, columns = (length // TILE for length in photograph.shape[:2])
        places = [(TILE * (i // columns), TILE * (i % columns)) for i in range(rows * columns)]
        for number, (top, left) in enumerate(places[:: max(1, len(places) // tiles)][:tiles]):
            tile = photograph[top : top + TILE, left : left + TILE]
            Image.fromarray(tile).save(kind / f"{number:03}.png")
    return folder / "tiles"
