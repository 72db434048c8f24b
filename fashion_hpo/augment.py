"""Draw examples of each augmentation: `python -m fashion_hpo.augment --set rotation=20`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_hpo.terminal import command_line

SHOWN = ("T-shirt/top", "Dress", "Sneaker", "Bag")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, 2 for bad input."""
    parser = command_line.parser(
        "augment", "Write a page that shows examples of each augmentation."
    )
    command_line.add_changes(
        parser, "any field of TrainConfig, such as rotation=20; 0 turns an augmentation off"
    )
    parser.add_argument("--seed", default="0", metavar="N", help="of the draws; default: 0")
    command_line.add_data_folder(parser)
    parser.add_argument(
        "--out",
        type=command_line.file,
        default=Path("augmentations.html"),
        metavar="FILE",
        help="default: augmentations.html",
    )
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.design.config import TrainConfig, parse_field

    given = {"seed": args.seed, **command_line.settings(args.changes)}
    changes = {name: parse_field(name, text) for name, text in given.items()}
    TrainConfig(**changes)  # report a bad value before the slow imports

    from fashion_hpo.reporting.page import sheet
    from fashion_hpo.training.augment.examples import AMOUNTS, EPOCHS, examples
    from fashion_hpo.training.data import CLASSES, Split, load_or_download

    config = TrainConfig(**{**AMOUNTS, **changes})
    train = load_or_download(args.data).train
    rows = [train.labels.tolist().index(CLASSES.index(name)) for name in SHOWN]
    notes = (
        f"Four training images as a network would see them in {EPOCHS} epochs, seed "
        f"{config.seed}; each image has its own draw, except MixUp's λ, which is drawn per batch "
        "unless mixup_per_image is set.",
        "Color is the identity, because the images are grey.  MixUp and CutMix mix the first image "
        "of a batch with the last, the second with the last but one; here a batch is these four.",
    )
    pictures = examples(config, Split(train.images[rows], train.labels[rows]))
    page = sheet.render("Augmentations", notes, pictures, SHOWN)
    args.out.write_text(page, encoding="utf-8")
    print(f"written: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
