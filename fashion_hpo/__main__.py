"""`fashion-hpo COMMAND ...` is `python -m fashion_hpo.COMMAND ...`."""

import importlib
import sys
from collections.abc import Sequence

from fashion_hpo import __version__
from fashion_hpo.design.sentences import did_you_mean, quoted
from fashion_hpo.terminal.commands import COMMANDS
from fashion_hpo.terminal.output import guarded
from fashion_hpo.terminal.saying import say, say_table


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code, or 2 for an unknown command."""
    given = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(given))


def _run(given: Sequence[str]) -> int:
    name, *arguments = given or ["--help"]
    if name in ("-h", "--help"):
        print("usage: fashion-hpo COMMAND ...")
        say_table(COMMANDS, margin=2)
        return 0
    if name == "--version":
        print(f"fashion_hpo {__version__}")
        return 0
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS) or f"choose one of {', '.join(COMMANDS)}."
        say(f"error: command is {quoted(name, 40)}; {hint}", stream=sys.stderr)
        return 2
    code: int = importlib.import_module(f"fashion_hpo.{name}").main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
