"""Pictures of any size as the images of one's own data set are: 28x28 pixels on black.

Pillow is imported where a picture is opened: the trainer runs without it.
"""

import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

SIDE = 28
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""Few of Pillow's formats: for some, such as EPS, Pillow runs other programs."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
LARGEST_SIDE = 4096  # pixels; a decompression bomb is refused, not decoded


def read_picture(source: Path | IO[bytes]) -> np.ndarray:
    """An image file, upright, as `fitted` gives it; raises ValueError with the reason if it is no
    image.  Of several frames the first is read; transparent pixels become black."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a broken EXIF block, for example, does no harm
            with Image.open(source, formats=FORMATS) as opened:
                if max(opened.size) > LARGEST_SIDE:
                    raise ValueError(f"more than {LARGEST_SIDE} pixels a side")
                opened.load()
                upright = ImageOps.exif_transpose(opened)
                if upright.mode[0] in "IF":
                    raise ValueError(f"pixels of mode {upright.mode}, not of 8 bits")
                return fitted(np.asarray(_on_black(upright)))
    except UnidentifiedImageError:
        raise ValueError("no image of a known format") from None
    except ValueError:
        raise
    except Exception as error:  # absent, truncated: Pillow may raise anything
        raise ValueError(str(getattr(error, "strerror", None) or error)) from None


def _on_black(picture: "Image.Image") -> "Image.Image":
    from PIL import Image

    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", colours.size, "black"), colours)
    return picture.convert("RGB")


def fitted(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) to 28x28, the longer side scaled to 28 pixels, centred on black.

    A picture whose three channels are equal becomes grey, (28, 28); else (28, 28, 3).
    """
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.shape[:2] == (SIDE, SIDE):
        return pixels
    from PIL import Image

    scale = SIDE / max(pixels.shape[:2])
    height, width = (max(1, round(scale * length)) for length in pixels.shape[:2])
    contiguous = np.ascontiguousarray(pixels)
    scaled = Image.fromarray(contiguous).resize((width, height), Image.Resampling.BILINEAR)
    framed = np.zeros((SIDE, SIDE, *pixels.shape[2:]), np.uint8)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    framed[top : top + height, left : left + width] = np.asarray(scaled)
    return framed


def channels_first(pixels: np.ndarray, channels: int) -> np.ndarray:
    """What `fitted` gives as a network's image: (28, 28) of one channel, (3, 28, 28) of three."""
    if channels == 3:
        coloured = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        return np.ascontiguousarray(coloured.transpose(2, 0, 1))
    if pixels.ndim == 2:
        return pixels
    grey = pixels.astype(np.float64) @ (0.299, 0.587, 0.114)  # as Pillow converts
    return np.rint(grey).astype(np.uint8)
