"""The completion of `fashion-hpo` for a shell, made from the commands' own parsers."""

import argparse
import importlib
import shlex

import shtab

from fashion_hpo.design.reports import PACKAGED
from fashion_hpo.design.study_file import list_studies
from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.commands import COMMANDS

LOCAL = "for f in studies/[a-z]*.py; do f=${f##*/}; echo ${f%.py}; done 2>/dev/null"
PREAMBLE = {
    "bash": """
_fashion_hpo_studies() {{ compgen -W "{known} $({local})" -- "$1"; }}
""",
    "zsh": """
_fashion_hpo_studies() {{ compadd -- {known} $({local}) }}
""",
}
STUDY = {"bash": "_fashion_hpo_studies", "zsh": "_fashion_hpo_studies"}
OF_STUDIES = ("study", "status", "report", "register", "doctor", "delete")
"""Commands whose `name` is a study."""


def completion(shell: str) -> str:
    """The shell's code: commands, options with their choices, files, and studies.

    The project's studies are listed in it; those of ./studies are looked up when Tab is pressed.
    """
    packaged = [name for name, path in list_studies().items() if path.parent == PACKAGED]
    known = shlex.join(sorted(packaged))
    preamble = PREAMBLE.get(shell, "").format(known=known, local=LOCAL)
    return shtab.complete(_parser(), shell=shell, preamble=preamble)


def _parser() -> argparse.ArgumentParser:
    """One parser with all commands below it."""
    root = argparse.ArgumentParser(prog="fashion-hpo")
    commands = root.add_subparsers()
    for name, purpose in COMMANDS.items():
        own = command_line.parser_of(importlib.import_module(f"fashion_hpo.{name}").main)
        for action in own._actions:
            if action.dest == "name" and name in OF_STUDIES:
                action.complete = STUDY  # type: ignore[attr-defined]  # read by shtab
            elif action.type in (command_line.folder, command_line.file):
                kind = shtab.DIRECTORY if action.type is command_line.folder else shtab.FILE
                action.complete = kind  # type: ignore[attr-defined]
        commands.add_parser(name, help=purpose, parents=[own], add_help=False)
    return root
