"""What commands do where their output cannot be taken, as processes of their own."""

import os
import subprocess
import sys

import pytest

from fashion_hpo.terminal.output import CLOSED_PIPE

STATUS = "{python} -m fashion_hpo.status dropout_ablation --store {store}"
COMMANDS = (
    STATUS,
    "{python} -m fashion_hpo.study --list",
    "{python} -m fashion_hpo",
    "{python} -m fashion_hpo.predict --help",
)


def shell(
    command: str, stdout: int = subprocess.PIPE, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run by a shell, which can redirect."""
    return subprocess.run(
        command.format(python=sys.executable, store="/tmp/nowhere/store"),
        shell=True,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_a_terminal_cannot_show_looks_alike(encoding: str) -> None:
    code = "from fashion_hpo.terminal import output; output.protect(); print('▁▄█ 1 – 2 → 3… ☃')"
    said = shell(f'{{python}} -c "{code}"', PYTHONIOENCODING=encoding)
    assert (said.returncode, said.stdout) == (0, "_-# 1 - 2 -> 3... ?\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirected", ["> /dev/full", ">&-", "2>&-", ""])
def test_output_that_goes_nowhere_is_no_error(command: str, redirected: str) -> None:
    said = shell(f"{command} {redirected}", PYTHONIOENCODING="ascii", COLUMNS="0", TERM="dumb")
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS[:3])  # argparse itself forgives it of --help
def test_a_reader_that_has_gone_is_an_exit_code_without_a_traceback(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        said = shell(command, writer)
    finally:
        os.close(writer)
    assert (said.returncode, said.stderr) == (CLOSED_PIPE, "")


@pytest.mark.parametrize("redirected", ["2>&-", "2>/dev/full"])
def test_an_error_that_cannot_be_printed_keeps_its_exit_code(redirected: str) -> None:
    said = shell(f"{{python}} -m fashion_hpo.status no_such_study {redirected}")
    assert (said.returncode, said.stdout, said.stderr) == (2, "", "")
