"""Hyperparameter studies on Fashion-MNIST, tracked in MLflow, answered with uncertainty."""

import getpass
import os
from pathlib import Path

__version__ = "0.1.0"

# In a container, a user may have neither HOME nor a passwd entry; MLflow and torch need both.
try:
    Path.home()
except RuntimeError:
    os.environ["HOME"] = "/nonexistent"  # Debian's value
try:
    getpass.getuser()
except (KeyError, OSError):  # OSError since Python 3.13
    os.environ["USER"] = str(os.getuid())
