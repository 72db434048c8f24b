"""The reports' claims, which stand beside the studies that ask them: `studies/_reports.py`."""

import runpy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple


def _packaged() -> Path:
    """The project's studies: in the installed package, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "studies", package.parent
    if installed.is_dir() or not (checkout / "pyproject.toml").is_file():
        return installed  # what lies beside an installed package is another's
    return checkout / "studies"


PACKAGED = _packaged()


class ReportedClaim(NamedTuple):
    """A claim of one of the five reports, and the figure that the report gives for the claim."""

    text: str
    figure: str


class Reports(NamedTuple):
    """The reports' titles by their number (R0), and their claims by id (R0.a), in order."""

    titles: Mapping[str, str]
    claims: Mapping[str, ReportedClaim]


@cache
def reports() -> Reports:
    """What the reports claim; nothing where the project's studies are not installed."""
    path = PACKAGED / "_reports.py"
    if not path.is_file():
        return Reports({}, {})
    values = runpy.run_path(str(path))
    claims = {name: ReportedClaim(*claim) for name, claim in values["CLAIMS"].items()}
    return Reports(values["REPORTS"], claims)
