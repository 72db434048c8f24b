"""Fold text between words, and argparse's help so."""

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable

PART = re.compile(r"\[.*?\]+(?=\s|$)|\S+")  # of a usage line: an option with its value
GAP = "\0"  # stands for a space inside a PART


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` characters, broken at spaces alone; `indent` starts those added."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


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
