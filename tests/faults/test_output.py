"""Standard output that cannot take what a study prints: the study goes on, or ends as told."""

import os
import select
from pathlib import Path

import pytest

from fashion_hpo.terminal.output import CLOSED_PIPE
from tests.faults import child
from tests.faults.lab import Lab, ended, ledger_of
from tests.plans import design

PLAN = design(seeds=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A person's folder with the study."""
    (tmp_path / "studies").mkdir()
    text = '"""Does it run?"""\nfrom tests.faults.test_output import PLAN\nSTUDY = PLAN.spec\n'
    (tmp_path / "studies" / f"{PLAN.name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp437"])
def test_a_terminal_without_block_characters_ends_nothing(
    lab: Lab, folder: Path, encoding: str
) -> None:
    store, place = lab.store(), folder / "output"
    place.touch()
    assert ended(lab.process(child.command, store, PLAN, folder, place, encoding)) == 0
    lab.inject(f"a terminal of {encoding}")
    lines = place.read_text(encoding).splitlines()
    assert sum("epoch 3/3" in line for line in lines) == 2
    assert lines[-1].startswith("register  ")
    lab.check(store, PLAN)


@pytest.mark.parametrize("place", [Path("/dev/full"), None])
def test_output_that_goes_nowhere_ends_nothing(lab: Lab, folder: Path, place: Path | None) -> None:
    store = lab.store()
    assert ended(lab.process(child.command, store, PLAN, folder, place, "utf-8")) == 0
    lab.inject("no standard output" if place is None else "a full disk under standard output")
    assert ledger_of(store, PLAN).remaining() == 0
    lab.check(store, PLAN)


def test_a_reader_that_has_gone_stops_the_study_which_goes_on_next_time(
    lab: Lab, folder: Path
) -> None:
    """`study … | head -1`."""
    store, pipe = lab.store(), folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    process = lab.process(child.command, store, PLAN, folder, pipe, "utf-8")
    select.select([reader], [], [], 60)
    assert os.read(reader, 10).startswith(b"tiny")
    os.close(reader)
    assert ended(process) == CLOSED_PIPE == 141
    lab.inject("a reader that has gone")
    ledger = ledger_of(store, PLAN)
    assert ledger.remaining() > 0
    assert {entry.state for entry in ledger.entries()} <= {"WAITING", "COMPLETE", "FAIL"}
    lab.check(store, PLAN)
