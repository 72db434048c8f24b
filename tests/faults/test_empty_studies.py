"""Every command on a study that has no result yet: one sentence and an exit code, never a bug."""

import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from fashion_hpo.design.plan import Plan
from fashion_hpo.running.confirmation import open_confirmation
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.data import SearchSplits
from tests import plans
from tests.faults.lab import Lab
from tests.folders import enter
from tests.states import STATES

SEARCH = plans.search(trials=3, pruner="none", finalists=2, fresh_seeds=2)
PLANS: Mapping[str, Plan] = {"tiny": plans.design(), "tiny_search": SEARCH}
COMMANDS = (
    "status {study}", "report {study} --csv", "claims", "register {study}", "predict boot.png",
    "serve", "replay {run}", "doctor", "doctor --fix", "study {study} --timeout 0.001 --device cpu",
)  # fmt: skip
STATES_OF = [
    *((study, "", state) for study in PLANS for state in STATES),
    *(("tiny_search", "all complete", state) for state in STATES),
]


@pytest.fixture
def folder(splits: SearchSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder with both studies and a picture; the images are synthetic."""
    enter(tmp_path, splits, monkeypatch, __name__, PLANS)
    Image.new("L", (28, 28)).save(tmp_path / "boot.png")
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("study", "before", "state"), STATES_OF)
def test_every_command_ends_with_a_sentence(
    lab: Lab, splits: SearchSplits, capsys: pytest.CaptureFixture[str], study: str, before: str,
    state: str,
) -> None:  # fmt: skip
    """`before` is the state of a search that is confirmed."""
    store = lab.store()
    session = open_session(store, PLANS[study], device="cpu", splits=splits)
    if before:
        bring(session, before)
        confirming = open_confirmation(session, device="cpu")
        assert confirming is not None
        session = confirming
    bring(session, state)
    lab.inject(f"{'a confirmation' if before else 'a study'} without results: {state}")
    for command in COMMANDS:
        code, err = run(command.format(study=study, run=a_run(session)), store, capsys)
        assert code in (0, 1, 2), command
        assert "Traceback" not in err, command
        assert "bug" not in err, command
        assert err.count("\n") <= 1, command


def bring(session: Session, state: str) -> None:
    """Bring a ledger into a state, and MLflow to what the ledger has."""
    STATES[state](session.ledger)
    for entry in session.ledger.entries():
        if entry.result is not None:
            assert session.mirror.complete(entry.attempt, entry.result)


def a_run(session: Session) -> str:
    """The id of a trial's run in MLflow, or one that is not there."""
    entries = [entry for entry in session.ledger.entries() if entry.attempt.point]
    return next(filter(None, (session.tracker.run_of(e.attempt.uid) for e in entries)), "0" * 32)


def run(command: str, store: Store, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """A command's exit code and what it printed as an error, in this process."""
    name, *arguments = command.split()
    module = importlib.import_module(f"fashion_hpo.{name}")
    code = module.main([*arguments, "--store", str(store.root)])
    return int(code), capsys.readouterr().err
