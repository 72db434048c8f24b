"""The completion is read by a real shell, which then completes commands, options and studies."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fashion_hpo import completion
from fashion_hpo.design.study_file import list_studies
from fashion_hpo.terminal.commands import COMMANDS

COMPLETE = """
{code}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_shtab_fashion_hpo
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def code(capsys: pytest.CaptureFixture[str]) -> str:
    assert completion.main(["bash"]) == 0
    return capsys.readouterr().out


def completed(code: str, words: str, here: Path) -> set[str]:
    """What bash offers for the last of these words."""
    done = subprocess.run(
        ["bash", "-c", COMPLETE.format(code=code, words=words)],
        cwd=here, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_studies(code: str, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "my_own.py").touch()
    (tmp_path / "studies" / "_left_out.py").touch()
    assert completed(code, "fashion-hpo ''", tmp_path) >= set(COMMANDS)
    assert completed(code, "fashion-hpo study --more", tmp_path) == {"--more-seeds"}
    assert completed(code, "fashion-hpo study --budget ''", tmp_path) == {
        "quick", "standard", "full",
    }  # fmt: skip
    for command in ("study", "status", "delete"):
        names = completed(code, f"fashion-hpo {command} ''", tmp_path)
        assert names >= {*list_studies(), "my_own"}, command
        assert "_left_out" not in names
    assert completed(code, "fashion-hpo report drop", tmp_path) == {"dropout_ablation"}


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_each_shell_has_one(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.main([shell]) == 0
    printed = capsys.readouterr().out
    for option in ("--more-seeds", "--keep-best", "--rebuild-mlflow"):
        assert option in printed.replace("\\", "")


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        completion.main(["fish"])
    assert "choose from" in capsys.readouterr().err


def test_without_the_package_it_says_what_to_type(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    monkeypatch.delitem(sys.modules, "fashion_hpo.terminal.completing", raising=False)
    assert completion.main(["bash"]) == 2
    assert "package shtab is not installed" in capsys.readouterr().err
