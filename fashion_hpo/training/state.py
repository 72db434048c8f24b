"""Everything a training has at the end of an epoch, and the file that holds it."""

import io
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.training.devices import Hardware


class TrainingState:
    """Model, optimizer, history and the best weights of one training; changed in place.

    There is no random state to keep: every draw is keyed by seed, purpose and epoch.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, hardware: Hardware) -> None:
        self.config = config
        self.model = model.to(hardware.device).to(memory_format=hardware.memory_format)
        self.optimizer = make_optimizer(config, model, hardware)
        self.history: list[Epoch] = []
        self.best_loss = float("inf")
        self.best_epoch = 0
        self.best_weights: dict[str, torch.Tensor] | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, early stopping has struck or a loss is not finite."""
        done = len(self.history)
        patience = self.config.early_stopping_patience
        stalled = bool(patience) and done - self.best_epoch >= patience
        diverged = bool(self.history) and self.history[-1].diverged
        return done >= self.config.epochs or stalled or diverged

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the model ends with: the best under early stopping."""
        return self.best_epoch if self.best_weights is not None else len(self.history)

    def record(self, epoch: Epoch) -> None:
        """Add an epoch; under early stopping, keep its weights if its loss is the lowest."""
        self.history.append(epoch)
        if not self.config.early_stopping_patience or epoch.diverged:
            return
        if epoch.val_loss < self.best_loss - self.config.early_stopping_delta:
            self.best_loss, self.best_epoch = epoch.val_loss, epoch.epoch
            weights = self.model.state_dict()
            self.best_weights = {name: value.clone() for name, value in weights.items()}

    def restore_best_weights(self) -> None:
        """Put the kept epoch's weights back into the model."""
        if self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)

    def save(self, path: Path) -> None:
        """Write the checkpoint so that a kill at any moment leaves the old or the new file."""
        buffer = io.BytesIO()
        torch.save(self._contents(), buffer)
        write_atomically(path, buffer.getvalue())

    def load(self, path: Path) -> None:
        """Continue from a checkpoint; raises ValueError if it belongs to another config."""
        contents = torch.load(path, weights_only=True, map_location="cpu")
        if contents["config"] != _canonical(self.config):
            raise ValueError(f"checkpoint {path.name} belongs to another config; delete it.")
        self.model.load_state_dict(contents["model"])
        self.optimizer.load_state_dict(contents["optimizer"])
        self.history = [Epoch(**values) for values in contents["history"]]
        self.best_loss, self.best_epoch = contents["best_loss"], contents["best_epoch"]
        self.best_weights = contents["best_weights"]

    def _contents(self) -> dict[str, Any]:
        return {
            "config": _canonical(self.config),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }


def make_optimizer(config: TrainConfig, model: nn.Module, hardware: Hardware) -> Optimizer:
    """The config's optimizer over the trainable parameters, fused where torch can."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    fused = hardware.device_type in ("cpu", "cuda")
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return SGD(parameters, rate, config.momentum, weight_decay=decay, fused=fused)
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(parameters, rate, weight_decay=decay, fused=fused)


def write_atomically(path: Path, content: bytes) -> None:
    """Temporary file, fsync, rename: the file is whole or absent, whenever the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content[: len(content) // 2])
        sys.audit("fashion_hpo.write", f"half of {path.suffix} file written")
        file.write(content[len(content) // 2 :])
        file.flush()
        os.fsync(file.fileno())
    sys.audit("fashion_hpo.write", f"{path.suffix} file not yet renamed")
    temporary.replace(path)
    sys.audit("fashion_hpo.write", f"{path.suffix} file written")


def _canonical(config: TrainConfig) -> str:
    return json.dumps(config.to_dict(), sort_keys=True)
