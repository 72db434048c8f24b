"""Print sentences and tables: folded on a terminal, in whole lines for files and pipes.

Imports rich only if the output is a terminal, so that --help answers at once and a Python without
packages can say what to install.
"""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from fashion_hpo.terminal.console import Console


def say(*lines: str, stream: TextIO | None = None) -> None:
    """Print sentences, each on a line of its own."""
    stream = sys.stdout if stream is None else stream
    console = _console(stream)
    for line in lines:
        if console is None:
            print(line, file=stream)
        else:
            console.say(line)


def say_table(rows: Mapping[str, str], margin: int = 0) -> None:
    """Print each name with its text in a second column; leave out names without a text."""
    column = max(map(len, rows), default=0)
    under = "\n" + " " * (margin + column + 2)
    rows = {f"{name:{column}}": text for name, text in rows.items() if text}
    if console := _console(sys.stdout):
        console.say_table(rows, margin)
        return
    for name, text in rows.items():
        print(f"{'':{margin}}{name}  {text.replace(chr(10), under)}")


def _console(stream: TextIO) -> "Console | None":
    """None for a file or a pipe, and where rich is not installed."""
    if not stream.isatty() or find_spec("rich") is None:
        return None
    from fashion_hpo.terminal.console import Console

    return Console(stream)
