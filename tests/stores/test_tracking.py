import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from fashion_hpo.design.config import Epoch
from fashion_hpo.stores.experiments import STUDY, find_experiment
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.tracking import DeletedExperimentError, Tracker, git_diff

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


def test_a_description_stays_as_a_person_wrote_it(tracker: Tracker) -> None:
    def shown() -> str:
        tags = tracker.client.get_experiment(tracker.experiment_id).tags
        return str(tags["mlflow.note.content"])

    for note in ("Does it run?", "Does it run better?"):
        tracker.describe(note)
        assert shown() == note
    tracker.client.set_experiment_tag(tracker.experiment_id, "mlflow.note.content", "mine")
    tracker.describe("Does it run?")
    assert shown() == "mine"


def test_experiments_are_of_model_training(tracker: Tracker, store: Store) -> None:
    """Also those of versions that did not say so."""
    tracker.client.create_experiment("earlier")
    for name in ("tiny", "earlier"):
        experiment = tracker.client.get_experiment(Tracker(store, name).experiment_id)
        assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_models_are_ranked_by_their_metrics(
    tracker: Tracker, study_run: str, tmp_path: Path
) -> None:
    (folder := tmp_path / "model").mkdir()
    (folder / "weights").touch()
    for number, accuracy in enumerate((0.8, 0.9, 0.7)):
        run = trial(tracker, study_run, uid := f"abc-{number}")
        model = tracker.log_model(run, uid, folder, 1, f'tiny/x: "{accuracy}"')
        for _ in range(2):  # after a lost reply
            tracker.log_model_metrics(run, model, {"value": accuracy}, 1, EPOCH.timestamp)
    found = tracker.client.search_logged_models(
        [tracker.experiment_id],
        order_by=[
            {"field_name": "metrics.value", "ascending": False, "dataset_name": "fashion-mnist"}
        ],
    )
    assert [model.name for model in found] == ["tiny-x= 0·9", "tiny-x= 0·8", "tiny-x= 0·7"]
    assert [len(model.metrics) for model in found] == [1, 1, 1]


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


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_diff_of_a_file_in_any_encoding_is_text(tmp_path: Path, encoding: str) -> None:
    assert git_diff(tmp_path) == "", "no checkout"
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@here", "-C", str(tmp_path)]
    note = tmp_path / "note.txt"
    note.write_text("before\n", encoding=encoding)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    note.write_text("Übung\n", encoding=encoding)
    letter = "Ü" if encoding == "utf-8" else "\ufffd"
    assert f"-before\n+{letter}bung\n" in git_diff(tmp_path)


def test_a_deleted_experiment_is_refused_with_the_way_back(tracker: Tracker, store: Store) -> None:
    tracker.client.delete_experiment(tracker.experiment_id)
    restore = r"of tiny was deleted .*`MLFLOW_TRACKING_URI=sqlite:///.* experiments restore --exp"
    with pytest.raises(DeletedExperimentError, match=restore):
        Tracker(store, "tiny")


def test_a_renamed_experiment_is_the_studys_all_the_same(tracker: Tracker, store: Store) -> None:
    tracker.client.rename_experiment(tracker.experiment_id, "mine")
    assert Tracker(store, "tiny").experiment_id == tracker.experiment_id
    other = Tracker(store, "mine")
    assert other.experiment_id != tracker.experiment_id, "not by the name that it has now"
    assert other.client.get_experiment(other.experiment_id).name.startswith("mine ")
    assert Tracker(store, "mine").experiment_id == other.experiment_id


@pytest.mark.parametrize("name", ["tiny", "renamed"])
def test_an_experiment_of_an_earlier_version_is_found_and_tagged(
    tracker: Tracker, study_run: str, store: Store, name: str
) -> None:
    """By its name, or by its study runs."""
    with closing(sqlite3.connect(store.root / "mlflow.db")) as connection, connection:
        connection.execute("DELETE FROM experiment_tags WHERE key = 'fashion_hpo.study'")
    tracker.client.rename_experiment(tracker.experiment_id, name)
    assert find_experiment(tracker.client, "tin") is None
    assert Tracker(store, "tiny").experiment_id == tracker.experiment_id
    assert tracker.client.get_experiment(tracker.experiment_id).tags[STUDY] == "tiny"


def test_a_run_that_has_ended_does_not_end_again(tracker: Tracker, study_run: str) -> None:
    tracker.set_status(study_run, "FINISHED")
    ended = tracker.client.get_run(study_run).info.end_time
    tracker.set_status(study_run, "FINISHED")
    tracker.end_run(study_run, "FINISHED")
    assert tracker.client.get_run(study_run).info.end_time == ended


def test_a_deleted_study_run_is_restored(tracker: Tracker, study_run: str) -> None:
    tracker.client.delete_run(study_run)
    assert tracker.study_run("tiny/quick/r1", "abc", KEPT, {}) == study_run


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but a text of some length " * 9)
    with pytest.raises(StoreError, match=r"mlflow.db cannot be opened"):
        Tracker(Store.at(tmp_path), "tiny")
