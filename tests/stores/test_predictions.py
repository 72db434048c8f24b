"""What trials said of every image is read back as it was written, or not at all."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.stores.predictions import FILE, NoPredictionsError, PredictionFiles
from tests.finished import Finished, finished


@pytest.fixture
def done(
    fresh_databases: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Finished:
    return finished(fresh_databases, tmp_path_factory.getbasetemp(), tmp_path / "store")


def reader(done: Finished) -> PredictionFiles:
    found = of_ledger(done.ledger, done.store).predictions
    assert found is not None
    return found


def artifact(done: Finished, number: int = 1) -> Path:
    return Path(done.tracker.client.get_run(done.run_id(number)).info.artifact_uri) / FILE


def refusal(files: PredictionFiles, uid: str) -> str:
    assert files.of_trial(uid) is None
    with pytest.raises(NoPredictionsError) as error:
        files.fetch(uid)
    return str(error.value)


def test_both_ways_of_reading_give_what_was_written(done: Finished) -> None:
    files = reader(done)
    near, far = files.of_trial(done.uid()), files.fetch(done.uid())
    assert near is not None
    for one, other in zip(near, far, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (far.logits.shape, far.logits.dtype, far.labels.dtype) == ((100, 10), "f2", "u1")


def test_another_trials_file_is_refused(done: Finished) -> None:
    shutil.copy(artifact(done, 2), artifact(done))
    assert refusal(reader(done), done.uid()) == "were altered"


def test_a_file_that_is_gone_or_never_was_is_said_to_be(done: Finished) -> None:
    artifact(done).unlink()
    assert refusal(reader(done), done.uid()) == "are not there"
    unknown = PredictionFiles(done.store, "tiny", done.ledger.name, {})
    assert refusal(unknown, done.uid(2)) == "were never written"


def test_files_that_are_not_mirrored_yet_are_read_from_the_trials_folder(done: Finished) -> None:
    local = done.store.trial_folder(done.uid()) / "files"
    local.mkdir(parents=True)
    shutil.move(artifact(done), local / FILE)
    assert reader(done).of_trial(done.uid()) is not None
    assert len(reader(done).fetch(done.uid()).labels) == 100


def test_from_tracking_elsewhere_only_the_one_that_is_asked_for_is_fetched(done: Finished) -> None:
    elsewhere = replace(done.store, tracking=done.store.tracking_uri)
    records = of_ledger(done.ledger, elsewhere)
    assert records.predictions is not None
    assert records.predictions.of_trial(done.uid()) is None
    assert len(records.predictions.fetch(done.uid()).labels) == 100
    assert refusal(records.predictions, "gone-00001") == "are not there"
