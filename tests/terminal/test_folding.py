"""Terminals get lines that fit, broken at spaces alone; files and pipes get whole lines."""

import fcntl
import importlib
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path

import pytest

from fashion_hpo import __main__ as dispatcher
from fashion_hpo import study
from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.console import Console
from fashion_hpo.terminal.saying import say, say_table

WIDTHS = (60, 80, 120)
LONGEST_NAME = "a_study_of_the_longest_name_that_is_allowed_which_is_63_letters"
QUESTION = "Does side-by-side-training_of_a_network change what label_smoothing gives, and why?"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard output from here on: a terminal of this width."""
    stream = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def assert_fits(text: str, width: int) -> None:
    """No line is wider, but for one word that is."""
    for line in text.splitlines():
        assert len(line) <= width or len(line.split()) == 1, line


def help_of(command: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    stream = StringIO()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit):
        importlib.import_module(f"fashion_hpo.{command}").main(["--help"])
    return stream.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", dispatcher.COMMANDS)
def test_help_fits_and_breaks_no_word(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = help_of(command, width, monkeypatch)
    assert_fits(told, width)
    assert told.split() == help_of(command, 10_000, monkeypatch).split()


def test_every_option_says_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in dispatcher.COMMANDS:
        told = help_of(command, 1000, monkeypatch)
        for option in re.finditer(r"^  (-\S+(?: [A-Z]\S*)?)((?:  .*)?\n(?: {10}.*)?)", told, re.M):
            assert option[2].strip(), f"{command} {option[1]}"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_of_commands_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(width, monkeypatch)
    assert dispatcher.main(["--help"]) == 0
    assert_fits(stream.getvalue(), width)
    assert {line.split()[0] for line in stream.getvalue().splitlines()} >= set(dispatcher.COMMANDS)


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    for name in (LONGEST_NAME, "mine"):
        (tmp_path / "studies" / f"{name}.py").write_text(f'"""{QUESTION}"""\n')


@pytest.mark.usefixtures("studies")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["study", "train"])
def test_a_list_fits_and_breaks_no_word(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = terminal(width, monkeypatch)
    assert importlib.import_module(f"fashion_hpo.{command}").main(["--list"]) == 0
    assert_fits(stream.getvalue(), width)
    words = stream.getvalue().split()
    if command == "study":
        assert words.count(LONGEST_NAME) == 1
        assert " ".join(words).count(QUESTION) == 2
    else:
        assert {"label_smoothing", "resnet18_dilated,"} < set(words)


@pytest.mark.usefixtures("studies")
def test_a_file_gets_a_line_for_each_study_in_two_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert importlib.import_module("fashion_hpo.study").main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    column = len(LONGEST_NAME)
    assert {line[column : column + 2] for line in lines} == {"  "}
    assert all(line[column + 2] != " " for line in lines)
    assert f"{'mine':{column}}  {QUESTION}" in lines


@pytest.mark.parametrize("width", WIDTHS)
def test_a_narrow_terminal_has_the_text_under_a_long_name(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = terminal(width, monkeypatch)
    say_table({LONGEST_NAME: QUESTION})
    first, *others = stream.getvalue().splitlines()
    assert first.startswith(LONGEST_NAME)
    assert (others != []) == (len(LONGEST_NAME) + 2 + len(QUESTION) > width)
    assert all(line.startswith("    ") for line in others)


@pytest.mark.parametrize("width", WIDTHS)
def test_sentences_and_errors_fit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(width, monkeypatch)
    say(f"{QUESTION} " * 3, "", "short")
    assert_fits(stream.getvalue(), width)
    assert stream.getvalue().endswith("\n\nshort\n")
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)

    def refuse(_: object) -> int:
        raise ValueError(f"{QUESTION} " * 3)

    assert command_line.run(refuse, command_line.parser("status", "Fail."), []) == 2
    assert_fits(stream.getvalue(), width)
    assert " ".join(stream.getvalue().split()) == f"error: {' '.join([QUESTION] * 3)}"


def test_the_lines_of_a_dry_run_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(30, monkeypatch)
    assert study.main(["dropout_ablation", "--dry-run"]) == 0
    assert "nothing was trained" in " ".join(stream.getvalue().split())
    assert_fits(stream.getvalue(), 30)


def test_a_pipe_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = StringIO()
    say(QUESTION * 3, stream=stream)
    assert stream.getvalue() == f"{QUESTION * 3}\n"


@pytest.mark.parametrize(("columns", "width"), [("0", 80), ("wide", 80), ("60", 60)])
@pytest.mark.parametrize("kind", ["dumb", "xterm"])
def test_a_terminal_that_does_not_say_its_width_has_the_usual_one(
    columns: str, width: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "get_terminal_size", unknown_size)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", kind)
    assert Console(Terminal()).width == width


def unknown_size(*_: int) -> os.terminal_size:
    return os.terminal_size((0, 0))


def test_a_table_says_nothing_of_names_without_a_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"a": "one\ntwo", "empty": "", "bb": "[three]"}
    say_table(rows, margin=2)
    assert capsys.readouterr().out == "  a      one\n         two\n  bb     [three]\n"
    stream = terminal(60, monkeypatch)
    say_table(rows, margin=2)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert lines == ["  a      one", "         two", "  bb     [three]"]


def test_a_path_that_is_wider_than_the_terminal_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, path = terminal(60, monkeypatch), "/".join(["folder"] * 12)
    say(f"report {path}")
    assert stream.getvalue() == f"report\n{path}\n"


def test_a_real_terminal_is_asked_for_its_width() -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    environment = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "fashion_hpo", "x" * 100]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower,
        env=environment, check=False,
    )  # fmt: skip
    os.close(follower)
    told = os.read(leader, 4096).decode()
    os.close(leader)
    assert ended.returncode == 2
    assert_fits(told, 60)
    assert told.count("\n") > 1
