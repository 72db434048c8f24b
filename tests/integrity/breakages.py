"""What may be wrong between a ledger and its mirror, each done to a finished store."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from mlflow.entities import LoggedModelOutput

from fashion_hpo.stores.registry import CHAMPION, MANIFEST, REGISTERED_NAME, create_version
from fashion_hpo.stores.tracking import NOTE
from tests.finished import Finished

Break = Callable[[Finished], object]


def study_run(done: Finished) -> str:
    found = done.tracker.run_of(done.ledger.uid)
    assert found is not None
    return found


def another_run(done: Finished, uid: str, *, kind: str = "trial") -> str:
    tags = {"fashion_hpo.uid": uid, "fashion_hpo.kind": kind}
    return str(done.tracker.client.create_run(done.tracker.experiment_id, tags=tags).info.run_id)


def another_model(done: Finished, uid: str) -> str:
    made = done.tracker.client.create_logged_model(
        done.tracker.experiment_id, name="model", tags={"fashion_hpo.uid": uid}
    )
    return str(made.model_id)


def tag_run(name: str, value: str) -> Break:
    return lambda done: done.tracker.client.set_tag(done.run_id(), name, value)


def log_metric(name: str, value: float, *, at: int, step: int) -> Break:
    return lambda done: done.tracker.client.log_metric(done.run_id(), name, value, at, step)


def change_point(column: str) -> Break:
    """MLflow itself changes no point that was logged."""

    def changed(done: Finished) -> None:
        with closing(sqlite3.connect(done.store.root / "mlflow.db")) as connection:
            connection.execute(
                f"UPDATE metrics SET {column} = {column} + 1 "
                "WHERE run_uuid = ? AND key = 'val_loss' AND step = 2",
                (done.run_id(),),
            )
            connection.commit()

    return changed


def replace_run(done: Finished) -> None:
    """By one that has nothing but its uid, as after a kill."""
    done.tracker.client.delete_run(done.run_id())
    another_run(done, done.uid())


def link_another_model(done: Finished) -> None:
    made = [LoggedModelOutput(done.model_id(2), 3)]
    done.tracker.client.log_outputs(done.run_id(1), made)


def leave_folder(done: Finished) -> None:
    shutil.copytree(done.model_folder(), done.store.trial_folder(done.uid()) / "model")
    artifacts = Path(str(done.run().info.artifact_uri))
    shutil.copytree(artifacts, done.store.trial_folder(done.uid()) / "files")


def write_checkpoint(name: str) -> Break:
    def written(done: Finished) -> None:
        point = done.entry().attempt.point
        path = done.store.checkpoint(done.ledger.uid, point).with_name(name.format(point))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not a checkpoint")

    return written


def register_twice(done: Finished) -> None:
    client = done.tracker.client
    first = client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
    uid, hashes = first.tags["fashion_hpo.uid"], json.loads(first.tags[MANIFEST])
    model = str(first.source).removeprefix("models:/")
    again = create_version(done.tracker, model, str(first.run_id), uid, {}, "# card", hashes)
    client.set_registered_model_alias(REGISTERED_NAME, CHAMPION, str(again.version))


LATE = 4_000_000_000_000  # milliseconds: after every epoch
MENDABLE: dict[str, tuple[Break, str]] = {
    "a run was deleted": (lambda d: d.tracker.client.delete_run(d.run_id()), "one run"),
    "a second run": (lambda d: another_run(d, d.uid()), "one run"),
    "an empty run": (replace_run, "run"),
    "a run was reopened": (
        lambda d: d.tracker.client.update_run(d.run_id(), "RUNNING"), "run"),
    "another parent": (tag_run("mlflow.parentRunId", "0"), "run"),
    "another outcome": (tag_run("fashion_hpo.outcome", "failed"), "run"),
    "other hardware": (tag_run("fashion_hpo.threads", "99"), "run"),
    "a doubled point": (log_metric("val_loss", 0.5, at=1, step=2), "run"),
    "another value of a point": (change_point("value"), "run"),
    "another time of a point": (change_point("timestamp"), "run"),
    "a point beyond the end": (log_metric("train_loss", 0.5, at=1, step=4), "run"),
    "another summary": (log_metric("ece", 0.99, at=LATE, step=3), "run"),
    "another value": (log_metric("value", 0.99, at=LATE, step=3), "run"),
    "the study run was deleted": (
        lambda d: d.tracker.client.delete_run(study_run(d)), "study run"),
    "a second study run": (lambda d: another_run(d, d.ledger.uid, kind="study"), "study run"),
    "the study run was reopened": (
        lambda d: d.tracker.client.update_run(study_run(d), "RUNNING"), "study run"),
    "a study run without its question": (
        lambda d: d.tracker.client.delete_tag(study_run(d), NOTE), "described"),
    "a study run without its spec": (
        lambda d: next(d.store.artifacts.rglob("spec.json")).unlink(), "described"),
    "a run of no trial": (lambda d: another_run(d, f"{d.ledger.uid}-00099"), "known"),
    "a model of no trial": (lambda d: another_model(d, f"{d.ledger.uid}-00099"), "known"),
    "a model was deleted": (
        lambda d: d.tracker.client.delete_logged_model(d.model_id()), "one model"),
    "a second model": (lambda d: another_model(d, d.uid()), "one model"),
    "a link to another's model": (link_another_model, "linked"),
    "a folder of a mirrored trial": (leave_folder, "leftover"),
    "logits are gone": (lambda d: d.store.logits(d.uid()).unlink(), "logits"),
    "logits are altered": (lambda d: d.store.logits(d.uid()).write_bytes(b"PK"), "logits"),
    "logits of no trial": (
        lambda d: d.store.keep_logits(f"{d.ledger.uid}-00099", b"PK"), "leftover"),
    "the logits' copy in MLflow is gone": (
        lambda d: next(d.store.artifacts.rglob("*/validation_logits.npz")).unlink(), "files"),
    "a folder of no trial": (
        lambda d: d.store.trial_folder(f"{d.ledger.uid}-00099").mkdir(parents=True), "leftover"),
    "a checkpoint of a complete point": (write_checkpoint("{}.pt"), "checkpoint"),
    "half a checkpoint": (write_checkpoint(".{}.pt.4711"), "leftover"),
    "a checkpoint of no point": (write_checkpoint("0123456789abcdef.pt"), "leftover"),
    "a trial registered twice": (register_twice, "one version"),
}  # fmt: skip
