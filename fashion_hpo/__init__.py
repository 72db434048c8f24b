"""Hyperparameter studies on Fashion-MNIST, tracked in MLflow, answered with uncertainty."""

import getpass
import os
from pathlib import Path

__version__ = "0.1.0"

# A container's user may have neither HOME nor a passwd entry; MLflow and torch ask for both.
try:
    Path.home()
except RuntimeError:
    os.environ["HOME"] = "/nonexistent"  # as Debian does
try:
    getpass.getuser()
except (KeyError, OSError):  # OSError since Python 3.13
    os.environ["USER"] = str(os.getuid())
