"""Configs that train in a moment, and what to compare of two trainings."""

import inspect
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from fashion_hpo.design.config import Epoch, Option, TrainConfig
from fashion_hpo.training.architectures import CATALOGUE, build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train

OPTIONS: dict[str, Option] = {
    "channels": 4, "hidden": 16, "width_multiplier": 0.25,
    "width": 16, "depth": 2, "heads": 2, "mlp_ratio": 2, "prompts": 3,
}  # fmt: skip
CLOCKED = ("seconds", "images_per_second", "timestamp")


def tiny_config(architecture: str = "simple_cnn", **fields: Any) -> TrainConfig:
    """Three epochs of 400 images in batches of 64, the last one of 16."""
    known = inspect.signature(CATALOGUE[architecture]).parameters
    options = {name: value for name, value in OPTIONS.items() if name in known}
    defaults = {"architecture_options": options, "epochs": 3, "batch_size": 64, "dropout": 0.3}
    return TrainConfig(architecture=architecture, **{**defaults, **fields})


def trained(config: TrainConfig, splits: SearchSplits, hardware: Hardware) -> TrainingState:
    """The state at the end of an uninterrupted training."""
    state = TrainingState(config, build_for(config), hardware)
    for _ in train(state, splits):
        pass
    return state


def curve(history: list[Epoch]) -> list[dict[str, float]]:
    """The epochs without what a clock says."""
    return [
        {name: value for name, value in asdict(epoch).items() if name not in CLOCKED}
        for epoch in history
    ]


def weights(model: nn.Module) -> dict[str, bytes]:
    """The bytes of the parameters and buffers."""
    values: dict[str, Tensor] = model.state_dict()
    return {
        name: value.cpu().flatten().view(torch.uint8).numpy().tobytes()
        for name, value in values.items()
    }
