"""What commands do where their output cannot be taken, as processes of their own."""

import os
import subprocess
import sys

import pytest

STATUS = "{python} -m fashion_hpo.status dropout_ablation --store {store}"
LISTED = "{python} -m fashion_hpo.study --list"


def shell(command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run by bash, which ends with the first exit code that is not 0 of a pipe."""
    line = command.format(python=sys.executable, store="/tmp/nowhere/store")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_a_terminal_cannot_show_looks_alike(encoding: str) -> None:
    code = "from fashion_hpo.reporting import output; output.protect(); print('▁▄█ 1 – 2 → 3… ☃')"
    said = shell(f'{{python}} -c "{code}"', PYTHONIOENCODING=encoding)
    assert (said.returncode, said.stdout) == (0, "_-# 1 - 2 -> 3... ?\n")


@pytest.mark.parametrize("command", [STATUS, LISTED, "{python} -m fashion_hpo.predict --help"])
@pytest.mark.parametrize(
    ("redirected", "code"),
    [("> /dev/full", 0), (">&-", 0), ("2>&-", 0), ("| true", 141), ("", 0)],
)
def test_commands_end_with_an_exit_code_and_no_traceback(
    command: str, redirected: str, code: int
) -> None:
    said = shell(f"{command} {redirected}", PYTHONIOENCODING="ascii", COLUMNS="0", TERM="dumb")
    assert (said.returncode, said.stderr) == (code, "")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_printed_keeps_its_exit_code(redirected: str) -> None:
    said = shell(f"{{python}} -m fashion_hpo.status no_such_study {redirected}")
    assert (said.returncode, said.stdout, said.stderr) == (2, "", "")
