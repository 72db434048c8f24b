"""Classify an image with the champion: `python -m fashion_hpo.predict boot.png`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_hpo.terminal import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0; 2 for a file that is not an image or a store without a champion; 1 if the
    champion's files have changed since they were registered."""
    parser = command_line.parser(
        "predict", "Classify an image of one article, bright on black, as in Fashion-MNIST."
    )
    parser.add_argument(
        "image",
        type=Path,
        help="PNG, JPEG, …; turned upright, made grey and 28x28; transparent pixels become black",
    )
    command_line.add_store(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.serving.images import border_warning, read_grey

    grey = read_grey(args.image, f"image {args.image}")

    import numpy as np
    import torch

    from fashion_hpo.stores import models, registry
    from fashion_hpo.stores.reading import store_to_load_from
    from fashion_hpo.training.data import CLASSES
    from fashion_hpo.training.packaging import probabilities_of

    store = store_to_load_from(args.store)
    folder = registry.download_verified(store.tracking_uri, registry.CHAMPION_URI)
    model = models.read_model(folder)
    pixels = np.array(grey, dtype=np.uint8)
    probabilities = probabilities_of(model, torch.from_numpy(pixels[None]))[0]
    if warning := border_warning(pixels):
        print(f"warning: image {args.image}: {warning}", file=sys.stderr)
    for index in probabilities.argsort()[::-1][:3]:
        print(f"{CLASSES[index]:12} {probabilities[index]:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
