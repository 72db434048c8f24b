"""What every command shares: common arguments, one-sentence errors without passwords, exit codes.

Imports nothing slow, so that --help answers at once.
"""

import argparse
import atexit
import gc
import math
import os
import re
import shlex
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fashion_hpo import __version__
from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.ports import HOST
from fashion_hpo.design.sentences import with_store
from fashion_hpo.running.signals import Stopped
from fashion_hpo.terminal import environment, output
from fashion_hpo.terminal.folding import HelpFormatter
from fashion_hpo.terminal.saying import say

if TYPE_CHECKING:
    from fashion_hpo.design.data_set import DataSet

DEFAULT_STORE = Path("mlruns")
BAD_INPUT, HALTED = 2, 1
STORE_ERRORS = {"MlflowException", "SQLAlchemyError", "OptunaError"}
"""By name, because importing their packages takes seconds that --help does not have."""
TAKE_ADDRESSES = ("storage", "to", "tracking", "address", "checkpoints")  # arguments
ADDRESSES = ("FASHION_HPO_STORAGE", "MLFLOW_TRACKING_URI")
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
COLLECT_AFTER = (100_000, 50, 100)
"""Of garbage collection, more than Python's own thresholds, with which a start spends a quarter of
its time looking for garbage among what torch and MLflow import."""
SPINS = "10000"
"""How often a thread of OpenMP on Linux looks for work before it sleeps; the default, 300,000,
takes the core from threads that have work as soon as another program runs."""


class _Parser(argparse.ArgumentParser):
    """Its errors repeat what was typed, which may be an address with a password."""

    def error(self, message: str) -> NoReturn:
        super().error(environment.missing() or redacted(message, sys.argv))


def parser(command: str, purpose: str) -> argparse.ArgumentParser:
    """A parser with the arguments that all commands have."""
    parser = _Parser(
        prog=f"python -m fashion_hpo.{command}", description=purpose, formatter_class=HelpFormatter
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"fashion_hpo {__version__}")
    return parser


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store and --storage."""
    add_store_folder(parser)
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="Optuna's database, if not in the store (FASHION_HPO_STORAGE)",
    )


def add_store_folder(parser: argparse.ArgumentParser) -> None:
    """--store."""
    parser.add_argument(
        "--store", type=folder, default=DEFAULT_STORE, metavar="DIR", help="default: mlruns/"
    )


def store_arguments(args: argparse.Namespace) -> str:
    """--store and --storage as they were given, for a command to be pasted into a shell.

    An address with a password is not repeated; the shell takes it from FASHION_HPO_STORAGE.
    """
    from fashion_hpo.stores.layout import passwords_in

    words = []
    if args.store != DEFAULT_STORE:
        words += ["--store", shlex.quote(str(args.store.absolute()))]
    if storage := _given(args, "storage"):
        secret = passwords_in(storage)
        words += ["--storage", '"$FASHION_HPO_STORAGE"' if secret else shlex.quote(storage)]
    return "".join(f" {word}" for word in words)


def on_store(text: str, args: argparse.Namespace) -> str:
    """A text whose `python -m fashion_hpo.…` are for the store of this call."""
    return text if _given(args, "store") is None else with_store(text, store_arguments(args))


def _given(args: argparse.Namespace, name: str) -> Any:
    return getattr(args, name, None)


def add_changes(parser: argparse.ArgumentParser, what: str) -> None:
    """--set FIELD=VALUE, any number of times; `settings` reads them."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="changes", help=what
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """--data and --device."""
    add_data_folder(parser)
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps"
    )


def add_data_folder(parser: argparse.ArgumentParser) -> None:
    """--data."""
    parser.add_argument(
        "--data",
        type=folder,
        metavar="DIR",
        help="the data files' folder, or data of your own",
    )


def add_own_data(parser: argparse.ArgumentParser) -> None:
    """--data-name and --skip-bad; `data_of` reads them with --data."""
    parser.add_argument(
        "--data-name",
        metavar="NAME",
        help="with --data: that it is a data set of your own, and its name",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out unreadable files and images with two labels of your own data set",
    )


def add_champion_of(parser: argparse.ArgumentParser) -> None:
    """--data-name, for a command that uses a champion."""
    parser.add_argument(
        "--data-name",
        metavar="NAME",
        help="use the champion of a data set of your own",
    )


def data_of(args: argparse.Namespace, usual: "DataSet | None" = None) -> "Path | DataSet | None":
    """The data that a call names; else `usual`, a study's own."""
    from fashion_hpo.training.data import chosen_data

    if args.data is None and usual is not None and not args.data_name:
        return replace(usual.absolute(), skip_bad=usual.skip_bad or args.skip_bad)
    path = None if args.data is None else args.data.absolute()  # other processes may read it too
    return chosen_data(path, args.data_name, args.skip_bad)


def add_budget(parser: argparse.ArgumentParser, default: str | None, note: str) -> None:
    """--budget."""
    parser.add_argument("--budget", choices=BUDGETS, default=default, help=note)


def add_port(parser: argparse.ArgumentParser, default: int) -> None:
    """--port."""
    parser.add_argument(
        "--port", type=int, default=default, metavar="N", help=f"default: {default}"
    )


def check_port(port: int) -> None:
    """Raise ValueError if no server can listen there."""
    if not 1 <= port <= 65535:
        raise ValueError(f"--port is {port}; allowed is 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ValueError(
                f"--port is {port}, which cannot be had ({error.strerror}); choose another."
            ) from None


def folder(text: str) -> Path:
    """An argument's type: a folder, which a variable that is not set does not name.

    ~ is a home folder here too: shells leave it as it is in --store=~/runs.
    """
    return _path(text, "a folder")


def file(text: str) -> Path:
    """An argument's type: a file, under the same rules."""
    return _path(text, "a file")


def _path(text: str, kind: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError(f"it is empty; name {kind}")
    return Path(os.path.expanduser(text))


def positive(text: str) -> int:
    """An argument's type: a whole number from 1."""
    return _whole(text, 1)


def from_zero(text: str) -> int:
    """An argument's type: a whole number from 0."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least}")
    return int(text)


def seconds(text: str) -> float:
    """An argument's type: a number of seconds, finite and above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:  # no comparison holds for NaN
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return number


def settings(pairs: Sequence[str]) -> dict[str, str]:
    """`--set field=value` as a dict; raises ValueError for text without an equals sign, and for a
    field that has two values."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--set is {pair!r}; write it as field=value.")
        if name in values:
            raise ValueError(
                f"--set gives {name} two values, {values[name]!r} and {value!r}; leave one out."
            )
        values[name] = value
    return values


_collected: list[argparse.ArgumentParser] | None = None


def parser_of(command: Callable[[Sequence[str]], int]) -> argparse.ArgumentParser:
    """The parser of a command's `main`, which is not run."""
    global _collected
    _collected = []
    try:
        command([])
        (parser,) = _collected
    finally:
        _collected = None
    return parser


def run_alone(main: Callable[[], int]) -> NoReturn:
    """Run a command's `main` as the whole of this process.

    The process ends without freeing each object that torch and MLflow made, which takes seconds.
    """
    code = HALTED

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(end)  # the first that is registered runs last
    try:
        code = main()
    except BaseException:  # such as SystemExit for a wrong argument
        atexit.unregister(end)
        raise
    sys.exit(code)


def run(
    main: Callable[[argparse.Namespace], int],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    needed: Callable[[argparse.Namespace], Iterable[str]] = lambda args: environment.NEEDED,
) -> int:
    """Parse the arguments and run the command; an error becomes one sentence and an exit code.

    `needed`: the packages that a call needs.
    """
    if _collected is not None:
        _collected.append(parser)
        return 0

    def parsed() -> int:
        args = parser.parse_args(argv)
        return _run(main, args, needed(args))

    return output.guarded(parsed)


def _run(
    main: Callable[[argparse.Namespace], int], args: argparse.Namespace, needed: Iterable[str]
) -> int:
    if sentence := environment.missing(needed):
        print(f"error: {sentence}", file=sys.stderr)
        return BAD_INPUT
    gc.set_threshold(*COLLECT_AFTER)
    if "OMP_WAIT_POLICY" not in os.environ:  # read when torch is imported, also by workers
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    try:
        _check_addresses(args)
        return main(args)
    except output.ClosedOutputError:
        raise
    except Stopped as stopped:
        print(f"\nstopped by {stopped}; the same command goes on from here.", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        from fashion_hpo.stores.failures import disk_full, is_disk_full, reason_of

        if is_disk_full(error):
            return _refuse(disk_full(error, getattr(args, "store", Path.cwd())), args, HALTED)
        if isinstance(error, (ValueError, OSError, RuntimeError)):
            return _refuse(
                str(error), args, HALTED if isinstance(error, RuntimeError) else BAD_INPUT
            )
        if isinstance(error, ModuleNotFoundError) and not _is_ours(error):
            return _refuse(environment.advice(str(error.name)), args, BAD_INPUT)
        if STORE_ERRORS.intersection(kind.__name__ for kind in type(error).__mro__):
            return _refuse(reason_of(error), args, HALTED)
        _print_traceback(args)
        print("error: this is a bug of fashion_hpo; please report it.", file=sys.stderr)
        return HALTED


def _check_addresses(args: argparse.Namespace) -> None:
    """Refuse an address in any other argument: a message could repeat its password."""
    for name, value in vars(args).items():
        if name not in TAKE_ADDRESSES and isinstance(value, str) and "://" in value:
            raise ValueError(f"{name} is an address; give addresses by --storage.")


def redacted(text: str, typed: Iterable[str] = ()) -> str:
    """The text with *** for passwords: those in typed addresses and those in the environment."""
    from fashion_hpo.stores.layout import passwords_in, without_password

    secrets = {os.environ.get(name, "") for name in SECRETS} - {""}
    for address in (*typed, *(os.environ.get(name, "") for name in ADDRESSES)):
        secrets |= passwords_in(address)
    for secret in sorted(secrets, key=len, reverse=True):
        # A short secret is replaced as a whole word only: it is a part of other words by chance.
        edge = r"\b" if len(secret) < 4 and secret.isalnum() else ""
        text = re.sub(f"{edge}{re.escape(secret)}{edge}", "***", text)
    return without_password(text)


def _is_ours(error: ModuleNotFoundError) -> bool:
    return str(error.name).partition(".")[0] == __package__.partition(".")[0]


def _refuse(text: str, args: argparse.Namespace, code: int) -> int:
    if args.debug:
        _print_traceback(args)
    sentence = redacted(text, _typed(args))
    say(f"error: {on_store(' '.join(sentence.split()), args)}", stream=sys.stderr)
    return code


def _print_traceback(args: argparse.Namespace) -> None:
    print(redacted(traceback.format_exc(), _typed(args)), end="", file=sys.stderr)


def _typed(args: argparse.Namespace) -> list[str]:
    return [value for value in vars(args).values() if isinstance(value, str)]
