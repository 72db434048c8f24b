"""Read users' image files as grey pixels."""

import os
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fashion_hpo.training.pictures import FORMATS as FORMATS
from fashion_hpo.training.pictures import LARGEST_SIDE
from fashion_hpo.training.pictures import SUFFIXES as SUFFIXES

DARK = 64  # mean of the visible pixels; a darker article would vanish on black


def files_in(path: Path) -> list[Path]:
    """The path of a file, or the image files of a folder, by name.

    Raises ValueError if a folder has none.
    """
    if not os.path.isdir(path):  # Path.is_dir raises for a name that is too long
        return [path]
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise ValueError(
            f"folder {path} has no image files; known endings are {', '.join(SUFFIXES)}."
        )
    return files


def read_grey(source: Path | IO[bytes], name: str) -> Image.Image:
    """An image file in grey; raises ValueError, naming the file, if it is unreadable.

    The image is turned upright by its EXIF data.  Transparent pixels become black, the data set's
    background, or white behind a dark article.  Of several frames the first is read.

    Not thread-safe: the filters for warnings are global.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a broken EXIF block, for example, does no harm
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(source, formats=FORMATS) as opened:
                if max(opened.size) <= LARGEST_SIDE:
                    return _grey(_upright(opened))
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


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()  # before the EXIF data are read, because loading applies a TIFF's orientation
    return ImageOps.exif_transpose(picture)


def _grey(picture: Image.Image) -> Image.Image:
    if picture.mode[0] in "IF":
        return _eight_bits(picture)
    if picture.has_transparency_data:
        colours = picture.convert("RGBA")
        behind = Image.new("RGBA", colours.size, "white" if _is_dark(colours) else "black")
        picture = Image.alpha_composite(behind, colours)
    return picture.convert("L")


def _is_dark(colours: Image.Image) -> bool:
    """Whether a picture shows a dark article that was cut out of its background."""
    opacity = np.asarray(colours.getchannel("A"), np.float64)
    edges = np.concatenate((opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1]))
    brightness = np.asarray(colours.convert("L"), np.float64)
    is_cut_out = np.median(edges) == 0 < opacity.sum()
    return bool(is_cut_out and (brightness * opacity).sum() < DARK * opacity.sum())


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
