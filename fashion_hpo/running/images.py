"""Pictures that people bring: files of a few common formats, made 28x28 and grey."""

import warnings
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
"""Not all that Pillow has: it hands some, such as EPS, to other programs to be run."""
LARGEST_SIDE = 4096  # pixels; a decompression bomb is refused, not decoded


def read_grey(source: Path | IO[bytes], name: str) -> Image.Image:
    """An image file as 28x28 grey pixels; raises ValueError, with its name, where that cannot be.

    Not for several threads at a time: what is done about warnings holds for all of them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(source, formats=FORMATS) as opened:
                if max(opened.size) <= LARGEST_SIDE:
                    return opened.convert("L").resize((28, 28))
                size = "{} x {} pixels".format(*opened.size)
        except UnidentifiedImageError:
            raise ValueError(f"{name} is no image; allowed are {', '.join(FORMATS)}.") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            size = "far larger"
        except Exception as error:  # absent, a folder, cut off: damage fails in every way there is
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"{name} cannot be read ({reason}).") from None
    raise ValueError(f"{name} is {size}; allowed are {LARGEST_SIDE} pixels a side.")
