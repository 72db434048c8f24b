"""MLflow reads its settings when it is imported: they are there before, whoever imports it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
AT_THE_TOP = re.compile(r"^(from|import) mlflow", re.MULTILINE)
PACKAGES = {
    ".".join(path.relative_to(PROJECT).parent.parts)
    for path in (PROJECT / "fashion_hpo").rglob("*.py")
    if AT_THE_TOP.search(path.read_text(encoding="utf-8"))
}
SHOWN = "import sys, os, {}; print('mlflow' in sys.modules, os.environ['MLFLOW_DISABLE_TELEMETRY'])"


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_mlflow_finds_our_settings(package: str) -> None:
    """A package is imported before any of its modules."""
    unset = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-c", SHOWN.format(package)]
    shown = subprocess.run(
        command, cwd=PROJECT, env=unset, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "False true\n"
