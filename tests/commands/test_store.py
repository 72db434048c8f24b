"""`store`: what its three parts print, what is refused, and the commands after it."""

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_hpo import delete, doctor, status, store, study
from fashion_hpo.engines.ray import _check_shared
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.terminal.command_line import HALTED
from tests.faults.servers import HOST, TrackingServer

pytest_plugins = ["tests.postgres"]


@pytest.fixture
def folder(
    copy_of_finished: Callable[[Path], Store],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A store with two finished studies; addresses set by the command end with the test."""
    copy_of_finished(tmp_path / "store")
    for variable in ("FASHION_HPO_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, "")
    return tmp_path / "store"


def test_after_a_move_the_printed_line_leads_to_the_study(
    folder: Path, database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.main(["move", "--store", str(folder), "--to", database]) == 0
    printed = capsys.readouterr().out
    assert "2 ledgers with 6 trials are in postgresql://tester:***@" in printed
    (line,) = (line for line in printed.splitlines() if "export" in line)
    assert "a-secret" not in printed

    looking = ["mixup_ablation", "--store", str(folder)]
    assert status.main(looking) == 2
    said = capsys.readouterr().err
    assert line.strip() in " ".join(said.split()), "the refusal names the same line"
    variable, _, address = line.split(maxsplit=1)[1].partition("=")
    monkeypatch.setenv(variable, address.strip("'").replace("***", "a-secret"))
    assert status.main(looking) == 0
    assert "standard  not begun" in capsys.readouterr().out
    assert store.main(["move", "--store", str(folder), "--to", database]) == 2
    assert "was moved to" in capsys.readouterr().err


def test_a_cluster_of_several_nodes_takes_a_store_once_it_is_moved(
    folder: Path,
    database: str,
    server: TrackingServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As its refusal says, for a store with studies and for a new one."""

    def typed(refused: Store, command: str) -> list[str]:
        """The arguments of the command that the refusal tells, with real addresses."""
        with pytest.raises(StoreError) as refusal:
            _check_shared(refused, nodes=2)
        (told,) = re.findall(rf"`{command} ([^`]*)`", str(refusal.value))
        addresses = {
            "postgresql://USER@HOST/DATABASE": database,
            "http://HOST:5000": f"http://{HOST}:{server.port}",
        }
        for example, address in addresses.items():
            assert example in told
            told = told.replace(example, address)
        return shlex.split(told)

    variables = typed(Store.at(tmp_path / "new"), "export")
    move = typed(Store.at(folder), "python -m fashion_hpo.store")
    assert store.main([*move, "--store", str(folder)]) == 0
    printed = capsys.readouterr().out
    for variable in variables:
        assert variable.partition("=")[0] in printed
        monkeypatch.setenv(*variable.split("=", 1))
    for root in (folder, tmp_path / "new"):
        _check_shared(Store.at(root), nodes=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--to and --tracking are missing; name at least one new address."),
        (["--to", "redis://host"], "has the scheme redis; allowed are sqlite:///FILE"),
        (["--tracking", "mlruns"], "does not begin with a scheme; allowed are http://SERVER"),
        (["--to", "postgresql://u:sesame@127.0.0.1:1/d"], "cannot be opened"),
    ],
)
def test_what_cannot_be_the_target_is_refused(
    folder: Path, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store.main(["move", "--store", str(folder), *given]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert said in error
    assert "sesame" not in error
    assert not (folder / "moved.json").exists()
    assert os.environ.get("FASHION_HPO_STORAGE", "") == ""


def test_a_damaged_store_is_mended_before_it_is_moved(
    folder: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = Tracker(Store.named(folder), "tiny")
    (first, *_) = tracker.client.search_runs(
        [tracker.experiment_id], "tags.`fashion_hpo.kind` = 'trial'"
    )
    tracker.client.set_tag(first.info.run_id, "fashion_hpo.uid", "another")
    moving = ["move", "--store", str(folder), "--to", database]
    assert store.main(moving) == 2
    said = " ".join(capsys.readouterr().err.split())
    (told,) = re.findall(r"mend it with `python -m fashion_hpo\.doctor (.*)`, then move it", said)
    assert doctor.main(shlex.split(told)) == 0
    assert store.main(moving) == 0


STUDY = """'Does it run?'

from tests.plans import design

STUDY = design().spec
"""


def test_a_study_goes_to_another_store_in_a_file(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each refusal's advice is followed: the file is named as told, the other ledger deleted."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tiny.py").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    here, there = ["--store", str(folder)], ["--store", str(tmp_path / "there")]

    def said(code: int, *arguments: str) -> str:
        assert store.main([*arguments]) == code
        captured = capsys.readouterr()
        return " ".join((captured.err if code else captured.out).split())

    assert said(2, "export", *here) == "error: no study was named; type it after export."
    assert said(2, "import", *there) == "error: no file was named; type it after import."
    assert "--to is missing" in said(2, "export", "tiny", *here)
    refused = said(2, "import", "tiny.zip", *there)
    (told,) = re.findall(r"a file that `python -m fashion_hpo\.store (.*)` wrote", refused)
    export = told.replace("NAME", "tiny").replace("FILE", "tiny.zip").split()
    assert re.fullmatch(
        r"tiny/standard/r1 with 4 results and 8 files, without models, is in tiny.zip \(0.\d MB\)",
        said(0, *export, *here),
    )
    assert said(0, "import", "tiny.zip", *there).startswith("tiny/standard/r1 with 4 trials is in")
    assert status.main(["tiny", *there]) == 0
    assert "4 complete" in capsys.readouterr().out

    assert study.main(["tiny", "--store", "other", "--max-trials", "1"]) == HALTED
    capsys.readouterr()
    refused = said(2, "import", "tiny.zip", "--store", "other")
    (told,) = re.findall(r"delete it with `python -m fashion_hpo\.delete (.*)`", refused)
    assert delete.main([*told.split(), "--store", "other", "--yes"]) == 0
    capsys.readouterr()
    assert "with 4 trials" in said(0, "import", "tiny.zip", "--store", "other")
