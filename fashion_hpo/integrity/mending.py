"""Mend the violations that `invariants.examine` reports.

No result is deleted: runs and models are set aside, files are moved to the store's lost+found.  A
repetition changes nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.evidence import (
    MODEL,
    SET_ASIDE,
    Evidence,
    Violation,
    is_final,
    local_artifacts,
    look,
    part,
    runs_of,
)
from fashion_hpo.integrity.finding import Files, complete_again
from fashion_hpo.integrity.invariants import check_trial, examine
from fashion_hpo.integrity.logits import mend_logits
from fashion_hpo.running.mirror import STATUSES, Mirror
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.stores.experiments import find_experiment, is_deleted
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger, Result
from fashion_hpo.stores.registry import CHAMPION, aliases, registered_names, retire_others
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.tracking import NOTE, TAG, Tracker

OF_A_TRIAL = {"one run", "run", "files", "one model", "linked", "model"}
OF_ITS_FILES = {"files", "one model", "model"}
CONTRADICTIONS = {"run", "linked"}  # MLflow cannot undo what was logged
PARENT = "mlflow.parentRunId"
SURPLUS = Result("duplicate", reason="its point waited twice, or had its outcome")


def mend(store: Store, ledger: Ledger, tracker: Tracker) -> list[str]:
    """Mend one ledger's stores; returns a sentence for each change.

    Raises StoreError if tracking is away.
    """
    if not examine(store, ledger, tracker):
        return []
    mirror = Mirror(store, ledger, tracker)
    done = [*_restore_runs(mirror), *reconcile(mirror)]
    left = examine(store, ledger, tracker)
    done += [
        *_move_files(store, left),
        *mend_logits(store, ledger, left),
        *_close_surplus(mirror, left),
        *_set_unknown_aside(mirror, left),
        *_mend_versions(tracker, left),
        *_mend_study_run(mirror, left),
    ]
    done += _mend_trials(mirror, examine(store, ledger, tracker))
    _settle(mirror)
    return done


def bring_back(mirror: Mirror) -> Iterator[str]:
    """Restore runs and models that were deleted in MLflow, or create them from the ledger.

    Yields a sentence for each change and for each model that is lost.  If tracking is away, nothing
    is changed, and `mirror.away` says why.
    """
    try:
        if not _lacks(look(mirror.store, mirror.ledger, mirror.tracker)):
            return
        yield from mend(mirror.store, mirror.ledger, mirror.tracker)
        seen = look(mirror.store, mirror.ledger, mirror.tracker)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        mirror.note(error)
        return
    for entry, result in seen.closed:
        if part(result, MODEL) and entry.attempt.uid not in seen.models:
            number = entry.attempt.number
            yield f"the model of trial {number} is gone: its files are not in the store"


def _lacks(seen: Evidence) -> bool:
    """Whether MLflow lacks the study run, a trial's run or a trial's model."""
    return seen.ledger.uid not in seen.runs or any(
        entry.attempt.uid not in seen.runs
        or (part(result, MODEL) and entry.attempt.uid not in seen.models)
        for entry, result in seen.closed
    )


def mend_store(store: Store, violations: Iterable[Violation]) -> list[str]:
    """Mend violations outside any ledger; call this before creating a Tracker of the store."""
    violations = list(violations)
    moved = relocate(store) if any(v.invariant == "address" for v in violations) else None
    return [
        *_move_files(store, violations),
        *([moved] if moved else []),
        *_restore_experiments(store, violations),
    ]


def _restore_experiments(store: Store, violations: Iterable[Violation]) -> Iterator[str]:
    studies = [v.where for v in violations if v.invariant == "experiment"]
    if not studies:  # a client of a damaged database fails
        return
    client = MlflowClient(store.tracking_uri, store.tracking_uri)
    for study in studies:
        experiment = find_experiment(client, study)
        if experiment is not None and is_deleted(experiment):
            client.restore_experiment(experiment.experiment_id)
            yield f"the experiment of {study} was restored"


def _restore_runs(mirror: Mirror) -> Iterator[str]:
    """Restore deleted runs of the study and its trials, unless another run has replaced them."""
    seen = look(mirror.store, mirror.ledger, mirror.tracker)
    due = {mirror.ledger.uid, *(entry.attempt.uid for entry, _ in seen.closed)}
    for uid in sorted(seen.deleted & due - seen.runs.keys()):
        if mirror.tracker.restore_run(uid) is not None:
            yield f"the run of {uid}, deleted in MLflow, was restored"


def _move_files(store: Store, violations: Iterable[Violation]) -> Iterator[str]:
    """Move leftover or altered files to lost+found, under their path."""
    folder = store.root / "lost+found" / f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    for violation in violations:
        path = store.root / violation.where
        if violation.invariant in ("leftover", "checkpoint", "logits") and path.exists():
            (folder / violation.where).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, folder / violation.where)
            wrote("file moved to lost+found")
            yield f"{violation.where} was moved to {folder.relative_to(store.root)}"


def _close_surplus(mirror: Mirror, violations: Iterable[Violation]) -> Iterator[str]:
    """Close surplus waiting trials of a point, the later ones, untried."""
    points = {violation.where for violation in violations if violation.invariant == "once"}
    if not points:
        return
    with mirror.store.lock("claim"):
        entries = mirror.ledger.entries()
        served = {e.attempt.point for e in entries if e.state == "RUNNING" or is_final(e)}
        for entry in entries:
            point = entry.attempt.point
            if entry.state != "WAITING" or point not in points:
                continue
            if point in served:
                mirror.ledger.close(entry.attempt, SURPLUS)
                yield f"trial {entry.attempt.number} was closed: its point needs no other attempt"
            served.add(point)


def _mend_study_run(mirror: Mirror, violations: Iterable[Violation]) -> Iterator[str]:
    """Keep one study run, the oldest complete one; add missing files and parent tags."""
    names = {violation.invariant for violation in violations}
    if not names & {"study run", "described"}:
        return
    tracker, uid = mirror.tracker, mirror.ledger.uid
    seen = look(mirror.store, mirror.ledger, tracker)
    runs = sorted(
        seen.runs.pop(uid, []), key=lambda run: (NOTE not in run.data.tags, run.info.start_time)
    )
    yield from _set_runs_aside(tracker, runs[1:])
    if runs and "described" in names and NOTE in runs[0].data.tags:
        # Without the note, `study_run` writes all files again.
        tracker.client.delete_tag(runs[0].info.run_id, NOTE)
    parent = mirror.study_run()
    for child in (run for runs in seen.runs.values() for run in runs):
        if child.data.tags.get(PARENT) != parent:
            tracker.client.set_tag(child.info.run_id, PARENT, parent)
    yield f"the study run of {mirror.ledger.name} was completed"


def _mend_trials(mirror: Mirror, violations: Iterable[Violation]) -> Iterator[str]:
    """Mirror again each trial that differs from the ledger."""
    wrong = {violation.where for violation in violations if violation.invariant in OF_A_TRIAL}
    if not wrong:
        return
    seen, files = look(mirror.store, mirror.ledger, mirror.tracker), Files(mirror.store)
    with mirror.store.lock("claim"):  # no other process may complete a trial meanwhile
        for entry, result in seen.closed:
            if entry.attempt.uid in wrong:
                yield from _mend_trial(mirror, seen, entry, result, files)


def _mend_trial(
    mirror: Mirror, seen: Evidence, entry: Entry, result: Result, files: Files
) -> Iterator[str]:
    """Complete the trial's run, or create another if its run contradicts the ledger."""
    attempt, tracker = entry.attempt, mirror.tracker
    with ExitStack() as stack:
        for address in _addresses(seen, attempt.uid):
            files.add(stack.enter_context(local_artifacts(tracker.uri, address)))
        yield from _set_surplus_aside(seen, attempt.uid, result)
        seen = seen.again(attempt.uid)
        wrong = {violation.invariant for violation in check_trial(seen, entry, result)}
        if wrong <= OF_ITS_FILES and files.lacks(result.files):
            return  # the files are lost
        if "model" in wrong and not files.lacks(part(result, MODEL)):
            _set_models_aside(tracker, seen.models[attempt.uid])
            _set_runs_aside(tracker, seen.runs.get(attempt.uid, []))
        for run in seen.runs.get(attempt.uid, []):
            tracker.client.set_tag(run.info.run_id, PARENT, mirror.study_run())
        complete_again(mirror, attempt, result, files)
        yield f"trial {attempt.number} was mirrored again"
        seen = seen.again(attempt.uid)
        wrong = {violation.invariant for violation in check_trial(seen, entry, result)}
        if wrong & CONTRADICTIONS:
            _set_runs_aside(tracker, seen.runs[attempt.uid])
            complete_again(mirror, attempt, result, files)
            yield f"trial {attempt.number} has another run; the one that differed was set aside"


def _addresses(seen: Evidence, uid: str) -> Iterator[str]:
    """The artifact addresses of a trial's runs, also those set aside, and of their models."""
    linked = {str(model.model_id) for model in seen.models.get(uid, [])}
    for run in runs_of(seen.tracker, uid):
        yield str(run.info.artifact_uri)
        linked |= {
            str(output.model_id) for output in (run.outputs.model_outputs if run.outputs else [])
        }
    for model_id in sorted(linked):
        with suppress(MlflowException):  # deleted in MLflow
            yield str(seen.tracker.client.get_logged_model(model_id).artifact_location)


def _set_surplus_aside(seen: Evidence, uid: str, result: Result) -> Iterator[str]:
    """Keep a trial's best run and model, or no model if the ledger has none; set others aside."""
    due = STATUSES.get(result.outcome, "FAILED")
    runs = sorted(
        seen.runs.get(uid, []),
        key=lambda run: (run.info.status != due, -len(run.data.metrics), run.info.start_time),
    )
    models = sorted(seen.models.get(uid, []), key=lambda model: str(model.status) != "READY")
    yield from _set_runs_aside(seen.tracker, runs[1:])
    yield from _set_models_aside(seen.tracker, models[1:] if part(result, MODEL) else models)


def _set_unknown_aside(mirror: Mirror, violations: Iterable[Violation]) -> Iterator[str]:
    uids = {violation.where for violation in violations if violation.invariant == "known"}
    if not uids:
        return
    seen = look(mirror.store, mirror.ledger, mirror.tracker)
    for uid in sorted(uids):
        yield from _set_runs_aside(mirror.tracker, seen.runs.get(uid, []))
        yield from _set_models_aside(mirror.tracker, seen.models.get(uid, []))


def _set_runs_aside(tracker: Tracker, runs: Iterable[Run]) -> list[str]:
    """Take the uid from runs and end them; their data stay."""
    done = []
    for run in runs:
        run_id = str(run.info.run_id)
        uid = run.data.tags[f"{TAG}.uid"]
        tracker.end_run(run_id, "KILLED", {"uid": f"{uid}-{run_id}", "outcome": SET_ASIDE})
        done.append(f"run {run_id} of {uid} was set aside")
    return done


def _set_models_aside(tracker: Tracker, models: Iterable[LoggedModel]) -> list[str]:
    done = []
    for model in models:
        uid = str(model.tags[f"{TAG}.uid"])
        tags = {f"{TAG}.uid": f"{uid}-{model.model_id}"}
        tracker.client.set_logged_model_tags(str(model.model_id), tags)
        wrote("model set aside")
        done.append(f"model {model.model_id} of {uid} was set aside")
    return done


def _mend_versions(tracker: Tracker, violations: Iterable[Violation]) -> Iterator[str]:
    """Let one version of a trial keep the uid: the champion, else the first."""
    uids = {violation.where for violation in violations if violation.invariant == "one version"}
    if not uids:
        return
    client = tracker.client
    registered = [
        version
        for name in registered_names(client)
        for version in client.search_model_versions(f"name = '{name}'")
    ]
    for uid in sorted(uids):
        versions = [version for version in registered if version.tags.get(f"{TAG}.uid") == uid]
        champion = aliases(client, versions[0].name).get(CHAMPION)
        first = min(versions, key=lambda v: (str(v.version) != champion, int(v.version)))
        for number in retire_others(tracker, uid, first):
            yield f"version {number} no longer counts as the trial's, which has another"


def _settle(mirror: Mirror) -> None:
    """Set the study run's status, unless a worker is running."""
    seen = look(mirror.store, mirror.ledger, mirror.tracker)
    if seen.study_run is not None and not seen.alive:
        status = "FINISHED" if seen.at_rest else "SCHEDULED"
        if seen.runs[seen.ledger.uid][0].info.status != status:
            mirror.tracker.set_status(seen.study_run, status)
