"""Resolve a backbone's name to a file of weights, before the network is built.

A name is `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `trial:UID` of a complete trial in this
store, or `imagenet`.  Each ledger resolves a name once: an alias that moves later changes none of
its trials.
"""

import hashlib
import io
from pathlib import Path

import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.running.session import Session
from fashion_hpo.running.trial_models import model_folder
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import ledger_of_trial
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training.architectures.imagenet_vit import IMAGENET, imagenet_vit
from fashion_hpo.training.architectures.prompted_vit import TRIAL


def backbone_file(session: Session, config: TrainConfig) -> Path | None:
    """The file of the config's backbone, a state dict; None for random initial weights.

    Raises ValueError if no model has the name, and UnsafeModelError if the model's files differ
    from the logged files.
    """
    file = _file(session.store, session.ledger.uid, config)
    if file is None:
        return None
    name = _name(config)
    if name == IMAGENET and config.pixel_range != "unit":
        raise ValueError(
            f"pixel_range is {config.pixel_range!r} with the backbone imagenet, which takes pixels "
            "in [0, 1]; set it to 'unit'."
        )
    with session.store.lock("backbones"):
        if not file.exists():
            weights = imagenet_vit() if name == IMAGENET else _weights(_folder(session, name))
            write_atomically(file, _saved(weights))
    return file


def kept_backbone(store: Store, ledger_uid: str, config: TrainConfig) -> Path | None:
    """The file from which a ledger's trials loaded this backbone; None for random initial weights.

    Raises ValueError if the file is missing: the name may mean another model by now.
    """
    file = _file(store, ledger_uid, config)
    if file is not None and not file.exists():
        raise ValueError(
            f"backbone {_name(config)!r} is no longer in {file.parent}; put the file back from a "
            "copy of the store."
        )
    return file


def _file(store: Store, ledger_uid: str, config: TrainConfig) -> Path | None:
    name = _name(config)
    if name == "random":
        return None
    return store.backbone(ledger_uid, hashlib.sha256(name.encode()).hexdigest()[:16])


def _name(config: TrainConfig) -> str:
    return str(config.architecture_options.get("backbone", "random"))


def _folder(session: Session, name: str) -> Path:
    """The folder of the named model's files."""
    if not name.startswith(TRIAL):
        return registry.download_verified(session.tracker.uri, name)
    uid = name.removeprefix(TRIAL)
    ledger = ledger_of_trial(session.store, uid)
    for entry in ledger.entries() if ledger is not None else ():
        if ledger is not None and entry.attempt.uid == uid:
            return model_folder(Tracker(session.store, ledger.plan.name), entry)
    raise ValueError(
        f"architecture option backbone is {name!r}, and {session.store.root} has no such trial; "
        "give the uid of a complete trial, which is its run's tag fashion_hpo.uid."
    )


def _weights(folder: Path) -> dict[str, Tensor]:
    """The network's state dict, without the served model's preprocessing."""
    weights = models.read_model(folder).state_dict()
    return {name.removeprefix("network."): value for name, value in weights.items()}


def _saved(weights: dict[str, Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()
