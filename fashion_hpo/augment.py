"""Draw what each augmentation does: `python -m fashion_hpo.augment --set rotation=20`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_hpo.terminal import command_line

SHOWN = ("T-shirt/top", "Dress", "Sneaker", "Bag")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, 2 for bad input."""
    made = command_line.parser(
        "augment", "Write a page on which a person can see what each augmentation does."
    )
    command_line.add_changes(
        made, "any field of TrainConfig, such as rotation=20; 0 leaves an option out"
    )
    made.add_argument("--seed", default="0", metavar="N", help="of the draws; default: 0")
    command_line.add_data_folder(made)
    made.add_argument(
        "--out",
        type=command_line.file,
        default=Path("augmentations.html"),
        metavar="FILE",
        help="default: augmentations.html",
    )
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.design.config import TrainConfig, parse_field

    given = {"seed": args.seed, **command_line.settings(args.changes)}
    changes = {name: parse_field(name, text) for name, text in given.items()}
    TrainConfig(**changes)  # what is wrong is told before the slow imports

    from fashion_hpo.reporting.page import sheet
    from fashion_hpo.training.augment.examples import AMOUNTS, EPOCHS, examples
    from fashion_hpo.training.data import CLASSES, Split, load_or_download

    config = TrainConfig(**{**AMOUNTS, **changes})
    train = load_or_download(args.data).train
    rows = [train.labels.tolist().index(CLASSES.index(name)) for name in SHOWN]
    notes = (
        f"Four training images as {EPOCHS} epochs would show them to a network, seed "
        f"{config.seed}; every image has its own draw (but for MixUp's λ, which is the batch's "
        "unless mixup_per_image is set).",
        "Color is the identity, because the images are grey.  MixUp and CutMix mix an image with "
        "its mirror in the batch, which here is these four.",
    )
    pictures = examples(config, Split(train.images[rows], train.labels[rows]))
    page = sheet.render("Augmentations", notes, pictures, SHOWN)
    args.out.write_text(page, encoding="utf-8")
    print(f"written: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
