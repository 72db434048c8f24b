"""Which room may import which, and what a machine with torch and numpy alone can do."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ONLY_TORCH_AND_NUMPY = """
import importlib, sys
from importlib.abc import MetaPathFinder

ABSENT = {"mlflow", "optuna", "plotly", "pandas", "scipy", "sqlalchemy", "filelock", "PIL",
          "torchvision"}


class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is absent here", name=name)


sys.meta_path.insert(0, Absent())
for name in sys.argv[1:]:
    importlib.import_module(name)
print("imported")
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )


def with_torch_and_numpy_alone(*modules: str) -> subprocess.CompletedProcess[str]:
    return run("-c", ONLY_TORCH_AND_NUMPY, *modules)


def test_every_import_keeps_to_the_rooms() -> None:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    found = run("-c", code, "--no-cache")
    assert found.returncode == 0, found.stdout + found.stderr
    assert " kept, 0 broken." in found.stdout


def test_every_command_is_in_the_layers() -> None:
    """A new command must keep to the rooms as well."""
    commands = {path.stem for path in (PROJECT / "fashion_hpo").glob("[a-z]*.py")}
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    (layer,) = (line for line in text.splitlines() if " | fashion_hpo.report |" in line)
    assert {name.strip(' ",') for name in layer.split("|")} == {
        f"fashion_hpo.{c}" for c in commands
    }


def test_the_trainer_runs_where_there_is_torch_and_numpy_alone() -> None:
    training = PROJECT / "fashion_hpo" / "training"
    modules = [f"fashion_hpo.training.{path.stem}" for path in training.glob("[a-z]*.py")]
    assert {"fashion_hpo.training.train", "fashion_hpo.training.packaging"} < set(modules)
    found = with_torch_and_numpy_alone("fashion_hpo.design.config", *modules)
    assert (found.stdout, found.returncode) == ("imported\n", 0), found.stderr


@pytest.mark.parametrize("module", ["fashion_hpo.stores.layout", "fashion_hpo.design.spec"])
def test_the_other_rooms_need_more(module: str) -> None:
    """Proves that the test above can fail."""
    found = with_torch_and_numpy_alone(module)
    assert found.returncode == 1
    assert "is absent here" in found.stderr
