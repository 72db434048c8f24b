"""Sentences and tables for a terminal, folded between words; files and pipes get whole lines.

Imports rich only if the output is a terminal, so that --help answers at once and a Python without
packages can say what to install.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from fashion_hpo.terminal.console import Console

PART = re.compile(r"\[.*?\]+(?=\s|$)|\S+")  # of a usage line: an option with its value
GAP = "\0"  # stands for a space inside a PART


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` characters, broken at spaces alone; `indent` starts those added."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


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


class HelpFormatter(argparse.HelpFormatter):
    """argparse's formatter, but breaks no word, not even at a hyphen, and fits the width."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return folded(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.indent("\n".join(self._split_lines(text, width - len(indent))), indent)

    def _format_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None,
    ) -> str:
        width, self._width = self._width, sys.maxsize  # one line first: lines that
        whole = super()._format_usage(usage, actions, groups, prefix)  # argparse folds may be wider
        self._width = width
        parts = [part.replace(" ", GAP) for part in PART.findall(whole)]
        lines = folded(" ".join(parts), width, indent="    ")
        return "\n".join(lines).replace(GAP, " ") + "\n\n"
