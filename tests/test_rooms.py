"""Which room may import which, and what a machine with torch and numpy alone can do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ONLY_TORCH_AND_NUMPY = """
import importlib, sys
from importlib.machinery import PathFinder

ABSENT = {"mlflow", "optuna", "plotly", "pandas", "scipy", "sqlalchemy", "filelock", "PIL",
          "torchvision"}


@classmethod
def unless_absent(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in ABSENT else installed(name, path, target)


installed, PathFinder.find_spec = PathFinder.find_spec, unless_absent
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


def test_the_gpus_tests_are_collected_where_there_is_torch_and_numpy_alone() -> None:
    """And pytest: `make gpu` needs no installation."""
    options = ("tests/gpu", "--confcutdir", "tests/gpu", "--collect-only", "-q", "-n0")
    code = f"{ONLY_TORCH_AND_NUMPY}import pytest\nsys.exit(pytest.main({list(options)}))"
    found = run("-c", code)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("module", ["fashion_hpo.stores.layout", "fashion_hpo.design.spec"])
def test_the_other_rooms_need_more(module: str) -> None:
    """Proves that the test above can fail."""
    found = with_torch_and_numpy_alone(module)
    assert found.returncode == 1
    assert "ModuleNotFoundError: No module named" in found.stderr


OPENS = {"read_text", "write_text", "open", "fdopen"}
RUNS = {"run", "Popen", "check_output"}


def of_no_encoding(code: str) -> Iterator[ast.Call]:
    """Calls that read or write text in the encoding that the machine happens to have."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        options = {word.arg for word in node.keywords}
        texts = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
        modes = [word.value for word in texts if isinstance(word, ast.Constant)]
        binary = any(isinstance(mode, str) and "b" in mode and len(mode) < 4 for mode in modes)
        opens = name in OPENS and not binary and ast.unparse(node.func) not in OTHERS
        runs = name in RUNS and options & {"text", "universal_newlines"}
        if (opens or runs) and "encoding" not in options:
            yield node


OTHERS = {"os.open", "Image.open", "webbrowser.open"}  # what is opened there is no text


def test_text_has_an_encoding_that_no_machine_changes() -> None:
    for folder in ("fashion_hpo", "studies"):
        for path in (PROJECT / folder).rglob("*.py"):
            calls = of_no_encoding(path.read_text(encoding="utf-8"))
            assert not [f"{path.name}:{call.lineno}" for call in calls]


@pytest.mark.parametrize("code", [
    "path.read_text()", "open(path)", "path.open('a')", "path.open(mode='w')", "path.write_text(a)",
    "subprocess.run(command, text=True)",
])  # fmt: skip
def test_text_without_an_encoding_is_seen(code: str) -> None:
    assert [*of_no_encoding(code)]
    assert not [*of_no_encoding(f"{code[:-1]}, encoding='utf-8')".replace("(, ", "("))]
