"""`delete` shows what goes, deletes that alone, and tells what stays."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from fashion_hpo import delete, doctor, status
from fashion_hpo.running.session import open_session
from fashion_hpo.stores import registry
from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers, ledger_names
from tests.commands.test_one_bad_item import Harmed
from tests.folders import content
from tests.images import search_splits
from tests.plans import design


class Place:
    """A store with two finished studies, `tiny` with the champion and `tiny_search`."""

    def __init__(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        self.store, self._capsys = store, capsys
        self.client = MlflowClient(store.tracking_uri, store.tracking_uri)
        self.uids = {ledger.plan.name: ledger.uid for ledger in all_ledgers(store)}

    def delete(self, arguments: str) -> tuple[int, str]:
        self._capsys.readouterr()
        code = delete.main([*shlex.split(arguments), "--store", str(self.store.root)])
        return code, "".join(self._capsys.readouterr())

    def doctor(self) -> str:
        self._capsys.readouterr()
        assert doctor.main(["--store", str(self.store.root)]) == 0
        return self._capsys.readouterr().out

    def active(self, study: str) -> tuple[int, int]:
        """How many runs and models of a study MLflow shows."""
        experiment = find_experiment(self.client, study)
        assert experiment is not None
        ids = [experiment.experiment_id]
        runs = self.client.search_runs(ids, run_view_type=ViewType.ACTIVE_ONLY)
        return len(runs), len(self.client.search_logged_models(ids))

    def files(self, study: str) -> list[Path]:
        """The files of a study."""
        folders = [self.store.artifacts / study, self.store.report(study)]
        folders += [self.store.root / name / self.uids[study] for name in ("logits", "checkpoints")]
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def place(
    copy_of_finished: Callable[[Path], Store],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Place:
    return Place(copy_of_finished(tmp_path / "store"), capsys)


def test_nothing_goes_before_it_was_shown_and_the_printed_command_deletes_it(place: Place) -> None:
    place.doctor()  # opening a database may change its file
    before = content(place.store.root, "-wal", "-shm", ".lock")
    code, text = place.delete("tiny_search")
    assert code == 0
    assert content(place.store.root, "-wal", "-shm", ".lock") == before
    assert "tiny_search/standard/r1: 2 trials" in text
    assert "3 runs, 2 models" in text
    (command,) = re.findall(r"`python -m fashion_hpo\.delete (.*)`", text)
    assert place.delete(command)[0] == 0
    assert ledger_names(place.store) == ["tiny/standard/r1"]
    assert place.active("tiny_search") == (0, 0)
    assert place.files("tiny_search") == []
    assert place.active("tiny") == (5, 4)
    assert place.doctor() == "1 ledger(s), 4 trials: all invariants hold\n"
    code, text = place.delete("tiny_search --yes")
    assert (code, "has nothing of study tiny_search; it has tiny." in text) == (2, True)


def test_the_champion_stays_until_it_is_named(place: Place) -> None:
    code, text = place.delete("tiny --yes")
    assert (code, "fashion-mnist-classifier version 1 (champion), with run" in text) == (0, True)
    assert registry.download_verified(place.store.tracking_uri, registry.CHAMPION_URI).is_dir()
    assert place.active("tiny") == (1, 1)
    assert place.doctor() == "1 ledger(s), 2 trials: all invariants hold\n"
    code, text = place.delete("tiny --yes")
    assert (code, "has nothing of study tiny but fashion-mnist-classifier" in text) == (2, True)
    assert place.delete("tiny --registered --yes")[0] == 0
    assert place.active("tiny") == (0, 0)
    assert place.files("tiny") == []
    assert not place.client.search_model_versions(f"name = '{registry.REGISTERED_NAME}'")
    assert place.doctor() == "1 ledger(s), 2 trials: all invariants hold\n"


def test_a_deleted_study_begins_anew(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.delete("tiny --yes")
    session = open_session(place.store, design(), device="cpu", splits=search_splits())
    assert session.ledger.uid != place.uids["tiny"]
    assert status.main(["--store", str(place.store.root)]) == 0
    assert "tiny/standard/r1         4 points: none done" in capsys.readouterr().out


def test_one_budget_goes_alone(place: Place) -> None:
    quick = open_session(
        place.store, design(budget="quick"), device="cpu", splits=search_splits()
    ).ledger
    place.client.create_run("0")  # of another program
    assert place.delete("tiny --budget quick --yes")[0] == 0
    assert quick.name not in ledger_names(place.store)
    assert place.active("tiny") == (5, 4)
    assert place.store.report("tiny/standard/r1").is_dir()
    assert place.doctor() == "2 ledger(s), 6 trials: all invariants hold\n"


def test_a_running_study_is_refused(place: Place) -> None:
    before = place.files("tiny")
    with place.store.trial_lock(f"{place.uids['tiny']}-00004"):
        code, text = place.delete("tiny --yes")
        assert (code, "is under way; stop its study first." in text) == (2, True)
        assert place.delete("tiny_search --yes")[0] == 0, "another study goes all the same"
    assert place.files("tiny") == before


def test_a_study_whose_experiment_was_deleted_in_mlflow_goes_too(place: Place) -> None:
    experiment = find_experiment(place.client, "tiny_search")
    assert experiment is not None
    place.client.delete_experiment(experiment.experiment_id)
    assert place.delete("tiny_search --yes")[0] == 0
    assert place.files("tiny_search") == []
    assert place.doctor() == "1 ledger(s), 4 trials: all invariants hold\n"


def test_a_ledger_that_cannot_be_read_goes_too(place: Place) -> None:
    ledger = next(each for each in all_ledgers(place.store) if each.plan.name == "tiny_search")
    Harmed(place.store, ledger).set("extent", '"all"')
    assert place.delete("tiny_search --yes")[0] == 0
    assert place.files("tiny_search") == []
    assert place.doctor() == "1 ledger(s), 4 trials: all invariants hold\n"
