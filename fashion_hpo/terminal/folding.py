"""Sentences and tables for a terminal, folded between words; files and pipes get whole lines.

Imports nothing slow, so that --help answers at once.
"""

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import TextIO

USUAL = 80  # columns of a terminal that does not say how many it has
PART = re.compile(r"\[.*?\]+(?=\s|$)|\S+")  # of a usage line: an option with its value
GAP = "\0"  # a space inside such a part


def width_of(stream: TextIO) -> int | None:
    """A terminal's columns; None where lines stay whole."""
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")  # what the person says, before what the terminal does
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (ValueError, OSError):
        return USUAL


def fold(text: str, width: int | None, indent: str = "") -> str:
    """Lines of at most `width` columns, broken at spaces alone; `indent` starts those added."""
    if width is None:
        return text
    return "\n".join(_folded(line, width, indent) for line in text.split("\n"))


def say(*lines: str, stream: TextIO | None = None, indent: str = "") -> None:
    """Print sentences, each on a line of its own; `indent` starts what a terminal adds."""
    stream = sys.stdout if stream is None else stream
    width = width_of(stream)
    for line in lines:
        print(fold(line, width, indent), file=stream)


def say_table(rows: Mapping[str, str], margin: str = "") -> None:
    """Print names with what is said of them beside; the column is as wide as the longest name."""
    column = max(map(len, rows), default=0)
    width = width_of(sys.stdout)
    indent = " " * (len(margin) + column + 2)
    if width is not None and len(indent) > width // 2:
        indent = f"{margin}    "
    for name, what in rows.items():
        print(fold(f"{margin}{name:{column}}  {what}", width, indent))


class HelpFormatter(argparse.HelpFormatter):
    """argparse's, which breaks no word, also not at its hyphen, and keeps to the width."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _folded(" ".join(text.split()), width, "").splitlines()

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.indent("\n".join(self._split_lines(text, width - len(indent))), indent)

    def _format_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None,
    ) -> str:
        width, self._width = self._width, sys.maxsize  # in one line first: argparse's own may be
        whole = super()._format_usage(usage, actions, groups, prefix)  # wider than the terminal
        self._width = width
        parts = [part.replace(" ", GAP) for part in PART.findall(whole)]
        return _folded(" ".join(parts), width, "    ").replace(GAP, " ") + "\n\n"


def _folded(line: str, width: int, indent: str) -> str:
    if len(line) <= width:
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
