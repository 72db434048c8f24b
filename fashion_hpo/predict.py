"""Classify an image with the champion: `python -m fashion_hpo.predict boot.png`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_hpo.reporting import command_line

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_SIDE = 4096  # pixels; a decompression bomb is refused, not decoded


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for a file that is no image and a store without a champion."""
    made = command_line.parser(
        "predict", "Classify an image of one article, bright on black, as Fashion-MNIST has them."
    )
    made.add_argument("image", type=Path, help="any format Pillow reads; made 28x28 and grey")
    command_line.add_store(made)
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    grey = _grey(args.image)

    import numpy as np
    import torch

    from fashion_hpo.stores import models, registry
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.training.data import CLASSES
    from fashion_hpo.training.packaging import probabilities_of

    store = Store.at(args.store)
    store.check_tracking()
    model = models.read_model(str(registry.download(store.tracking_uri, registry.CHAMPION_URI)))
    pixels = torch.from_numpy(np.array(grey, dtype=np.uint8)[None])
    probabilities = probabilities_of(model, pixels)[0]
    for index in probabilities.argsort()[::-1][:3]:
        print(f"{CLASSES[index]:12} {probabilities[index]:.1%}")
    return 0


def _grey(path: Path) -> "Image":
    """28x28 and grey; raises ValueError, naming the file, where that cannot be."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as opened:
                if max(opened.size) <= LARGEST_SIDE:
                    return opened.convert("L").resize((28, 28))
                size = "{} x {} pixels".format(*opened.size)
        except UnidentifiedImageError:
            raise ValueError(f"image {path} is in no format that Pillow reads.") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            size = "far larger"
        except (OSError, SyntaxError) as error:  # absent, a folder, cut off or damaged
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"image {path} cannot be read ({reason}).") from None
    raise ValueError(f"image {path} is {size}; allowed are {LARGEST_SIDE} pixels a side.")


if __name__ == "__main__":
    sys.exit(main())
