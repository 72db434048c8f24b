"""Read users' image files and convert them to 28x28 grey pixels."""

import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""Few of Pillow's formats: for some, such as EPS, Pillow runs other programs."""
LARGEST_SIDE = 4096  # pixels; a decompression bomb is refused, not decoded
BRIGHT = 127  # mean of the border; all 55,000 images that a search sees are darker


def read_grey(source: Path | IO[bytes], name: str) -> Image.Image:
    """An image file as 28x28 grey pixels; raises ValueError, naming the file, if it is unreadable.

    The image is turned upright by its EXIF data.  Transparent pixels become black, the data set's
    background.  Of several frames the first is read.

    Not thread-safe: the filters for warnings are global.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a broken EXIF block, for example, does no harm
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(source, formats=FORMATS) as opened:
                if max(opened.size) <= LARGEST_SIDE:
                    return _grey(_upright(opened)).resize((28, 28))
                size = "{} x {} pixels".format(*opened.size)
        except UnidentifiedImageError:
            raise ValueError(
                f"{name} is not an image of a known format; allowed are {', '.join(FORMATS)}."
            ) from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            size = "far larger"
        except Exception as error:  # absent, a folder, truncated: Pillow may raise anything
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"{name} cannot be read ({reason}).") from None
    raise ValueError(f"{name} is {size}; allowed are {LARGEST_SIDE} pixels a side.")


def border_warning(image: np.ndarray) -> str | None:
    """A warning if uint8 (28, 28) has a bright border, unlike the data; None if it is dark."""
    border = np.concatenate((image[0], image[-1], image[1:-1, 0], image[1:-1, -1]))
    if border.mean() <= BRIGHT:
        return None
    return "the border is bright; Fashion-MNIST has bright articles on black; invert the picture."


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()  # before the EXIF data are read, because loading applies a TIFF's orientation
    return ImageOps.exif_transpose(picture)


def _grey(picture: Image.Image) -> Image.Image:
    if picture.mode[0] in "IF":
        return _eight_bits(picture)
    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", colours.size, "black"), colours)
    return picture.convert("L")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """8 bits of 16 or 32 per pixel; white is 1 (floats), 255 or 65535, by the largest value."""
    values = np.asarray(picture).astype(np.float64)
    if "transparency" in picture.info:
        values[values == picture.info["transparency"]] = 0
    lowest, highest = values.min(), values.max()
    whites = [white for white in (1, 255, 65535) if white > 1 or picture.mode == "F"]
    white = next((white for white in whites if 0 <= lowest <= highest <= white), None)
    if white is None:
        raise ValueError(
            f"its values go from {lowest:g} to {highest:g}; allowed are 0 to 1, 0 to 255 or "
            "0 to 65535"
        )
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
