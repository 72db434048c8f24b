import json
from pathlib import Path

import pytest

from fashion_hpo.design.config import Epoch
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.tracking import Tracker

EPOCH = Epoch(
    epoch=1,
    train_loss=1.0,
    train_eval_loss=0.9,
    train_eval_accuracy=0.6,
    val_loss=0.8,
    val_accuracy=0.7,
    learning_rate=0.1,
    seconds=2.0,
    images_per_second=10.0,
    timestamp=1_700_000_000_000,
)
KEPT = {"question": "Does it run?", "uid": "abc", "spec_hash": "123"}


@pytest.fixture
def tracker(store: Store) -> Tracker:
    return Tracker(store, "tiny")


@pytest.fixture
def study_run(tracker: Tracker) -> str:
    return tracker.study_run("tiny/quick/r1", "abc", KEPT, {})


def trial(tracker: Tracker, study_run: str, uid: str = "abc-00000") -> str:
    return tracker.trial_run(uid, study_run, "a trial", {"epochs": 3}, {"point": "p"}, "f" * 64)


def test_a_run_looked_up_again_is_the_same(tracker: Tracker, study_run: str) -> None:
    assert tracker.study_run("tiny/quick/r1", "abc", KEPT, {}) == study_run
    first = trial(tracker, study_run)
    assert trial(tracker, study_run) == first
    assert trial(tracker, study_run, "abc-00001") != first
    assert tracker.run_of("abc-00000") == first
    assert tracker.run_of("none") is None


def test_the_same_epoch_logged_twice_is_one_point(tracker: Tracker, study_run: str) -> None:
    run = trial(tracker, study_run)
    tracker.log_epochs(run, [EPOCH])
    tracker.log_epochs(run, [EPOCH])
    (point,) = tracker.client.get_metric_history(run, "val_loss")
    assert (point.step, point.value, point.timestamp) == (1, 0.8, EPOCH.timestamp)


def test_a_long_curve_goes_over_mlflows_batch_limit(tracker: Tracker, study_run: str) -> None:
    run = trial(tracker, study_run)
    epochs = [Epoch(**{**vars(EPOCH), "epoch": number}) for number in range(1, 301)]
    tracker.log_epochs(run, epochs)
    assert len(tracker.client.get_metric_history(run, "val_loss")) == 300


def test_the_study_run_tells_how_it_was_made(
    tracker: Tracker, study_run: str, tmp_path: Path
) -> None:
    run = tracker.client.get_run(study_run)
    assert run.data.tags["fashion_hpo.kind"] == "study"
    assert run.data.tags["mlflow.note.content"] == "Does it run?"
    assert "mlflow.user" in run.data.tags
    files = Path(tracker.client.download_artifacts(study_run, "", str(tmp_path)))
    assert json.loads((files / "spec.json").read_text()) == KEPT
    assert "torch==" in (files / "packages.txt").read_text()
    assert (files / "git.diff").exists()


def test_a_deleted_experiment_is_refused_with_the_way_back(tracker: Tracker, store: Store) -> None:
    tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(StoreError, match=r"tiny was deleted .*`mlflow experiments restore"):
        Tracker(store, "tiny")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but a text of some length " * 9)
    with pytest.raises(StoreError, match=r"mlflow.db cannot be opened"):
        Tracker(Store.at(tmp_path), "tiny")
