"""The state of a training after an epoch, and its checkpoint file."""

import hashlib
import io
import json
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.optimizers import SGD, Adam, AdamW


class TrainingState:
    """Model, optimizer, history and best weights of one training; changed in place.

    There is no random state: every draw is keyed by seed, purpose and epoch.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, hardware: Hardware) -> None:
        self.config = config
        self.hardware = hardware
        self.model = model.to(hardware.device).to(memory_format=hardware.memory_format)
        self.optimizer = make_optimizer(config, model, hardware)
        self.not_captured = ""  # why no step could be captured, though the hardware asks for it
        self.not_compiled = ""  # the same of the network
        self.history: list[Epoch] = []
        self.joules: float | None = 0.0  # of all epochs; None if unknown for one of them
        self.best_loss = float("inf")
        self.best_epoch = 0
        self.best_weights: dict[str, torch.Tensor] | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, early stopping applies or a loss is not finite."""
        done = len(self.history)
        patience = self.config.early_stopping_patience
        stalled = bool(patience) and done - self.best_epoch >= patience
        diverged = bool(self.history) and self.history[-1].diverged
        return done >= self.config.epochs or stalled or diverged

    @property
    def kept_epoch(self) -> int:
        """The epoch of the final weights: the best under early stopping, else the last."""
        return self.best_epoch if self.best_weights is not None else len(self.history)

    def record(self, epoch: Epoch, joules: float | None = None) -> None:
        """Add an epoch; under early stopping, keep its weights if its loss is the lowest."""
        self.history.append(epoch)
        if self.joules is not None:
            self.joules = None if joules is None else self.joules + joules
        if not self.config.early_stopping_patience or epoch.diverged:
            return
        if epoch.val_loss < self.best_loss - self.config.early_stopping_delta:
            self.best_loss, self.best_epoch = epoch.val_loss, epoch.epoch
            weights = _learned(self.model)
            self.best_weights = {name: value.clone() for name, value in weights.items()}

    def restore_best_weights(self) -> None:
        """Load the best epoch's weights into the model."""
        if self.best_weights is not None:
            _put(self.best_weights, self.model)

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically: a kill leaves the old or the new file."""
        buffer = io.BytesIO()
        torch.save(self._contents(), buffer)
        write_atomically(path, buffer.getvalue())

    def load(self, path: Path) -> None:
        """Resume from a checkpoint.

        Raises ValueError if the checkpoint has another config, other frozen weights or layers.
        """
        contents = torch.load(path, weights_only=True, map_location="cpu")
        if contents["config"] != _canonical(self.config):
            raise ValueError(f"checkpoint {path.name} belongs to another config; delete it.")
        if contents.get("frozen_sha256") != self.frozen_sha256:
            raise ValueError(
                f"checkpoint {path.name} belongs to other frozen weights than this network has; "
                "delete it, or give the backbone it was trained with."
            )
        if contents["model"].keys() != _learned(self.model).keys():
            raise ValueError(
                f"checkpoint {path.name} belongs to another version of {self.config.architecture}, "
                "with other layers; delete it to train from the start."
            )
        _put(contents["model"], self.model)
        self._load_optimizer(contents["optimizer"])
        self.history = [Epoch(**values) for values in contents["history"]]
        self.joules = contents["joules"]
        self.best_loss, self.best_epoch = contents["best_loss"], contents["best_epoch"]
        self.best_weights = contents["best_weights"]

    def described(self) -> dict[str, str]:
        """The hardware as text, with what this training met on it."""
        described = self.hardware.describe()
        for name in ("not_captured", "not_compiled"):
            if reason := getattr(self, name):
                described[name] = reason
        if self.hardware.device_type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.hardware.device)
            described["peak_device_bytes"] = str(peak)  # of all trainings in this process
        return described

    @cached_property
    def frozen_sha256(self) -> str | None:
        """Hash of the frozen parameters, which checkpoints leave out; None without any."""
        frozen = [(name, p) for name, p in self.model.named_parameters() if not p.requires_grad]
        digest = hashlib.sha256()
        for name, value in frozen:
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest() if frozen else None

    def _contents(self) -> dict[str, Any]:
        return {
            **({"frozen_sha256": self.frozen_sha256} if self.frozen_sha256 else {}),
            "config": _canonical(self.config),
            "model": _learned(self.model),
            "optimizer": self._optimizer_contents(),
            "history": [asdict(epoch) for epoch in self.history],
            "joules": self.joules,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def _optimizer_contents(self) -> dict[str, Any]:
        """The optimizer's state, the same for eager and captured steps."""
        contents = self.optimizer.state_dict()
        for group in contents["param_groups"]:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"] = self.config.learning_rate  # every step sets its own
            if "capturable" in group:
                group["capturable"] = False
        return contents

    def _load_optimizer(self, contents: dict[str, Any]) -> None:
        """Load the optimizer's state; a captured step keeps its settings, among them the rate, a
        tensor on the device."""
        groups = self.optimizer.param_groups
        self.optimizer.load_state_dict(contents)
        if self.hardware.captures:
            for loaded, group in zip(self.optimizer.param_groups, groups, strict=True):
                loaded |= {name: group[name] for name in ("lr", "capturable") if name in group}


def epochs_in(checkpoint: bytes) -> int:
    """The number of epochs that a checkpoint has."""
    contents = torch.load(io.BytesIO(checkpoint), weights_only=True, map_location="cpu")
    return len(contents["history"])


def make_optimizer(config: TrainConfig, model: nn.Module, hardware: Hardware) -> Optimizer:
    """The config's optimizer of the trainable parameters; fused on devices where torch can."""
    parameters = _parameter_groups(config, model)
    fused = hardware.device_type in ("cpu", "cuda")
    captured = hardware.captures  # a graph reads the rate from the device
    rate: float | torch.Tensor = config.learning_rate
    if captured:
        rate = torch.tensor(rate, device=hardware.device)
    decay = config.weight_decay
    if config.optimizer == "sgd":
        return SGD(parameters, rate, config.momentum, weight_decay=decay, fused=fused)
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(parameters, rate, weight_decay=decay, fused=fused, capturable=captured)


def _parameter_groups(config: TrainConfig, model: nn.Module) -> list[dict[str, Any]]:
    """The trainable parameters; under `decay_weights_only`, those without decay are a second group.

    Weights are those of linear layers and convolutions.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not config.decay_weights_only:
        return [{"params": trainable}]
    layers = (m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    weights = {id(layer.weight) for layer in layers}
    return [
        {"params": [p for p in trainable if id(p) in weights]},
        {"params": [p for p in trainable if id(p) not in weights], "weight_decay": 0.0},
    ]


def _learned(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict without its frozen parameters."""
    state: dict[str, torch.Tensor] = model.state_dict()
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            del state[name]
    return state


def _put(learned: dict[str, torch.Tensor], model: nn.Module) -> None:
    model.load_state_dict({**model.state_dict(), **learned})


def _canonical(config: TrainConfig) -> str:
    return json.dumps(config.identity(), sort_keys=True)
