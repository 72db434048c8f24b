"""Train one config, without a study or a store: `python -m fashion_hpo.train --set epochs=3`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.saying import say, say_table

if TYPE_CHECKING:
    from fashion_hpo.design.config import TrainConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, 1 if the training diverged, 2 for bad input."""
    parser = command_line.parser(
        "train", "Train one config and print its epochs; nothing is stored."
    )
    parser.add_argument(
        "--config",
        type=command_line.file,
        metavar="FILE",
        help="a config as JSON, as `register --export` writes it; --set changes its fields",
    )
    command_line.add_changes(parser, "any field of TrainConfig, such as architecture=optimized_cnn")
    command_line.add_data(parser)
    command_line.add_own_data(parser)
    parser.add_argument("--list", action="store_true", help="list the fields and the networks")
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.design.config import TrainConfig, parse_field

    if args.list:
        return _list()
    given = command_line.settings(args.changes)
    changes = {name: parse_field(name, text) for name, text in given.items()}
    config = (_read(args.config) if args.config else TrainConfig()).replace(**changes)

    from fashion_hpo.design.fitting import all_images
    from fashion_hpo.training import devices
    from fashion_hpo.training.architectures import build_for, parameter_count
    from fashion_hpo.training.data import load_or_download
    from fashion_hpo.training.state import TrainingState
    from fashion_hpo.training.train import epochs_of, train

    hardware = devices.choose(args.device).at(config)
    splits = load_or_download(command_line.data_of(args))
    say(*splits.notes)
    if config.train_images > splits.info.train:
        say(all_images(config.train_images, splits.info))
        config = config.replace(train_images=splits.info.train)
    network = build_for(config, info=splits.info)
    print(
        f"{config.architecture}, {parameter_count(network):,} parameters, on "
        f"{hardware.describe()['device_name']}, {hardware.precision}"
    )
    print("epoch  train loss  clean train loss  val loss  val accuracy  images/s")
    diverged = False
    for epoch in epochs_of(train(TrainingState(config, network, hardware), splits)):
        diverged = epoch.diverged
        print(
            f"{epoch.epoch:5}  {epoch.train_loss:10.4f}  {epoch.train_eval_loss:16.4f}  "
            f"{epoch.val_loss:8.4f}  {epoch.val_accuracy:12.2%}  "
            f"{epoch.images_per_second:8,.0f}",
            flush=True,
        )
    return command_line.HALTED if diverged else 0


def _read(path: Path) -> "TrainConfig":
    """The config in a file; raises ValueError, naming the file."""
    from fashion_hpo.design.config import TrainConfig

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"no JSON: {error}"
        raise ValueError(f"--config {path} cannot be read ({reason}).") from None
    if not isinstance(values, dict):
        raise ValueError(f"--config {path} is no JSON object of fields and values.")
    try:
        return TrainConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"--config {path}: {error}") from None


def _list() -> int:
    from fashion_hpo.design.config import TrainConfig
    from fashion_hpo.training.architectures import CATALOGUE

    print("fields, with their defaults:")
    say_table({name: f"{value}" for name, value in TrainConfig().to_dict().items()}, margin=2)
    print("values of architecture:")
    say(f"  {', '.join(sorted(CATALOGUE))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
