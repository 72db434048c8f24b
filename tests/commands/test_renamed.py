"""Results of a study whose file was renamed or removed are found by what is told."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fashion_hpo.stores.opening import ledger_names
from tests.commands.test_advice import Person, after_quick, person, quick

__all__ = ["after_quick", "person", "quick"]


@pytest.fixture
def renamed(after_quick: Person) -> Person:
    """A person who ran `tiny` and then renamed its file."""
    person = after_quick
    (person.root / "studies/tiny.py").rename(person.root / "studies/small.py")
    return person


def type_move(person: Person, text: str) -> None:
    """Type the command that puts the file back under its former name."""
    (told,) = set(re.findall(r"`(mv [^`]+)`", text))
    subprocess.run(told, shell=True, cwd=person.root, check=True)
    assert (person.root / "studies/tiny.py").exists()


@pytest.mark.parametrize("command", ["study small --budget quick --dry-run", "report small"])
def test_a_renamed_study_is_told_where_its_results_are(renamed: Person, command: str) -> None:
    _, text = renamed.on_store(command)
    assert "the store has results of this study as tiny, a name without a file" in text
    type_move(renamed, text)
    (told,) = set(re.findall(r"`python -m fashion_hpo\.(study tiny)[^`]*`", text))
    code, text = renamed.on_store(f"{told} --budget quick")
    assert code == 0
    assert "to go" not in text
    assert ledger_names(renamed.store) == ["tiny/quick/r1"]


@pytest.mark.parametrize("command", ["status tiny", "report tiny", "register tiny"])
def test_by_its_former_name_it_is_told_the_present_one(renamed: Person, command: str) -> None:
    code, text = renamed.on_store(command)
    assert (code, "small.py is the same study: `mv " in text) == (2, True), text
    type_move(renamed, text)
    assert renamed.on_store("report tiny")[0] == 0


def test_results_without_any_file_can_be_deleted_by_what_is_told(renamed: Person) -> None:
    (renamed.root / "studies/small.py").unlink()
    told = renamed.told_by("report tiny", "delete tiny")
    assert renamed.type(f"{told} --yes")[0] == 0
    assert ledger_names(renamed.store) == []
    assert "which is not in studies/" in renamed.on_store("report tiny")[1]


def test_a_study_beside_another_with_the_same_spec_is_told_nothing(after_quick: Person) -> None:
    person = after_quick
    copy = Path(shutil.copy(person.root / "studies/tiny.py", person.root / "studies/twin.py"))
    assert copy.exists()
    _, text = person.on_store("study twin --budget quick --dry-run")
    assert "the store has results" not in text
