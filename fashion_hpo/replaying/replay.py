"""Train a logged trial again from its logged config and compare it bit for bit.

Nothing is written to the store.  Threads, precision and memory format are the trial's, because sums
in another order round differently.
"""

import math
import re
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from fashion_hpo.design.config import EPOCH_METRICS, Epoch
from fashion_hpo.design.sentences import quoted
from fashion_hpo.running.backbones import kept_backbone
from fashion_hpo.running.documents import write_documents
from fashion_hpo.stores import model_files, models, registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger, Result
from fashion_hpo.stores.opening import ledger_of_trial, readable_and_not
from fashion_hpo.stores.tracking import TAG
from fashion_hpo.training import devices, packaging
from fashion_hpo.training.architectures import CLASSICAL, build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train

TIMES = ("seconds", "images_per_second")  # differ between any two trainings
UID = re.compile(r"[0-9a-f]{12}-\d{5,}", re.ASCII)
NUMBERED = re.compile(r"([\w/]+):(\d{1,9})", re.ASCII)
GIVE = "give STUDY/BUDGET/REVISION:NUMBER, the trial's uid or the id of its run in MLflow"
COMPARED = tuple(name for name in EPOCH_METRICS if name not in TIMES)


class NoSuchRunError(ValueError):
    """No trial has this run."""


@dataclass(frozen=True)
class Logged:
    """A trial in the stores."""

    store: Store
    client: MlflowClient
    run: Run
    ledger: Ledger
    entry: Entry
    result: Result

    @property
    def hardware(self) -> Mapping[str, str]:
        """The hardware of the training."""
        return self.result.hardware


def find(store: Store, named: str) -> Logged:
    """A trial from the ledger, by the id of its MLflow run, its uid, or LEDGER:NUMBER.

    LEDGER may lack its end, as in `tiny:3`, if no other ledger begins so.  Raises NoSuchRunError
    for an unknown trial, and for a trial without epochs to compare.
    """
    client = MlflowClient(store.tracking_uri, store.tracking_uri)
    if numbered := NUMBERED.fullmatch(named):
        named = f"{_ledger(store, numbered[1]).uid}-{int(numbered[2]):05d}"
    run = _run_of(client, named) if UID.fullmatch(named) else _run(store, client, named)
    uid = run.data.tags.get(f"{TAG}.uid", "") if run else named
    ledger = ledger_of_trial(store, uid)
    for entry in ledger.entries() if ledger is not None else ():
        if ledger is not None and run and entry.attempt.uid == uid and entry.result is not None:
            return _with_epochs(Logged(store, client, run, ledger, entry, entry.result))
    raise NoSuchRunError(f"{named} is not a trial with a result; {GIVE}.")


def _ledger(store: Store, begin: str) -> Ledger:
    """The only ledger of that name, or whose name begins so."""
    ledgers = {ledger.name: ledger for ledger in readable_and_not(store)[0]}
    fitting = [name for name in ledgers if f"{name}/".startswith(f"{begin}/")]
    if len(fitting) != 1:
        raise NoSuchRunError(
            f"ledger {quoted(begin, 80)} is {len(fitting)} of those in {store.root}; choose among "
            f"{', '.join(fitting or ledgers) or 'none'}."
        )
    return ledgers[fitting[0]]


def _run(store: Store, client: MlflowClient, run_id: str) -> Run:
    try:
        return client.get_run(run_id)
    except MlflowException:
        raise NoSuchRunError(f"run {quoted(run_id, 80)} is not in {store.root}; {GIVE}.") from None


def _run_of(client: MlflowClient, uid: str) -> Run | None:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`{TAG}.uid` = '{uid}'", max_results=1)
    return runs[0] if runs else None


def hardware_of(logged: Logged, device: str | None) -> Hardware:
    """The trial's own hardware, or another device with the trial's threads.

    Raises ValueError if the device is absent.
    """
    tags, config = logged.hardware, logged.entry.attempt.config
    threads = int(tags["threads"])
    hardware = devices.choose(device or tags["device"], threads=threads).at(config)
    if hardware.device_type != tags["device"].partition(":")[0]:
        return hardware
    micro_batch = tags.get("micro_batch")
    return replace(
        hardware,
        precision=tags["precision"],
        channels_last=tags["channels_last"] == "True",
        micro_batch=int(micro_batch) if micro_batch else None,
        step=tags.get("step", "eager"),
        served_channels_last=tags.get("served_channels_last") == "True",
    )


def replay(
    logged: Logged, splits: SearchSplits, hardware: Hardware, epochs: int | None = None
) -> Generator[Epoch, None, list[str]]:
    """Train the trial again, or its first epochs; yields the epochs, returns the differences.

    After all epochs, the weights and the files about the validation images are compared too.
    """
    if splits.info.name != logged.ledger.info.name:
        raise ValueError(
            f"the trial was trained on {logged.ledger.info.name}, and the data here are "
            f"{splits.info.name}; name the trial's data with --data, or leave --data out."
        )
    splits = splits.of(logged.entry.attempt.config.fold)
    if logged.entry.attempt.config.architecture in CLASSICAL:
        return (yield from _fitted_again(logged, splits, hardware))
    config, logged_epochs = logged.entry.attempt.config, len(logged.result.history)
    wanted = min(epochs or logged_epochs, logged_epochs)
    torch.set_num_threads(hardware.threads)
    network = build_for(config, kept_backbone(logged.store, logged.ledger.uid, config), splits.info)
    state = TrainingState(config, network, hardware)
    training = epochs_of(train(state, splits))
    for epoch in islice(training, wanted):
        yield epoch
    differences = differing_epochs(logged.result.history[:wanted], state.history)
    if wanted < logged_epochs or logged.result.outcome == "diverged":
        return differences
    if logged.result.outcome == "complete":
        for epoch in training:  # restores the best weights; a further epoch is a difference
            differences.append(f"it goes on to epoch {epoch.epoch}")
    return differences + _differing_model(logged, state, splits)


def differing_epochs(
    history: Sequence[Mapping[str, float]], replayed: Sequence[Epoch]
) -> list[str]:
    """A line for each metric that differs: the first epoch, and the largest difference."""
    differences = []
    if len(history) != len(replayed):
        differences.append(f"{len(replayed)} epochs, not {len(history)}")
    for name in COMPARED:
        pairs = [
            (old["epoch"], old[name], getattr(new, name))
            for old, new in zip(history, replayed, strict=False)
        ]
        gaps = [(epoch, abs(old - new)) for epoch, old, new in pairs if not _is_same(old, new)]
        if gaps:
            epoch, largest = max(gaps, key=lambda gap: gap[1])
            differences.append(
                f"{name} from epoch {gaps[0][0]:.0f} on, by up to {largest:.3g} (epoch {epoch:.0f})"
            )
    return differences


def _with_epochs(logged: Logged) -> Logged:
    if not logged.result.history:
        raise NoSuchRunError(
            f"run {logged.run.info.run_id} {logged.result.outcome} without an epoch in the ledger; "
            "give the id of a run that has epochs."
        )
    return logged


def _is_same(old: float, new: float) -> bool:
    return old == new or (math.isnan(old) and math.isnan(new))


def _differing_model(logged: Logged, state: TrainingState, splits: SearchSplits) -> list[str]:
    """Compare the weights with those of the logged model, and the files by their hashes."""
    model = packaging.served(
        state.model,
        logged.entry.attempt.config.pixel_range,
        channels_last=state.hardware.served_channels_last,
    )
    differences = []
    with tempfile.TemporaryDirectory() as temporary:
        measured: torch.nn.Module = model
        has_model = bool(model_files.hashes_in(logged.result.files))
        if has_model or logged.entry.given_up:  # the trial measured its exported model
            folder = Path(temporary) / "model"
            models.write_model(model, folder, splits.val.images[:2].numpy(), {})
            measured = models.read_model(folder)
            differences += _differing_weights(logged, measured) if has_model else []
        probabilities = packaging.probabilities_of(measured, splits.val.images)
        logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        return differences + _differing_files(
            logged, Path(temporary), probabilities, logits, splits.val.labels.numpy()
        )


def _differing_weights(logged: Logged, replayed: torch.nn.Module) -> list[str]:
    tracking_uri, uid = logged.store.tracking_uri, logged.entry.attempt.uid
    logged_models = logged.client.search_logged_models(
        [logged.run.info.experiment_id], filter_string=f"tags.`{TAG}.uid` = '{uid}'", max_results=1
    )
    if not logged_models:
        return ["weights: the logged model is gone"]
    folder = registry.download(tracking_uri, f"models:/{logged_models[0].model_id}")
    if altered := model_files.changes(folder, model_files.hashes_in(logged.result.files)):
        return [f"weights: the logged model's file {altered[0]}"]
    old, new = models.read_model(folder).state_dict(), replayed.state_dict()
    if old.keys() != new.keys():
        return ["weights: other names"]
    gap = max(float((old[name].double() - new[name].double()).abs().max()) for name in old)
    return [] if gap == 0 else [f"weights, by up to {gap:.3g}"]


def _differing_files(
    logged: Logged,
    folder: Path,
    probabilities: np.ndarray,
    logits: np.ndarray,
    labels: np.ndarray,
) -> list[str]:
    write_documents(folder / "files", probabilities, logits, labels, logged.ledger.info)
    replayed = model_files.file_hashes(folder / "files")
    return [
        f"{name}, by its sha256"
        for name, sha256 in replayed.items()
        if logged.result.files.get(f"files/{name}") != sha256
    ]


def _fitted_again(
    logged: Logged, splits: SearchSplits, hardware: Hardware
) -> Generator[Epoch, None, list[str]]:
    from fashion_hpo.running.classical import fitted  # importing scikit-learn takes a second

    epoch, probabilities = fitted(logged.entry.attempt.config, splits, hardware)
    yield epoch
    differences = differing_epochs(logged.result.history, [epoch])
    logits, labels = np.log(probabilities), splits.val.labels.numpy()
    with tempfile.TemporaryDirectory() as folder:
        return differences + _differing_files(logged, Path(folder), probabilities, logits, labels)
