from collections.abc import Iterator
from dataclasses import replace

import pytest

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.design.plan import Plan
from fashion_hpo.measuring import estimate
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.plans import TINY, design, search

TIMES = {"simple_cnn": (9.0, 3.0, 2.0, 5.0), "cnn": (9.0, 8.0, 6.0, 7.0)}
"""Seconds of each short epoch, half of them training."""


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """Epochs of real trainings, but for the times that they tell; the configs trained."""
    trained = []

    def epochs(state: TrainingState, splits: SearchSplits) -> Iterator[Epoch]:
        config = state.config
        trained.append(config)
        times = TIMES[config.architecture]
        for epoch, seconds in zip(epochs_of(train(state, splits)), times, strict=True):
            speed = config.train_images / (seconds / 2)
            yield replace(epoch, seconds=seconds, images_per_second=speed)

    monkeypatch.setattr(estimate, "train", epochs)
    return trained


def test_the_fastest_epoch_counts_for_all(
    timed: list[TrainConfig], splits: SearchSplits, hardware: Hardware
) -> None:
    """An epoch of 100 images and their evaluation takes 2 seconds, half of it for 200 images; the
    plan's has 100 training and 100 validation images to evaluate."""
    assert estimate.seconds(design(), splits, hardware) == pytest.approx(4 * 3 * 2.0)
    assert [config.train_images for config in timed] == [100]


def test_architectures_count_alike(
    timed: list[TrainConfig], splits: SearchSplits, hardware: Hardware
) -> None:
    base = TINY.replace(architecture_options={})
    plan = design(base=base, scientific={"architecture": ("cnn", "simple_cnn")}, seeds=1, claims=[])
    assert estimate.seconds(plan, splits, hardware) == pytest.approx(3 * (2.0 + 6.0))


def test_a_pruner_that_ends_every_trial_leaves_one_epoch_of_each(
    timed: list[TrainConfig], splits: SearchSplits, hardware: Hardware
) -> None:
    plan = search(trials=5, pruner="one_epoch", resume_pruned=2)
    assert estimate.seconds(plan, splits, hardware) == pytest.approx((5 + 2 * 2) * 2.0)


def test_networks_are_compiled_where_they_train_for_long() -> None:
    def plan(seeds: int, **scientific: tuple[float, ...]) -> Plan:
        base = TINY.replace(epochs=20, train_images=50_000)
        return design(base=base, scientific=scientific, seeds=seeds, claims=[])

    assert not estimate.compiling_pays(plan(10, dropout=(0.0, 0.1)))
    assert estimate.compiling_pays(plan(11, dropout=(0.0, 0.1)))
    assert not estimate.compiling_pays(plan(11, batch_size=(32, 64)))
    assert estimate.compiling_pays(plan(21, batch_size=(32, 64)))
