"""Train a winner's config again, on training and validation images together.

The number of epochs is the lower median of the seeds' best epochs, because no images are left to
choose it by.  The training is not a trial and in no ledger: its run's uid is `retrain-` and the uid
of the winner's trial.
"""

import json
import math
import tempfile
from collections.abc import Generator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from mlflow.artifacts import download_artifacts

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.registering.registration import Candidate, register_command, score
from fashion_hpo.registering.winner import Winner, result_of
from fashion_hpo.running.backbones import kept_backbone
from fashion_hpo.running.outcome import AlteredModelError
from fashion_hpo.stores import model_files, models
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Result
from fashion_hpo.stores.tracking import RETRAINED, Tracker
from fashion_hpo.training import packaging
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits, Split
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train

RESULT = "result.json"


def retrained_config(won: Winner) -> TrainConfig:
    """The chosen trial's config for the median of the seeds' best epochs, without early stopping.

    The warm-up sets a minimum.
    """
    config = won.chosen.attempt.config
    best = sorted(int(result_of(entry).summaries["best_epoch"]) for entry in won.trials)
    epochs = max(best[(len(best) - 1) // 2], math.floor(config.warmup_epochs) + 1)
    return config.replace(epochs=epochs, early_stopping_patience=0)


def joined(config: TrainConfig, splits: SearchSplits) -> Split:
    """The config's training images, then all validation images."""
    part = splits.train.first(config.train_images)
    return Split(
        torch.cat([part.images, splits.val.images]), torch.cat([part.labels, splits.val.labels])
    )


def retrain(
    chosen: Candidate, store: Store, tracker: Tracker, splits: SearchSplits, hardware: Hardware
) -> Generator[Epoch, None, Candidate]:
    """Train the winner's config again, export and log it; yields each epoch.

    Returns the candidate to register, at once if an earlier process finished the training.  An
    interrupted training starts again.  Raises RuntimeError if a loss is not finite.
    """
    config, uid = retrained_config(chosen.winner), f"{RETRAINED}{chosen.attempt.uid}"
    splits = splits.of(config.fold)
    images = joined(config, splits)
    description = f"{len(images):,} training and validation images, {config.epochs} epochs"
    attempt = replace(chosen.attempt, uid=uid, config=config)
    run_id = _run(chosen, tracker, uid, config)
    result = _finished(tracker, run_id, uid)
    if result is None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            result = yield from _train(chosen, store, config, images, splits, hardware, folder)
            tracker.client.log_dict(run_id, vars(result), RESULT)
            tracker.log_epochs(run_id, [Epoch(**values) for values in result.history])
            tracker.log_model(
                run_id, uid, folder, config.epochs, f"{chosen.ledger.plan.name} retrained"
            )
        tracker.end_run(run_id, "FINISHED", {"retrained": description, **result.hardware})
    model_id = tracker.model_of(uid)
    assert model_id is not None
    return replace(
        chosen,
        attempt=attempt,
        result=result,
        run_id=run_id,
        model_id=model_id,
        retrained=description,
    )


def _run(chosen: Candidate, tracker: Tracker, uid: str, config: TrainConfig) -> str:
    ledger = chosen.ledger
    tags = {"budget": ledger.plan.budget, "data_hash": ledger.data_hash}
    study_run = tracker.study_run(ledger.name, ledger.uid, ledger.attributes, tags)
    return tracker.trial_run(
        uid,
        study_run,
        name=f"{ledger.name} retrained",
        params=config.to_dict(),
        tags={"of": chosen.attempt.uid, "ledger": ledger.name},
        data_hash=ledger.data_hash,
        info=ledger.info,
    )


def _finished(tracker: Tracker, run_id: str, uid: str) -> Result | None:
    """The result of a run whose model is complete; the model is uploaded last."""
    model_id = tracker.model_of(uid)
    if model_id is None or str(tracker.client.get_logged_model(model_id).status) != "READY":
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(
            run_id=run_id, artifact_path=RESULT, dst_path=folder, tracking_uri=tracker.uri
        )
        return Result(**json.loads(Path(path).read_text(encoding="utf-8")))


def _train(
    chosen: Candidate,
    store: Store,
    config: TrainConfig,
    images: Split,
    splits: SearchSplits,
    hardware: Hardware,
    folder: Path,
) -> Generator[Epoch, None, Result]:
    torch.set_num_threads(hardware.threads)
    network = build_for(config, kept_backbone(store, chosen.ledger.uid, config), splits.info)
    state = TrainingState(config, network, hardware)
    yield from epochs_of(train(state, splits, images=images))
    if state.history[-1].diverged:
        command = register_command(chosen.ledger.plan)
        raise RuntimeError(
            f"a loss was no number in epoch {len(state.history)} of the training on training and "
            f"validation images; register the trained model itself with {command}."
        )
    model = packaging.served(
        network, config.pixel_range, channels_last=hardware.served_channels_last
    )
    metadata = {**splits.info.of_model(), "config": config.to_dict()}
    models.write_model(model, folder, splits.val.images[:2].numpy(), metadata)
    reloaded = models.read_model(folder)
    if differences := packaging.differences(reloaded, model, splits.val.images):
        raise AlteredModelError(
            f"the exported model is not the trained one: {'; '.join(differences)}"
        )
    on_val = score(
        reloaded, splits.val, splits.info.classes
    )  # trained on these images: only identifies the model
    return Result(
        outcome="complete",
        history=[asdict(epoch) for epoch in state.history],
        summaries={
            "model_val_accuracy": on_val.accuracy,
            "model_val_loss": on_val.loss,
            "kept_epoch": float(config.epochs),
        },
        files={f"model/{name}": sha256 for name, sha256 in model_files.file_hashes(folder).items()},
        hardware=state.described(),
    )
