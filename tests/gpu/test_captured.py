"""Captured steps: the bits of their operations run one by one, and nothing waits for the device.

On a CPU there is no graph: the step's tensors, its warm-up and its checkpoints are tested there.
"""

import copy
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.training import packaging, step
from fashion_hpo.training.architectures import CATALOGUE, build_for
from fashion_hpo.training.augment.examples import AMOUNTS
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.training.test_train import ALL_AUGMENTATIONS, WAYS_TO_TRAIN
from tests.training.test_turns import NEIGHBOUR, side_by_side
from tests.training.tiny import curve, tiny_config, trained, weights

SHORT = {"epochs": 2, "train_images": 80, "batch_size": 32}  # the last batch has 16 images
PENALISED = {"channels": 4, "hidden": 16, "offset_penalty": 0.05}
WAYS: list[dict[str, Any]] = [*WAYS_TO_TRAIN, ALL_AUGMENTATIONS]
SETTINGS = {
    **{" ".join(map(str, way)): tiny_config("optimized_cnn", **{**SHORT, **way}) for way in WAYS},
    "a penalty": tiny_config("deformable_cnn", **SHORT, architecture_options=PENALISED),
}
CONFIGS = {**SETTINGS, **{name: tiny_config(name, **SHORT) for name in CATALOGUE}}
# Without graphs no network is a special case; other tests train and export all of them on the CPU.
NETWORKS = [*CATALOGUE] if torch.cuda.is_available() else ["optimized_cnn"]
HERE = CONFIGS if torch.cuda.is_available() else SETTINGS
NOT_REPEATABLE = ("deformable_cnn",)  # on CUDA: its backward pass adds in any order

over_configs = pytest.mark.parametrize("config", HERE.values(), ids=HERE.keys())


@contextmanager
def nothing_can_be_captured() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "captured", refuse)
        yield


def state_of(config: TrainConfig, hardware: Hardware) -> TrainingState:
    return TrainingState(config, build_for(config), hardware)


def check_equal(config: TrainConfig, one: TrainingState, other: TrainingState) -> None:
    if one.hardware.device_type == "cuda" and config.architecture in NOT_REPEATABLE:
        return
    assert curve(one.history) == curve(other.history)
    assert weights(one.model) == weights(other.model)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_captured_steps_equal_their_operations_run_one_by_one(
    config: TrainConfig, splits: SearchSplits, capturing: Hardware
) -> None:
    captured = trained(config, splits, capturing)
    with nothing_can_be_captured():
        eager = trained(config, splits, capturing)
    assert captured.not_captured == ""
    assert eager.described()["not_captured"] == (
        "RuntimeError: operation not permitted when stream is capturing"
    )
    check_equal(config, captured, eager)


@pytest.mark.parametrize("config", SETTINGS.values(), ids=SETTINGS.keys())
def test_captured_steps_differ_from_eager_ones_in_last_bits_alone(
    config: TrainConfig, splits: SearchSplits, capturing: Hardware
) -> None:
    """Rate and λ are float32 there."""
    precise = replace(capturing, precision="fp32")
    captured = trained(config, splits, precise)
    eager = trained(config, splits, replace(precise, step="eager"))
    for one, other in zip(captured.history, eager.history, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)


@pytest.mark.parametrize("micro_batch", [16, 64])
def test_pieces_of_a_batch_are_captured_too(
    micro_batch: int, splits: SearchSplits, capturing: Hardware
) -> None:
    hardware = replace(capturing, micro_batch=micro_batch)
    config = tiny_config("cnn", **SHORT, mixup_alpha=0.4, accumulation=2, head_l2=0.01)
    captured = trained(config, splits, hardware)
    with nothing_can_be_captured():
        check_equal(config, captured, trained(config, splits, hardware))


@over_configs
def test_a_captured_training_among_others_equals_itself_alone(
    config: TrainConfig, splits: SearchSplits, capturing: Hardware
) -> None:
    configs = config, config.replace(seed=1), NEIGHBOUR
    states = [state_of(config, capturing) for config in configs]
    side_by_side(states, splits)
    check_equal(config, states[0], trained(config, splits, capturing))


@over_configs
def test_a_captured_training_that_is_resumed_equals_the_uninterrupted(
    config: TrainConfig, splits: SearchSplits, capturing: Hardware, tmp_path: Path
) -> None:
    whole, checkpoint = state_of(config, capturing), tmp_path / "checkpoint"
    for epoch in epochs_of(train(whole, splits)):
        if epoch.epoch == 1:
            whole.save(checkpoint)
    resumed = state_of(config, capturing)
    resumed.load(checkpoint)
    for _ in train(resumed, splits):
        pass
    check_equal(config, whole, resumed)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_captured_steps_is_exported(
    name: str, splits: SearchSplits, capturing: Hardware
) -> None:
    state = trained(tiny_config(name, **{**SHORT, "epochs": 1}), splits, capturing)
    model, images = packaging.served(state.model, "unit"), splits.val.images
    program = export(copy.deepcopy(model), (images[:2],), dynamic_shapes=({0: Dim("images")},))
    assert packaging.differences(program.module(), model, images, batches=(1, 7, 100)) == []


needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="there is no C++ compiler"
)


class NoPooling(nn.Module):
    """Small, because a CPU's compiler takes a minute for a network of the catalogue."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 10)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        scores: Tensor = self.layers(pixels)
        return scores


class Reading(NoPooling):
    """Decides by a value within its forward pass, which no graph can hold."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels if pixels.detach().amax() > 0 else -pixels)


class WithPenalty(NoPooling):
    def penalised(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores = self(images)
        return scores, scores.square().mean()


def compiled_state(capturing: Hardware, network: nn.Module, **fields: Any) -> TrainingState:
    config = tiny_config("simple_cnn", **{**SHORT, **fields})
    return TrainingState(config, network, replace(capturing, step="compiled"))


def run(state: TrainingState, splits: SearchSplits) -> TrainingState:
    for _ in train(state, splits):
        pass
    return state


@needs_compiler
def test_a_compiled_training_equals_itself_among_others(
    splits: SearchSplits, capturing: Hardware
) -> None:
    """The other compiles the same network for another batch size."""
    alone = run(compiled_state(capturing, NoPooling()), splits)
    other = compiled_state(capturing, NoPooling(), batch_size=16)
    again = compiled_state(capturing, NoPooling())
    side_by_side([other, again], splits)
    assert [state.not_compiled for state in (alone, other, again)] == ["", "", ""]
    check_equal(alone.config, alone, again)
    plain = TrainingState(alone.config, NoPooling(), capturing)
    assert weights(run(plain, splits).model) != weights(alone.model)


@needs_compiler
@pytest.mark.parametrize(
    ("network", "reason"),
    [(Reading, "Unsupported: "), (WithPenalty, "its penalty is computed beside the forward pass")],
)
def test_a_network_that_cannot_be_compiled_trains_without(
    network: type[NoPooling], reason: str, splits: SearchSplits, capturing: Hardware
) -> None:
    compiled = run(compiled_state(capturing, network()), splits)
    assert compiled.described()["not_compiled"].startswith(reason)
    plain = run(TrainingState(compiled.config, network(), capturing), splits)
    check_equal(compiled.config, compiled, plain)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_checkpoints_of_captured_and_eager_steps_are_alike(
    optimizer: str, splits: SearchSplits, capturing: Hardware, tmp_path: Path
) -> None:
    config = tiny_config("simple_cnn", **SHORT, optimizer=optimizer)
    for kind in ("captured", "eager"):
        trained(config, splits, replace(capturing, step=kind)).save(tmp_path / kind)
    of_captured, of_eager = (
        torch.load(tmp_path / kind, weights_only=True)["optimizer"]
        for kind in ("captured", "eager")
    )
    for groups in zip(of_captured["param_groups"], of_eager["param_groups"], strict=True):
        assert len({repr({**group, "lr": type(group["lr"])}) for group in groups}) == 1
    for number, values in of_eager["state"].items():
        assert values.keys() == of_captured["state"][number].keys()


def test_memory_that_runs_out_in_a_capture_ends_the_training(
    splits: SearchSplits, capturing: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(step, "captured", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        trained(tiny_config("simple_cnn", **SHORT), splits, capturing)


@contextmanager
def waiting_is_an_error(device: str) -> Iterator[None]:
    with nullcontext() if device == "cpu" else _sync_debug_mode("error"):
        yield


@contextmanager
def _sync_debug_mode(mode: str) -> Iterator[None]:
    torch.cuda.set_sync_debug_mode(mode)
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", AMOUNTS)
def test_no_step_waits_and_an_epoch_waits_once(
    name: str, splits: SearchSplits, capturing: Hardware
) -> None:
    """`tests/training/test_step.py` counts the copies without a GPU."""
    config = tiny_config("optimized_cnn", **SHORT, **{name: AMOUNTS[name]})
    training = train(state_of(config, capturing), splits)
    next(training)  # captures
    with waiting_is_an_error(capturing.device):
        assert [next(training) for _ in range(2)] == [None, None]
    assert isinstance(next(training), Epoch)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with nullcontext() if capturing.device == "cpu" else _sync_debug_mode("warn"):
            assert [type(next(training)) for _ in range(4)] == [*[type(None)] * 3, Epoch]
    assert len(caught) == (capturing.device != "cpu"), [str(w.message) for w in caught]
