"""Rich's console, with this project's promises about output."""

import shutil
from collections.abc import Mapping
from typing import TextIO

import rich.console
from rich.padding import Padding
from rich.table import Column, Table

from fashion_hpo.terminal.folding import folded


class Console(rich.console.Console):
    """Prints text without markup: folded for a terminal, in whole lines for a file or pipe."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(
            file=stream,
            force_terminal=stream.isatty(),  # FORCE_COLOR makes no terminal of a file
            force_jupyter=False,
            markup=False,
            emoji=False,
            highlight=False,
        )
        if self.is_dumb_terminal or not self.width:  # rich takes 80 columns, and COLUMNS=0 as 0
            self.size = shutil.get_terminal_size()

    def say(self, text: str) -> None:
        """Print lines, on a terminal folded between words: rich breaks or cuts long words."""
        if self.is_terminal:
            text = "\n".join("\n".join(folded(line, self.width)) for line in text.split("\n"))
        self.print(text, soft_wrap=True)

    def say_table(self, rows: Mapping[str, str], margin: int) -> None:
        """Print each name with its text in a second column, or below names that are long."""
        table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
        column = max(map(len, rows), default=0)
        if margin + column + 2 <= self.width // 2:
            for name, text in rows.items():
                table.add_row(name, text)
            self.print(Padding.indent(table, margin))
            return
        for name, text in rows.items():
            self.say(" " * margin + name)
            self.print(Padding.indent(text, margin + 4))

    def on_broken_pipe(self) -> None:
        """Raise the error: rich itself would end the process with exit code 1."""
        raise

    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor as it is: a process that is killed could not show it again."""
        return False
