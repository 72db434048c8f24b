"""Addresses as people type them: refused in a sentence, their passwords never repeated."""

import argparse
import importlib
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image

from fashion_hpo.stores.addresses import AddressError, checked_storage, checked_tracking
from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.command_line import on_store, store_arguments

SECRET = "Zq7{0}xK9w{0}vJ5nM"  # its pieces are in no other text
SIGNS = "@:/#?%& '\"{"
COMMANDS = {
    "status": ["mixup_ablation"],
    "report": ["mixup_ablation"],
    "register": ["mixup_ablation"],
    "doctor": [],
    "predict": ["boot.png"],
    "ui": [],
}
DATABASE = "postgresql+psycopg://user:{}@127.0.0.1:1/database"
SERVER = "http://user:{}@127.0.0.1:1"
REFUSED_STORAGES = [
    ("sqlite://", "in memory"),
    ("sqlite:///:memory:", "in memory"),
    ("sqlite:///file:x?mode=memory&uri=true", "is not a path"),
    ("sqlite://x.db", "is not a path"),
    ("sqlite:////no/such/folder/x.db", "/no/such/folder, which does not exist; create that folder"),
    ("sqlite:////tmp", "names the folder /tmp"),
    ("/tmp", "does not begin with a scheme; allowed are sqlite:///FILE"),
    ("me:s3cret@host", "does not begin with a scheme; allowed are sqlite:///FILE"),
    ("", "does not begin with a scheme; allowed are sqlite:///FILE"),
    (" ", "does not begin with a scheme; allowed are sqlite:///FILE"),
    ("journal://x", "has the scheme journal; allowed are"),
    ("redis://host", "has the scheme redis; allowed are"),
    ("http://host", "has the scheme http; allowed are"),
    ("mysql://host/database", "needs the Python package MySQLdb, which is not installed"),
    ("postgresql+nothing://host/database", "a driver that SQLAlchemy does not know"),
    ("postgresql://host:one/database", "let a port be a number"),
]  # fmt: skip
REFUSED_TRACKING = [
    ("mlruns", "does not begin with a scheme; allowed are http://SERVER"),
    ("/tmp/mlruns", "does not begin with a scheme; allowed are http://SERVER"),
    (" ", "does not begin with a scheme; allowed are http://SERVER"),
    ("databricks", "does not begin with a scheme; allowed are http://SERVER"),
    ("file:///tmp/mlruns", "has the scheme file; allowed are http://SERVER"),
    ("ftp://host", "has the scheme ftp; allowed are http://SERVER"),
    ("http://host:one", "let a port be a number"),
    ("http://host:1 ", "is not http://HOST:PORT/PATH, with USER:PASSWORD@"),
    ("sqlite:///:memory:", "in memory"),
]
ACCEPTED = [
    "sqlite:///x.db", "postgresql://user@host/database", "postgresql://user:p%40ss@host:1/d",
    "postgresql://[::1]:5432/d", "postgresql:///d?host=%2Frun&user=me",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, with no address from the environment."""
    for name in (*command_line.ADDRESSES, *command_line.SECRETS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)


def pieces(password: str) -> set[str]:
    """Every part of three characters and more; the shorter ones are parts of longer ones."""
    return {password[i : i + 3] for i in range(len(password) - 2)}


def said(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> str:
    """What a command prints."""
    importlib.import_module(f"fashion_hpo.{command}").main([*COMMANDS[command], *arguments])
    out, err = capsys.readouterr()
    assert "this is a bug" not in err
    return out + err


@pytest.mark.parametrize("sign", [*SIGNS, "p@ss:w#rd/"])
@pytest.mark.parametrize("given", ["--storage", "FASHION_HPO_STORAGE", "MLFLOW_TRACKING_URI"])
def test_no_piece_of_a_password_is_printed(
    sign: str, given: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (28, 28)).save("boot.png")
    address = (SERVER if given == "MLFLOW_TRACKING_URI" else DATABASE).format(SECRET.format(sign))
    option = ["--storage", address] if given == "--storage" else []
    if not option:
        monkeypatch.setenv(given, address)
    for command in COMMANDS if given == "MLFLOW_TRACKING_URI" else list(COMMANDS)[:4]:
        text = said(capsys, command, *option, "--debug")
        assert [piece for piece in pieces(SECRET.format(sign)) if piece in text] == []


@pytest.mark.parametrize("sign", SIGNS)
def test_a_password_is_accepted_percent_encoded(sign: str) -> None:
    password = quote(SECRET.format(sign), safe="")
    assert checked_storage(DATABASE.format(password)) == DATABASE.format(password)
    assert checked_tracking(SERVER.format(password)) == SERVER.format(password)


def test_a_mistyped_option_with_a_password_of_several_words_is_not_repeated() -> None:
    address = DATABASE.format("s3 cret pass")
    command = [sys.executable, "-m", "fashion_hpo.status", f"--stoarge={address}"]
    err = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert err == "error: name is an address; give addresses by --storage.\n"
    assert "s3 c" not in err


@pytest.mark.parametrize(("address", "reason"), REFUSED_STORAGES)
def test_a_storage_that_cannot_be_one_is_refused(
    address: str, reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    err = said(capsys, "status", "--storage", address)
    assert err.startswith("error: storage (--storage or FASHION_HPO_STORAGE) ")
    assert reason in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("address", "reason"), REFUSED_TRACKING)
def test_a_tracking_address_that_cannot_be_one_is_refused(
    address: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    err = said(capsys, "status")
    assert err.startswith("error: tracking address (MLFLOW_TRACKING_URI) ")
    assert reason in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ACCEPTED)
def test_what_is_an_address_is_left_as_it_is(address: str) -> None:
    assert checked_storage(address) == address
    assert checked_tracking(address) == address


def test_who_reads_a_password_in_two_ways_refuses_it() -> None:
    for address in ("postgresql://h:1/d?user=me&password=p@ss", "postgresql://u/x:p@host/d"):
        with pytest.raises(AddressError, match="percent-encode"):
            checked_storage(address)


def arguments(*typed: str) -> argparse.Namespace:
    made = command_line.parser("status", "Look.")
    command_line.add_store(made)
    return made.parse_args(typed)


@pytest.mark.parametrize("name", ["a store", "a'b\"c", "$HOME", "-dash", "100%", "~", "`id`"])
def test_printed_commands_name_the_store_for_a_shell(name: str, tmp_path: Path) -> None:
    args = arguments(f"--store=./{name}", "--storage", "sqlite:///a b.db")
    told = on_store("run `python -m fashion_hpo.study tiny` first, or `mlflow server`.", args)
    assert told.startswith("run `python -m fashion_hpo.study tiny --store ")
    assert told.endswith("first, or `mlflow server`.")
    line = f"printf '%s\\n' {store_arguments(args)}"
    printed = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    words = printed.splitlines()
    assert words == ["--store", str(tmp_path / name), "--storage", "sqlite:///a b.db"]
    assert arguments(*words).store == tmp_path / name


def test_printed_commands_have_no_password() -> None:
    args = arguments("--storage", DATABASE.format("s3cret"))
    assert store_arguments(args) == ' --storage "$FASHION_HPO_STORAGE"'
    assert shlex.split(store_arguments(args))[1] == "$FASHION_HPO_STORAGE"
    assert store_arguments(arguments()) == ""


def test_a_store_without_a_name_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        arguments("--store", "")
    assert "--store: it is empty; name a folder" in capsys.readouterr().err
    monkeypatch.setenv("HOME", str(tmp_path))
    assert arguments("--store=~/runs").store == tmp_path / "runs"
    assert arguments("--store=./runs").store == Path("runs")


HOME = [
    ("study mixup_ablation", "--store"), ("study mixup_ablation", "--data"), ("train", "--data"),
    ("report mixup_ablation", "--data"), ("bench trainer", "--data"), ("augment", "--data"),
    ("augment", "--out"), ("claims", "--html"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "option"), HOME)
def test_a_tilde_after_an_equals_sign_is_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, option: str
) -> None:
    """Shells leave it as it is there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    name, *arguments = command.split()
    parser = command_line.parser_of(importlib.import_module(f"fashion_hpo.{name}").main)
    parsed = parser.parse_args([*arguments, f"{option}=~/x"])
    assert getattr(parsed, option.removeprefix("--")) == tmp_path / "x"
    with pytest.raises(SystemExit):
        parser.parse_args([*arguments, f"{option}="])
