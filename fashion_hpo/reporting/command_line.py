"""What every command shares: common arguments, one-sentence errors, exit codes.

Imports nothing slow, so that --help answers at once.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.running.signals import Stopped

DEFAULT_STORE = Path("mlruns")
BAD_INPUT, HALTED = 2, 1
STORE_ERRORS = {"MlflowException", "SQLAlchemyError", "OptunaError"}
"""By name, because importing their packages takes seconds that --help does not have."""


def parser(command: str, purpose: str) -> argparse.ArgumentParser:
    """A parser with the arguments that all commands have."""
    made = argparse.ArgumentParser(prog=f"python -m fashion_hpo.{command}", description=purpose)
    made.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return made


def add_store(made: argparse.ArgumentParser) -> None:
    """--store and --storage."""
    made.add_argument(
        "--store", type=Path, default=DEFAULT_STORE, metavar="DIR", help="default: mlruns/"
    )
    made.add_argument(
        "--storage",
        metavar="URL",
        help="Optuna's database, if not in the store (FASHION_HPO_STORAGE)",
    )


def add_data(made: argparse.ArgumentParser) -> None:
    """--data and --device."""
    made.add_argument("--data", type=Path, metavar="DIR", help="folder of the data files")
    made.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")


def add_budget(made: argparse.ArgumentParser, default: str | None, note: str) -> None:
    """--budget."""
    made.add_argument("--budget", choices=BUDGETS, default=default, help=note)


def positive(text: str) -> int:
    """An argument's type: a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return number


def settings(pairs: Sequence[str]) -> dict[str, str]:
    """`--set field=value` as a dict; raises ValueError for text without an equals sign."""
    for pair in pairs:
        if "=" not in pair:
            raise ValueError(f"--set is {pair!r}; write it as field=value.")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def run(
    main: Callable[[argparse.Namespace], int],
    made: argparse.ArgumentParser,
    argv: Sequence[str] | None,
) -> int:
    """Parse, run, and turn what goes wrong into one sentence and an exit code."""
    args = made.parse_args(argv)
    try:
        return main(args)
    except Stopped as stopped:
        print(f"\nstopped by {stopped}; the same command goes on from here.", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except (ValueError, OSError, RuntimeError) as error:
        return _told(error, args, HALTED if isinstance(error, RuntimeError) else BAD_INPUT)
    except Exception as error:
        if not STORE_ERRORS.intersection(kind.__name__ for kind in type(error).__mro__):
            raise  # our own bug
        return _told(error, args, HALTED)


def _told(error: Exception, args: argparse.Namespace, code: int) -> int:
    if args.debug:
        traceback.print_exc()
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code
