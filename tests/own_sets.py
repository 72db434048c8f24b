"""Real data sets that packages bring: scikit-learn's digits, tiles of its two photographs, and the
capital letters of matplotlib's fonts."""

from pathlib import Path
from string import ascii_uppercase

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits, load_sample_images

TILE = 40  # pixels of a tile's side
FONTS = ("DejaVuSans", "DejaVuSans-*", "DejaVuSansMono*", "DejaVuSerif", "DejaVuSerif-*",
         "STIXGeneral*", "cmb10", "cmr10", "cmss10", "cmt*10")  # fmt: skip
FONT_SIZES = range(14, 27, 2)  # pixels


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


def write_letters(folder: Path) -> Path:
    """Capital letters in upright, slanted, bold and typewriter fonts as letters.csv, 28x28 pixels,
    26 classes."""
    places = Path(matplotlib.get_data_path(), "fonts", "ttf")
    fonts = sorted(path for name in FONTS for path in places.glob(f"{name}.ttf"))
    rows = dict[bytes, str]()  # a picture that two fonts share is one
    for font in (ImageFont.truetype(path, size) for path in fonts for size in FONT_SIZES):
        for letter in ascii_uppercase:
            picture = Image.new("L", (28, 28))
            ImageDraw.Draw(picture).text((14, 14), letter, fill=255, font=font, anchor="mm")
            rows[picture.tobytes()] = letter
    lines = [",".join([letter, *map(str, pixels)]) for pixels, letter in rows.items()]
    (folder / "letters.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "letters.csv"
