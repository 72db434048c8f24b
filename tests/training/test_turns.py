"""Trainings that take turns in one process, after every optimizer step."""

import pytest
import torch

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train
from tests.training.test_train import CATALOGUE, WAYS_TO_TRAIN
from tests.training.tiny import curve, tiny_config, trained, weights

SHORT = {"epochs": 2, "train_images": 48, "batch_size": 32}
CONFIGS = {
    **{name: tiny_config(name, **SHORT) for name in CATALOGUE},
    **{
        " ".join(map(str, way)): tiny_config("optimized_cnn", **{**SHORT, **way})
        for way in WAYS_TO_TRAIN
    },
}
NEIGHBOUR = tiny_config("cnn", epochs=3, train_images=100, batch_size=20, mixup_alpha=0.4)


def side_by_side(states: list[TrainingState], splits: SearchSplits) -> None:
    """Train all of them, in turn after every step, until each has ended."""
    trainings = [train(state, splits) for state in states]
    while trainings:
        for training in list(trainings):
            try:
                next(training)
            except StopIteration:
                trainings.remove(training)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_three_side_by_side_equal_themselves_alone_to_the_bit(
    config: TrainConfig, splits: SearchSplits, hardware: Hardware
) -> None:
    configs = config, config.replace(seed=1), NEIGHBOUR
    states = [state_of(config, hardware) for config in configs]
    side_by_side(states, splits)
    alone = trained(config, splits, hardware)
    assert curve(states[0].history) == curve(alone.history)
    assert weights(states[0].model) == weights(alone.model)


def test_a_training_yields_after_each_step_and_each_epoch(
    splits: SearchSplits, hardware: Hardware
) -> None:
    config = tiny_config(epochs=2, train_images=150, batch_size=32, accumulation=2)
    yielded = [type(turn) for turn in train(state_of(config, hardware), splits)]
    assert yielded == [*[type(None)] * 3, Epoch] * 2


def test_a_turn_passed_changes_neither_draws_nor_threads(
    splits: SearchSplits, hardware: Hardware
) -> None:
    """Whatever the caller draws and sets meanwhile."""
    config = tiny_config(epochs=1, train_images=150)
    disturbed = state_of(config, hardware)
    for _ in train(disturbed, splits):
        torch.rand(7)
        torch.set_num_threads(2)
    assert torch.get_num_threads() == 1
    assert weights(disturbed.model) == weights(trained(config, splits, hardware).model)


def test_the_turns_of_others_do_not_count_as_seconds(
    splits: SearchSplits, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    state = state_of(tiny_config(epochs=2, train_images=150), hardware)
    model, passes = state.model, 0

    def step(*_: object) -> None:
        nonlocal now, passes
        now, passes = now + 1.0, passes + model.training

    model.register_forward_hook(step)
    for _ in train(state, splits):
        now += 1000.0
    assert [epoch.seconds for epoch in state.history] == [3 + 1 + 1] * 2
    assert [epoch.images_per_second for epoch in state.history] == [150 / 3] * 2


def state_of(config: TrainConfig, hardware: Hardware) -> TrainingState:
    return TrainingState(config, build_for(config), hardware)
