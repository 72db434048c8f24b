"""What an epoch asks of a device: uploads and reads, counted on torch's device without values."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training import train as training
from fashion_hpo.training.architectures import CATALOGUE, build_for
from fashion_hpo.training.augment.examples import AMOUNTS
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train
from tests.training.test_train import ALL_AUGMENTATIONS
from tests.training.tiny import tiny_config

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    **{name: {name: amount} for name, amount in AMOUNTS.items()},
    "all augmentations": ALL_AUGMENTATIONS,
    "accumulation": {"accumulation": 2},
    "a penalty on the head": {"head_l2": 0.1},
}


class Traffic(TorchDispatchMode):
    """Counts copies between the host and the device "meta", which has shapes and no values."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, given = func.overloadpacket.__name__, args[0] if args else None
        if name == "_local_scalar_dense" and given.is_meta:
            self.counted["read"] += 1
            return 1.0
        if name == "_to_copy" and "device" in kwargs:
            to = torch.device(kwargs["device"]).type
            if given.is_meta and to == "cpu":
                self.counted["read"] += 1
                return torch.ones(given.shape, dtype=kwargs.get("dtype") or given.dtype)
            self.counted["uploaded"] += to == "meta" and not given.is_meta
        return func(*args, **kwargs)


def traffic(config: TrainConfig, splits: SearchSplits, hardware: Hardware) -> Counter[str]:
    """The copies of one epoch; the network's and the images' uploads come before."""
    hardware = replace(hardware, device="meta")
    state = TrainingState(config, build_for(config), hardware)
    splits.on("meta")
    with Traffic() as mode:
        for _ in train(state, splits):
            pass
    return mode.counted


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_an_epoch_copies_as_often_with_many_batches_as_with_few(
    way: dict[str, Any],
    splits: SearchSplits,
    hardware: Hardware,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "PREPARED_TOGETHER", 1)  # as in an epoch of many images
    config = tiny_config("cnn", epochs=1, train_images=128, **way)
    few = traffic(config.replace(batch_size=64), splits, hardware)
    many = traffic(config.replace(batch_size=32), splits, hardware)
    assert few == many
    assert few["read"] == 1, "the loss of the training and the scores of two splits"
    assert few["uploaded"] >= 1, "the order"


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_network_copies_in_a_step(name: str, splits: SearchSplits, hardware: Hardware) -> None:
    config = tiny_config(name, epochs=1, train_images=16, batch_size=8)
    assert traffic(config, splits, hardware) == {"read": 1, "uploaded": 1}
