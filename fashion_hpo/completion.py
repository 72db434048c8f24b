"""Print a shell's completion of `fashion-hpo`: `python -m fashion_hpo.completion bash`."""

import argparse
import sys
from collections.abc import Sequence

from fashion_hpo.terminal import command_line

SHELLS = ("bash", "zsh")


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 if shtab is not installed."""
    parser = command_line.parser(
        "completion",
        "Print the completion of `fashion-hpo` for a shell: its commands, their options, and the "
        'names of studies.  For bash, put `eval "$(python -m fashion_hpo.completion bash)"` into '
        "~/.bashrc.",
    )
    parser.add_argument("shell", choices=SHELLS)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.terminal.completing import completion

    print(completion(args.shell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
