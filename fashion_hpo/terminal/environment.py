"""Check that this Python has the packages that the commands need; say how to install them."""

import os
import shlex
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

NEEDED = (
    "filelock", "jinja2", "mlflow", "numpy", "optuna", "pandas", "plotly", "rich", "scipy", "torch",
)  # fmt: skip
"""Checked before every command: without plotly, a study would fail after its training."""
OF_TRAINING = ("numpy", "torch")
PROJECTS = {"PIL": "pillow", "sklearn": "scikit-learn"}  # package by its module
CHECKOUT = Path(__file__).resolve().parents[2]


def missing(needed: Iterable[str] = NEEDED) -> str | None:
    """The sentence about the first needed package that is not installed; imports none of them."""
    absent = next((name for name in needed if find_spec(name) is None), None)
    return None if absent is None else advice(absent)


def advice(module: str) -> str:
    """The sentence about a missing module: in a checkout, the project's environment has it."""
    name = module.partition(".")[0]
    name = PROJECTS.get(name, name)
    start = f"package {name} is not installed for {sys.executable}"
    environment = CHECKOUT / ".venv"
    if (
        not (CHECKOUT / "pyproject.toml").is_file()
        or Path(sys.prefix).resolve() == environment.resolve()
    ):
        python = shlex.quote(sys.executable)
        return f"{start}; install it with `{python} -m pip install {name}`."
    activate = f"`. {_typed(environment / 'bin' / 'activate')}`, then run the command again"
    if (environment / "bin" / "activate").is_file():
        return f"{start}; activate the project's environment with {activate}."
    make = f"make -C {_typed(CHECKOUT)} .venv/installed"
    return f"{start}; make the project's environment with `{make}`, activate it with {activate}."


def _typed(path: Path) -> str:
    """A path quoted for the shell; relative if it is below the current folder."""
    here = Path.cwd()
    return shlex.quote(os.path.relpath(path) if path.is_relative_to(here) else str(path))
