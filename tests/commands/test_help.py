import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fashion_hpo.__main__ as dispatcher
from fashion_hpo import __version__

PACKAGE = Path(dispatcher.__file__).parent
COMMANDS = sorted(path.stem for path in PACKAGE.glob("[a-z]*.py"))
SLOW = {
    "torch",
    "mlflow",
    "optuna",
    "pandas",
    "numpy",
    "scipy",
    "plotly",
    "sqlalchemy",
    "PIL",
    "rich",
}
HELP_AND_MODULES = """
import importlib, sys

try:
    importlib.import_module(f"fashion_hpo.{sys.argv[1]}").main(["--help"])
except SystemExit as ended:
    print("code", ended.code, file=sys.stderr)
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    found = python("-m", f"fashion_hpo.{command}", "--help")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"usage: python -m fashion_hpo.{command} ")
    assert "--debug" in found.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_waits_for_no_slow_import(command: str) -> None:
    found = python("-c", HELP_AND_MODULES, command)
    code, modules = found.stderr.splitlines()
    assert code == "code 0"
    assert "argparse" in modules.split()
    assert SLOW & set(modules.split()) == set()


def test_the_dispatcher_lists_every_command() -> None:
    assert sorted(dispatcher.COMMANDS) == COMMANDS
    found = python("-m", "fashion_hpo")
    assert (found.returncode, found.stderr) == (0, "")
    listed = [line.split()[0] for line in found.stdout.splitlines() if line.startswith("  ")]
    assert sorted(listed) == COMMANDS


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_the_dispatcher_has_help(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher.main([argument]) == 0
    assert capsys.readouterr().out.startswith("usage: fashion-hpo COMMAND")


def test_the_dispatcher_refuses_what_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher.main(["studdy", "dropout_ablation"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: command is 'studdy'; did you mean study?\n")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_the_dispatcher_hands_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher.main(["study", "--list"]) == 0
    assert "dropout_ablation" in capsys.readouterr().out
    assert dispatcher.main(["study", "no_such_study"]) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_tells_the_version(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"fashion_hpo.{command}").main(["--version"])
    assert capsys.readouterr().out == f"fashion_hpo {__version__}\n"
    assert dispatcher.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fashion_hpo {__version__}\n"
