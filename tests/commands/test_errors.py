"""What a person may get wrong: one sentence that names it, exit code 2, and nothing left behind."""

import argparse
import gc
import importlib
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from fashion_hpo.design.study_file import list_studies, load_study
from fashion_hpo.stores.layout import Store
from fashion_hpo.terminal import command_line
from tests.folders import content

NOBODY = 65534


class Said(NamedTuple):
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str


class Commands:
    """Runs commands on one store."""

    def __init__(self, capsys: pytest.CaptureFixture[str], store: Path) -> None:
        self.capsys = capsys
        self.store = store

    def run(self, command: str, *arguments: str) -> Said:
        """`python -m fashion_hpo.COMMAND ARGUMENT ...`, in this process."""
        code = importlib.import_module(f"fashion_hpo.{command}").main(arguments)
        return Said(code, *self.capsys.readouterr())

    def on_store(self, command: str, *arguments: str) -> Said:
        """The same with --store."""
        return self.run(command, *arguments, "--store", str(self.store))

    def refusal(self, command: str, *arguments: str) -> str:
        """The one sentence of a command that refuses, and leaves no file behind."""
        before = content(self.store)
        said = self.run(command, *arguments)
        assert said.code == 2
        assert said.out == ""
        assert said.err.startswith("error: ")
        assert said.err.endswith("\n")
        assert said.err.count("\n") == 1
        assert content(self.store) == before
        return said.err

    def refusal_on_store(self, command: str, *arguments: str) -> str:
        """The same with --store."""
        return self.refusal(command, *arguments, "--store", str(self.store))


@pytest.fixture
def commands(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    """In a folder of their own, with no store yet and no address from the environment."""
    for name in (*command_line.ADDRESSES, *command_line.SECRETS, "FASHION_HPO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Commands(capsys, tmp_path / "store")


NAMED = ("study", "report", "status", "register")  # commands whose argument is a study


@pytest.mark.parametrize("command", NAMED)
def test_an_unknown_study_is_refused_with_near_names(commands: Commands, command: str) -> None:
    err = commands.refusal_on_store(command, "dropout_ablaton")
    assert err.startswith("error: study is 'dropout_ablaton', which is not in studies/; did you ")
    assert "dropout_ablation" in err


@pytest.mark.parametrize("command", NAMED)
@pytest.mark.parametrize("name", [
    "studies/dropout_ablation", "../up", "", "a" * 600, "Dropout", "/etc/passwd", "a\0b", "a\n",
    "..", "studies.mine", "a b", "\u00e9", "~", "a;b", "dropout_ablation.py",
])  # fmt: skip
def test_a_bad_study_name_is_refused(commands: Commands, command: str, name: str) -> None:
    err = commands.refusal_on_store(command, name)
    if command == "study" and not name:
        assert err.startswith("error: no study was named; `--list` shows")
    else:
        assert err.startswith(f"error: study name is {name[:40]!r}"[:-1])
    assert len(err) < 200


def test_no_study_is_refused_with_the_way_to_the_list(commands: Commands) -> None:
    assert "`--list` shows the studies" in commands.refusal_on_store("study")


WRONG_SETTINGS = [
    ("dropout=1.0", "dropout is 1.0; allowed is 0 up to, not including, 1."),
    ("dropout=-0.1", "dropout is -0.1; allowed is 0 up to, not including, 1."),
    ("batch_size=0", "batch_size is 0; allowed is 2 to 50000"),
    ("batch_size=50001", "batch_size is 50001; allowed is 2 to 50000"),
    ("learning_rate=0", "learning_rate is 0.0; allowed is more than 0"),
    ("learning_rate=nan", "learning_rate is nan; allowed is more than 0"),
    ("learning_rate=1e999", "learning_rate is inf; allowed is more than 0"),
    ("weight_decay=-inf", "weight_decay is -inf; allowed is 0 to 1."),
    ("epochs=1e3", "epochs is '1e3'; allowed is a whole number."),
    ("epochs=nan", "epochs is 'nan'; allowed is a whole number."),
    ("epochs=True", "epochs is 'True'; allowed is a whole number."),
    ("learning_rate=", "learning_rate is ''; allowed is a number."),
    ("learning_rate=fast", "learning_rate is 'fast'; allowed is a number"),
    ("epochs=0", "epochs is 0; allowed is 1 to 10000."),
    ("epochs=1.5", "epochs is '1.5'; allowed is a whole number."),
    ("optimizer=lion", "optimizer is 'lion'; choose one of adam, adamw, sgd."),
    ("architecture=cnnn", "architecture is 'cnnn'; did you mean cnn?"),
    ("lerning_rate=0.1", "lerning_rate is not a field of TrainConfig; did you mean learning_rate?"),
    ("epochs", "--set is 'epochs'; write it as field=value."),
    ("architecture_options={}", "architecture_options cannot be set here"),
]
WITH_SETTINGS = [
    ("train", "--data", "nowhere"), ("study", "mixup_ablation", "--dry-run"),
    ("augment", "--data", "nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "words"), [*WRONG_SETTINGS, (
    "mixup_alpha=-1", "mixup_alpha is -1.0; allowed is 0 (off) to 100.")])  # fmt: skip
def test_train_refuses_a_wrong_setting(commands: Commands, setting: str, words: str) -> None:
    assert words in commands.refusal("train", "--set", setting)


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(("setting", "words"), WRONG_SETTINGS)
def test_study_refuses_a_wrong_setting(
    commands: Commands, setting: str, words: str, dry: list[str]
) -> None:
    err = commands.refusal_on_store("study", "mixup_ablation", "--set", setting, *dry)
    assert words in err


@pytest.mark.parametrize("command", WITH_SETTINGS)
@pytest.mark.parametrize("second", ["0.2", "0.1"])
def test_a_field_with_two_values_is_refused(
    commands: Commands, command: tuple[str, ...], second: str
) -> None:
    twice = ("--set", "dropout=0.1", "--set", "epochs=1", "--set", f"dropout={second}")
    err = commands.refusal(*command, *twice)
    said = f"--set gives dropout two values, '0.1' and '{second}'; leave one out."
    assert err == f"error: {said}\n"


@pytest.mark.parametrize("seed", ["-1", "0.5", "1e3", "nan", ""])
def test_a_seed_that_is_no_whole_number_from_0_is_refused(commands: Commands, seed: str) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.run("calibration", f"--seed={seed}")
    assert ended.value.code == 2
    last = commands.capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"argument --seed: {seed} is not a whole number from 0")


def test_a_batch_of_more_images_than_there_are_is_refused(commands: Commands) -> None:
    wrong = ("--set", "train_images=100", "--set", "batch_size=101")
    words = "batch_size is 101, more than train_images, 100; lower batch_size or raise"
    assert words in commands.refusal("train", *wrong)
    assert words in commands.refusal_on_store("study", "mixup_ablation", *wrong)


@pytest.mark.parametrize("setting", ["mixup_alpha=0.1", "seed=3"])
def test_a_field_that_the_study_varies_cannot_be_set(commands: Commands, setting: str) -> None:
    err = commands.refusal_on_store("study", "mixup_ablation", "--set", setting)
    name = setting.partition("=")[0]
    assert err.startswith(
        f"error: study mixup_ablation varies {name}; --set cannot set it, leave it out."
    )


def test_a_study_file_with_a_wrong_field_is_refused_by_name(commands: Commands) -> None:
    Path("studies").mkdir()
    Path("studies/mine.py").write_text(
        '"""Does it?"""\n'
        "from fashion_hpo.design.config import TrainConfig\n"
        "TrainConfig(lerning_rate=0.1)\n"
    )
    err = commands.refusal_on_store("study", "mine")
    assert err.startswith("error: mine.py: ")
    assert "lerning_rate" in err


HOSTILE = {
    "raises": b"raise KeyError('a\\nb')",
    "syntax": b"STUDY = (",
    "leaves": b"import sys\nsys.exit(0)",
    "nothing": b"",
    "wrong_type": b"STUDY = 1",
    "binary": bytes(range(256)),
    "large": b"#" * 5_000_000,
}


@pytest.mark.parametrize("command", NAMED)
@pytest.mark.parametrize("name", [*HOSTILE, "folder", "outside"])
def test_a_hostile_study_file_is_refused_by_name(
    commands: Commands, command: str, name: str
) -> None:
    path = Path("studies", f"{name}.py")
    path.parent.mkdir()
    if name == "folder":
        path.mkdir()
    elif name == "outside":
        path.symlink_to("/etc/passwd")
    else:
        path.write_bytes(HOSTILE[name])
    err = commands.refusal_on_store(command, name)
    assert err.startswith(f"error: {name}.py")
    assert len(err) < 500


def test_the_list_survives_hostile_study_files(commands: Commands) -> None:
    Path("studies").mkdir()
    for name, text in HOSTILE.items():
        Path("studies", f"{name}.py").write_bytes(text)
    Path("studies", "folder.py").mkdir()
    Path("studies", "outside.py").symlink_to("/etc/passwd")
    said = commands.on_store("study", "--list")
    assert (said.code, said.err) == (0, "")
    assert "cannot be read: outside.py is a link out of " in said.out
    assert {*HOSTILE, "folder"} < {line.split()[0] for line in said.out.splitlines()}


@pytest.mark.parametrize("arguments", [
    ("--budget", "tiny"), ("--more-seeds", "0"), ("--max-trials", "-1"), ("--max-trials", "1e3"),
    ("--max-trials", "nan"), ("--resume-pruned", "1.5"), ("--workers", "-1"), ("--workers", "1.0"),
    *(("--timeout", text) for text in ("soon", "nan", "-nan", "inf", "-1", "0", "1e999", "")),
    ("--no-such-option",), ("two",),
])  # fmt: skip
def test_a_wrong_option_is_refused_by_name(commands: Commands, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.on_store("study", "mixup_ablation", *arguments)
    assert ended.value.code == 2
    last = commands.capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("python -m fashion_hpo.study: error: ")
    assert arguments[0] in last
    assert not commands.store.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        *((name, "mixup_ablation") for name in ("study", "report", "status", "register")),
        ("ui",),
        ("serve",),
        ("predict", "boot.png"),
    ],
)
def test_a_store_that_is_a_file_is_refused(commands: Commands, arguments: tuple[str, ...]) -> None:
    Image.new("L", (28, 28)).save("boot.png")
    commands.store.write_text("mine")
    err = commands.refusal_on_store(*arguments)
    assert err == f"error: store {commands.store} is a file; name a folder with --store.\n"
    err = commands.refusal(*arguments, "--store", str(commands.store / "below"))
    assert str(commands.store / "below") in err


@contextmanager
def without_the_powers_of_root() -> Iterator[None]:
    """Root may write anywhere, so become nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    gc.collect()  # finalisers of earlier objects need root's rights
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("command", ["study", "train", "bench"])
def test_data_that_are_not_there_are_refused(commands: Commands, command: str) -> None:
    missing = str(commands.store.parent / "no_data")
    arguments = {
        "study": ["mixup_ablation", "--store", str(commands.store)], "train": [],
        "bench": ["trainer"],
    }  # fmt: skip
    if command == "bench":  # it says first what it measures
        said = commands.run(command, *arguments[command], "--data", missing)
        assert said.code == 2
        err = said.err
    else:
        err = commands.refusal(command, *arguments[command], "--data", missing)
    assert err == (
        f"error: data folder {missing} does not exist; correct --data or FASHION_HPO_DATA, or "
        "leave it out.\n"
    )


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cpu:x"])
@pytest.mark.parametrize("command", ["study", "train"])
def test_a_device_that_is_not_there_is_refused(
    commands: Commands, command: str, device: str
) -> None:
    arguments = ["mixup_ablation", "--store", str(commands.store)] if command == "study" else []
    err = commands.refusal(command, *arguments, "--device", device)
    assert err.startswith(f"error: device is {device!r}; ")


def test_a_storage_that_cannot_be_opened_is_refused_without_its_password(
    commands: Commands,
) -> None:
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/db"
    said = commands.on_store("status", "mixup_ablation", "--storage", url)
    assert said.code == 2
    shown = url.replace("secret", "***")
    assert said.err.startswith(f"error: storage {shown} cannot be opened (")
    assert said.err.count("\n") == 1
    assert "secret" not in said.err


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql+psycopg://me:s3cret@127.0.0.1:1/db", "s3cret"),
        ("postgresql+psycopg://me:s3c%40et@127.0.0.1:1/db", "s3c"),
        ("postgresql+psycopg://127.0.0.1:1/db?user=me&password=s3cret", "s3cret"),
        ("nosuchdatabase://me:s3:c@r/e?t@host/db", "s3:c"),
        ("nosuchdatabase://me:s3 cret@host/db", "cret"),
        ("me:s3cret@host", "nothing"),
    ],
)
@pytest.mark.parametrize("given", ["option", "environment"])
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_message_and_no_traceback_has_the_storages_password(
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    secret: str,
    given: str,
    debug: list[str],
) -> None:
    if given == "environment":
        monkeypatch.setenv("FASHION_HPO_STORAGE", url)
    option = ["--storage", url] if given == "option" else []
    said = commands.on_store("status", "mixup_ablation", *option, *debug)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("error: storage ")
    assert ("Traceback" in said.err) == bool(debug)
    assert secret not in said.out + said.err


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_message_and_no_traceback_has_the_tracking_servers_password(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "t0psecret")
    Image.new("L", (28, 28)).save("boot.png")
    for command in (["ui"], ["predict", "boot.png"]):
        said = commands.on_store(*command, *debug)
        assert said.code == 2
        assert "127.0.0.1" in said.err
        assert "s3cret" not in said.err
        assert "t0psecret" not in said.err


def test_what_was_mistyped_is_repeated_without_its_password(commands: Commands) -> None:
    with pytest.raises(SystemExit):
        commands.run("status", "mixup_ablation", "--stoarge=mysql://me:s3cret@host/db")
    err = commands.capsys.readouterr().err
    assert "--stoarge=mysql://me:***@host/db" in err
    assert "s3cret" not in err


def test_a_bug_is_shown_without_passwords(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASHION_HPO_STORAGE", "mysql://me:s3c%40et@host/db")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "pw")

    def bug(args: argparse.Namespace) -> int:
        found = "mysql://me:s3c%40et@host/db", "s3c@et", "t0ken", "pw", "pwd"
        raise KeyError(found)

    made = command_line.parser("status", "Fail.")
    command_line.add_store(made)
    assert command_line.run(bug, made, []) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert "KeyError: ('mysql://me:***@host/db', '***', '***', '***', 'pwd')\n" in err
    assert err.endswith("error: this is a bug of fashion_hpo; please report it.\n")


def test_without_results_there_is_nothing_to_report(commands: Commands) -> None:
    for command in ("report", "register"):
        err = commands.refusal_on_store(command, "mixup_ablation")
        assert err.startswith("error: study mixup_ablation has no results in ")
        advice = f"python -m fashion_hpo.study mixup_ablation --store {commands.store}"
        assert f"run `{advice}` first" in err
        err = commands.refusal_on_store(command, "mixup_ablation", "--budget", "full")
        assert err.startswith("error: study mixup_ablation under budget full has no results in ")


def test_without_results_the_status_says_so(commands: Commands) -> None:
    said = commands.on_store("status", "mixup_ablation")
    assert (said.code, said.err) == (0, "")
    assert [line.split() for line in said.out.splitlines()[1:]] == [
        [budget, "not", "begun"] for budget in ("quick", "standard", "full")
    ]
    assert content(commands.store) == {}


def test_a_store_with_databases_and_no_results_is_told_the_same(
    commands: Commands, store: Store
) -> None:
    commands.store = store.root
    said = commands.on_store("report", "mixup_ablation")
    assert said.code == 2
    assert said.err.startswith(f"error: study mixup_ablation has no results in {store.root}; run")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("ui",), ("serve",), ("predict", "boot.png")])
def test_a_store_without_mlflows_database_is_refused(
    commands: Commands, arguments: tuple[str, ...]
) -> None:
    Image.new("L", (28, 28)).save("boot.png")
    err = commands.refusal_on_store(*arguments)
    assert err == f"error: store {commands.store} has no mlflow.db; run a study first.\n"


@pytest.fixture
def store_to_serve(commands: Commands) -> Path:
    """A store with a database; no server is started on it."""
    commands.store.mkdir()
    (commands.store / "mlflow.db").touch()
    return commands.store


SERVERS = ("ui", "serve")


@pytest.mark.usefixtures("store_to_serve")
@pytest.mark.parametrize("command", SERVERS)
@pytest.mark.parametrize("port", [0, -1, 65536, 70000])
def test_a_port_that_is_none_is_refused(commands: Commands, command: str, port: int) -> None:
    err = commands.refusal_on_store(command, "--port", str(port))
    assert err == f"error: --port is {port}; allowed is 1 to 65535.\n"


@pytest.mark.parametrize("command", SERVERS)
@pytest.mark.parametrize("port", ["nan", "1e3", "80.0", "", "http"])
def test_a_port_that_is_no_whole_number_is_refused(
    commands: Commands, command: str, port: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        commands.on_store(command, "--port", port)
    assert ended.value.code == 2
    last = commands.capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"error: argument --port: invalid int value: {port!r}")


@pytest.mark.usefixtures("store_to_serve")
@pytest.mark.parametrize("command", SERVERS)
def test_a_port_in_use_is_refused(commands: Commands, command: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        err = commands.refusal_on_store(command, "--port", str(port))
    assert err.startswith(f"error: --port is {port}, which cannot be had (")
    assert err.endswith("); choose another.\n")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
              for c in (header, b"IDAT")]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


NO_IMAGE = "is not an image of a known format; allowed are PNG, JPEG, GIF, BMP, WEBP, TIFF."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a boot, in words\n", NO_IMAGE),
        (b"", NO_IMAGE),
        (b"\x89PNG\r\n\x1a\n", NO_IMAGE),
        (png_header(28, 28), "cannot be read ("),
        (png_header(4097, 2), "is 4097 x 2 pixels; allowed are 4096 pixels a side."),
        (png_header(10_000, 10_000), "allowed are 4096 pixels a side."),
        (png_header(60_000, 60_000), "allowed are 4096 pixels a side."),
    ],
)
def test_predict_refuses_what_is_no_image(commands: Commands, content: bytes, words: str) -> None:
    Path("boot.png").write_bytes(content)
    err = commands.refusal_on_store("predict", "boot.png")
    assert err.startswith("error: image boot.png ")
    assert words in err


def test_predict_refuses_a_file_that_is_not_there(commands: Commands) -> None:
    for name in ("boot.png", "a" * 300, "a\0b", "../boot.png", "/nowhere/boot.png"):
        err = commands.refusal_on_store("predict", name)
        assert err.startswith(f"error: image {name} cannot be read (")


def test_a_traceback_is_shown_only_when_asked_for(commands: Commands) -> None:
    assert "Traceback" not in commands.refusal_on_store("study", "mixup_ablaton")
    said = commands.on_store("study", "mixup_ablaton", "--debug")
    assert said.code == 2
    assert said.err.startswith("Traceback (most recent call last):")
    assert said.err.splitlines()[-1].startswith("error: study is 'mixup_ablaton'")


def test_a_dry_run_prints_the_plan_and_makes_no_store(commands: Commands) -> None:
    settings = ("--set", "epochs=2", "--set", "train_images=1000", "--more-seeds", "1")
    said = commands.on_store("study", "mixup_ablation", "--dry-run", *settings)
    assert (said.code, said.err) == (0, "")
    first, second, third = said.out.splitlines()
    assert first.startswith("mixup_ablation, budget standard: Does MixUp help")
    seeds = load_study("mixup_ablation")[1].seeds + 1
    assert f" x {seeds} seed(s) = " in second
    assert " trials, 2 epochs of 1,000 images each: " in second
    assert third.startswith("models: about ")
    assert third.endswith(" MB; nothing was trained")
    assert not commands.store.exists()


@pytest.mark.parametrize("budget", ["quick", "standard", "full"])
def test_a_dry_run_is_of_the_budget_asked_for(commands: Commands, budget: str) -> None:
    said = commands.on_store("study", "best_model", "--dry-run", "--budget", budget)
    assert said.out.startswith(f"best_model, budget {budget}: ")


def test_the_list_has_every_study_and_its_question(commands: Commands) -> None:
    said = commands.on_store("study", "--list")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == list(list_studies())
    assert all(line.endswith("?") for line in lines)
    assert not commands.store.exists()
