"""The options that say where the workers of a study run."""

import argparse
import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_hpo.terminal.command_line import positive

if TYPE_CHECKING:
    from fashion_hpo.engines.ray import Ray
    from fashion_hpo.stores.layout import Store


def add_engine(parser: argparse.ArgumentParser) -> None:
    """--engine and what it needs."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where the workers run: as processes here, or on the nodes of a Ray cluster",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="with --engine ray: auto (the default), HOST:PORT or ray://HOST:10001 (RAY_ADDRESS)",
    )
    parser.add_argument(
        "--cpus-per-worker",
        type=positive,
        metavar="N",
        help="with --engine ray: the cores of a worker, and threads of a new study (default: 1)",
    )
    parser.add_argument(
        "--gpus-per-worker",
        type=share,
        metavar="F",
        help="with --engine ray: the GPUs of a worker, or a fraction of one (default: 0)",
    )
    add_checkpoints(
        parser,
        "where hosts that share a ledger leave copies of checkpoints for each other: a shared "
        "folder, or s3://, gs://, ... (default: the tracking server)",
    )


def add_checkpoints(parser: argparse.ArgumentParser, purpose: str) -> None:
    """--checkpoints; `with_copies` reads it."""
    parser.add_argument("--checkpoints", metavar="DIR|URL", help=purpose)


def add_copies(parser: argparse.ArgumentParser) -> None:
    """--checkpoints of a command that removes copies; `with_copies` reads it."""
    add_checkpoints(
        parser,
        "the folder or address that `study --checkpoints` named: remove the copies there, too",
    )


def typed_copies(args: argparse.Namespace) -> str:
    """--checkpoints as it was given, for a command to be pasted into a shell."""
    from fashion_hpo.stores.layout import without_password

    if args.checkpoints is None:
        return ""
    return f" --checkpoints {shlex.quote(without_password(args.checkpoints))}"


def with_copies(store: "Store", args: argparse.Namespace) -> "Store":
    """The store with the place that --checkpoints names for copies of checkpoints."""
    place = args.checkpoints
    if place is None:
        return store
    return replace(store, checkpoints=place if "://" in place else str(Path(place).absolute()))


def share(text: str) -> float:
    """An argument's type: a fraction below 1, or a whole number."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf or (number > 1 and not number.is_integer()):
        raise argparse.ArgumentTypeError(f"{text} is no fraction of 1 and no whole number")
    return number


def check_engine(args: argparse.Namespace) -> None:
    """Raise ValueError if options of a Ray cluster are given without one, or cannot be with one."""
    if args.engine == "ray":
        if args.workers == "auto":
            raise ValueError(
                "--workers is auto, which measures this machine; with --engine ray give a number."
            )
        return
    for name in ("address", "cpus_per_worker", "gpus_per_worker"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} is for a Ray cluster; add --engine ray, or leave it out.")


def connect(args: argparse.Namespace, store: "Store") -> "Ray | None":
    """The cluster that the arguments name; None if the workers are processes of this machine."""
    if args.engine == "local":
        return None
    from fashion_hpo.engines.ray import Ray

    return Ray(
        args.address, store, cpus=args.cpus_per_worker or 1, gpus=args.gpus_per_worker or 0.0
    )
