"""Seeds with validation and training images of their own: from the split to the page."""

import dataclasses
from collections.abc import Generator

import numpy as np
import pytest
import torch

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.analysis.statistics.verdicts import judge
from fashion_hpo.design.config import Epoch
from fashion_hpo.design.plan import point_id, points
from fashion_hpo.design.spec import Claim
from fashion_hpo.registering import registration
from fashion_hpo.replaying import replay
from fashion_hpo.running import workers
from fashion_hpo.running.publish import publish
from fashion_hpo.running.session import Session
from fashion_hpo.stores.kept import kept_plan
from fashion_hpo.stores.predictions import PredictionFiles
from fashion_hpo.training import devices
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.conftest import OpenSession
from tests.plans import TINY, design

SUMS = [10438913, 10429523, 10433203]
ACCURACY = Claim(
    id="T.b",
    text="Dropout costs accuracy.",
    measure="val_accuracy",
    contrast=("dropout", 0.0, 0.5),
    direction="lower",
)


def contents(split: SearchSplits) -> set[bytes]:
    return {image.numpy().tobytes() for image in torch.cat([split.train.images, split.val.images])}


def test_fold_0_is_the_fixed_split(splits: SearchSplits) -> None:
    assert splits.of(0) is splits
    assert (first := splits.of(1)).of(1) is first, "a fold is not drawn again"


def test_a_fold_has_the_same_images_in_other_roles(splits: SearchSplits) -> None:
    first, second = splits.of(1), splits.of(2)
    assert contents(first) == contents(second) == contents(splits)
    assert (len(first.train), len(first.val)) == (len(splits.train), len(splits.val))
    held = {image.numpy().tobytes() for image in first.val.images}
    assert not held & {image.numpy().tobytes() for image in first.train.images}
    assert held != {image.numpy().tobytes() for image in second.val.images}
    assert torch.equal(first.train.images, splits.of(1).train.images)
    assert first.val.labels.bincount().tolist() == splits.val.labels.bincount().tolist()
    assert first.train.first(50).labels.bincount().tolist() == [5] * 10, "prefixes are stratified"


def test_the_draw_of_a_fold_never_changes(splits: SearchSplits) -> None:
    """Other bytes would be another experiment under the same id."""
    sums = [int(splits.of(fold).val.images.sum()) for fold in (0, 1, 2)]
    assert sums == SUMS


def test_a_config_is_trained_and_measured_on_its_fold(splits: SearchSplits) -> None:
    def history(fold: int, on: SearchSplits) -> list[tuple[float, float]]:
        config = TINY.replace(fold=fold)
        hardware = devices.choose("cpu", threads=1).at(config)
        state = TrainingState(config, build_for(config), hardware)
        return [(epoch.train_loss, epoch.val_loss) for epoch in epochs_of(train(state, on))]

    of_fold = dataclasses.replace(splits.of(1), fold=0)
    assert history(1, splits) == history(0, of_fold) != history(0, splits)


def test_the_levels_of_a_seed_share_its_fold() -> None:
    folds = {(point.seed_index, point.config.fold) for point in points(design(folds=True))}
    assert folds == {(0, 1), (1, 2)}
    assert {point.config.fold for point in points(design())} == {0}


def test_ids_of_the_fixed_split_are_those_from_before_folds() -> None:
    plain, folded = design(), design(folds=True)
    assert "fold" not in points(plain)[0].config.identity()
    assert "folds" not in plain.identity()
    assert plain.identity() != folded.identity()
    assert point_id(points(plain)[0].config) != point_id(points(folded)[0].config)


@pytest.fixture
def done(open_here: OpenSession) -> Session:
    session = open_here(design(folds=True, claims=[ACCURACY]))
    list(workers.work(session))
    return session


def test_everything_rebuilds_a_trials_images_from_its_fold(
    done: Session, splits: SearchSplits
) -> None:
    ledger = done.ledger
    kept = kept_plan(ledger.name, ledger.attributes)
    assert kept.spec.folds
    study = of_ledger(ledger, done.store)
    assert isinstance(study.predictions, PredictionFiles)
    for uid, fold in zip(study.trials["uid"], study.trials["fold"], strict=True):
        labels = study.predictions.read(uid).labels
        assert np.array_equal(labels, splits.of(fold).val.labels.numpy())
    (verdict,) = judge(study)
    assert verdict.ours[0].endswith("2 seeds, a fold each of 1,100 images")
    page = publish(done.mirror, splits).page.read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    for entry in ledger.entries():
        run_id = done.tracker.run_of(entry.attempt.uid)
        assert run_id is not None
        logged = replay.find(done.store, run_id)
        training = replay.replay(logged, splits, replay.hardware_of(logged, "cpu"))
        assert differences(training) == []
    candidate = registration.candidate(ledger, done.tracker)
    registration.load_proven(candidate, done.tracker, splits)


def differences(training: Generator[Epoch, None, list[str]]) -> list[str]:
    while True:
        try:
            next(training)
        except StopIteration as ended:
            return list(ended.value)
