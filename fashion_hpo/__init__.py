"""Hyperparameter studies on Fashion-MNIST, tracked in MLflow, answered with uncertainty."""

import getpass
import importlib
import os
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

PLACES = {
    "TrainConfig": "design.config", "DataSet": "design.data_set",
    **dict.fromkeys(("Budget", "Claim", "Search", "StudySpec", "levels"), "design.spec"),
    **dict.fromkeys(("StudyResult", "load"), "results.result"), "run": "results.run",
}  # fmt: skip
"""The Python API: names, and the modules that they are imported from at first use."""


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])


# In a container, a user may have neither HOME nor a passwd entry; MLflow and torch need both.
try:
    Path.home()
except RuntimeError:
    os.environ["HOME"] = "/nonexistent"  # Debian's value
try:
    getpass.getuser()
except (KeyError, OSError):  # OSError since Python 3.13
    os.environ["USER"] = str(os.getuid())
