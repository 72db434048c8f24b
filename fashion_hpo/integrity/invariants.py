"""Check what must hold across a ledger, MLflow, artifacts and checkpoints; nothing is changed here.

One invariant is one function, which says what it found wrong.  A trial that is under way is left
out: the stores may differ where somebody is at work.
"""

import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mlflow.entities import LoggedModel, Run

from fashion_hpo.design.config import EPOCH_METRICS, Epoch, TrainConfig
from fashion_hpo.design.plan import point_id, points
from fashion_hpo.design.sentences import quoted
from fashion_hpo.integrity.evidence import (
    FILES,
    MODEL,
    Evidence,
    Violation,
    is_final,
    is_held,
    look,
    part,
)
from fashion_hpo.integrity.logits import check_logits
from fashion_hpo.integrity.store_invariants import changes_at, versions
from fashion_hpo.running.mirror import STATUSES
from fashion_hpo.running.reconcile import DIED
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger, Result
from fashion_hpo.stores.tracking import NOTE, TAG, Tracker

FIX = "then type `python -m fashion_hpo.doctor --fix`"
REMEDIES = {
    "files": f"put the file back from a copy of the store, anywhere in lost+found, {FIX}",
    "one model": "put the model's files back from a copy of the store, anywhere in lost+found, "
    f"{FIX}; or train all points anew with `python -m fashion_hpo.study NAME --revise`",
    "logits": "put the file back from a copy of the store; or train all points anew with "
    "`python -m fashion_hpo.study NAME --revise`",
    "ledger": "use the version that wrote the ledger, or put optuna.db back from a copy of the "
    "store",
    "version": "register it again with `python -m fashion_hpo.register NAME`",
    "one outcome": "the ledger itself differs; train all points anew with "
    "`python -m fashion_hpo.study NAME --revise`",
}
REMEDIES |= {"model": REMEDIES["one model"]}
REMEDIES |= dict.fromkeys(("planned", "told"), REMEDIES["one outcome"])
"""What is left to do to a person, by invariant; NAME stands for a study and its budget."""
STUDY_FILES = {"spec.json", "packages.txt", "git.diff"}


def examine(store: Store, ledger: Ledger, tracker: Tracker) -> list[Violation]:
    """All that is wrong with one ledger, its mirror and its files; empty if nothing is."""
    seen = look(store, ledger, tracker)
    return [
        *_outcomes(seen),
        *_states(seen),
        *_attempts(seen),
        *_study_run(seen),
        *(found for entry, result in seen.closed for found in check_trial(seen, entry, result)),
        *_unknown(seen),
        *_checkpoints(seen),
        *check_logits(seen),
        *_folders(seen),
        *versions(tracker.client, tracker.uri, lambda uid: uid.startswith(f"{ledger.uid}-")),
    ]


def check_trial(seen: Evidence, entry: Entry, result: Result) -> Iterator[Violation]:
    """One run with all that the ledger has of a closed trial, and one model if it made one."""
    uid = entry.attempt.uid
    runs = seen.runs.get(uid, [])
    if len(runs) != 1:
        yield Violation("one run", uid, _count(seen, uid, "run", len(runs)))
    for run in runs:
        for what in (
            *_told(seen, run, result),
            *_described(seen, run, entry),
            *_curves(seen.tracker, run, result),
            *_summaries(run, result),
        ):
            yield Violation("run", uid, f"has a run with {what}")
        found = changes_at(seen.tracker.uri, str(run.info.artifact_uri), part(result, FILES))
        for change in found:
            if not change.endswith(" is added"):  # by a person
                yield Violation("files", uid, f"has a run whose {change}")
    yield from _model(seen, uid, runs, part(result, MODEL))


def _outcomes(seen: Evidence) -> Iterator[Violation]:
    """Each planned point has one terminal outcome in the end, and never two.

    One that was pruned and then promoted has another by that.
    """
    final = [entry.attempt for entry in seen.entries if is_final(entry)]
    done = Counter(attempt.point for attempt in final if not attempt.promoted)
    promoted = Counter(attempt.point for attempt in final if attempt.promoted)
    for point, count in promoted.items():
        if count > 1:
            what = f"was promoted to {count} outcomes"
            yield Violation("one outcome", point, what, mendable=False)
    if seen.ledger.plan.search is not None:  # a sampler may propose a point again
        if done.total() > seen.ledger.plan.trials:
            what = f"has {done.total()} outcomes where {seen.ledger.plan.trials} were asked for"
            yield Violation("one outcome", seen.ledger.uid, what, mendable=False)
        return
    planned = {point.id for point in points(seen.ledger.plan)}
    for point, count in done.items():
        if count > 1:
            yield Violation("one outcome", point, f"has {count} outcomes", mendable=False)
    # One without a point is another program's, or a proposal that died.
    for point in sorted({entry.attempt.point for entry in seen.entries} - planned - {""}):
        yield Violation("planned", point, "is no point of the plan", mendable=False)
    if seen.at_rest:
        for point in sorted(planned - set(done)):
            what = "has no outcome, and nothing is left to do"
            yield Violation("one outcome", point, what, mendable=False)


def _states(seen: Evidence) -> Iterator[Violation]:
    """A closed trial has the state of its result; a running one a process."""
    states = {"complete": "COMPLETE", "pruned": "PRUNED"}
    for entry in seen.entries:
        uid, outcome = entry.attempt.uid, (entry.result or DIED).outcome
        if entry.state == "RUNNING" and uid not in seen.alive:
            yield Violation("alive", uid, "is running, and no process holds it")
        elif not entry.attempt.point and entry.result is None:
            continue  # added by another program, or a proposal that died before it was described
        elif entry.state not in ("WAITING", "RUNNING", states.get(outcome, "FAIL")):
            kept = "a result that is " + outcome if entry.result else "no result"
            yield Violation("told", uid, f"is {entry.state}, and has {kept}", mendable=False)


def _attempts(seen: Evidence) -> Iterator[Violation]:
    """No point waits or runs twice, or after its outcome; none without outcome is forgotten."""
    tries = defaultdict(list)
    for entry in seen.entries:
        if entry.attempt.point:
            tries[entry.attempt.goal].append(entry)
    shared = seen.ledger.leases is not None  # there two hosts may enqueue one point
    for (point, promoted), entries in tries.items():
        once = promoted or seen.ledger.plan.search is None  # a sampler may propose a point again
        states = Counter(entry.state for entry in entries)
        waiting, running, done = states["WAITING"], states["RUNNING"], any(map(is_final, entries))
        if once and (0 if shared else waiting) + running + done > 1:
            what = f"waits {waiting} and runs {running} times{', and is done' * done}"
            yield Violation("once", point, what)
        if not done and not waiting and not running:
            yield Violation("not lost", point, "has no outcome, and no attempt at it waits")


def _study_run(seen: Evidence) -> Iterator[Violation]:
    """There is one, it is described, and finished when all is done."""
    uid = seen.ledger.uid
    found = seen.runs.get(uid, [])
    if len(found) != 1:
        yield Violation("study run", uid, _count(seen, uid, "study run", len(found)))
        return
    (run,) = found
    files = {file.path for file in seen.tracker.client.list_artifacts(run.info.run_id)}
    if NOTE not in run.data.tags or not files >= STUDY_FILES:
        yield Violation("described", uid, "has a study run without its question, spec or packages")
    if seen.at_rest and run.info.status != "FINISHED":
        yield Violation("study run", uid, f"is done, and its study run is {run.info.status}")


def _count(seen: Evidence, uid: str, what: str, count: int) -> str:
    """A deletion is what a person wanted, perhaps; a loss nobody did."""
    if count == 0 and uid in seen.deleted:
        return f"had its {what} deleted in MLflow"
    return f"has {count} {what}s"


def _told(seen: Evidence, run: Run, result: Result) -> Iterator[str]:
    status = STATUSES.get(result.outcome, "FAILED")
    if run.info.status != status:
        yield f"status {run.info.status}, not {status}"
    told = {"outcome": result.outcome, "reason": result.reason, "traceback": result.traceback}
    for name, text in ({k: v for k, v in told.items() if v} | dict(result.hardware)).items():
        if run.data.tags.get(f"{TAG}.{name}") != text[:8000]:
            yield f"another {name} than {quoted(text, 40)}"
    if run.data.tags.get("mlflow.parentRunId") != seen.study_run:
        yield "another parent than its study run"


def _described(seen: Evidence, run: Run, entry: Entry) -> Iterator[str]:
    config = entry.attempt.config
    expected = {name: _text(value) for name, value in config.to_dict().items()}
    younger = expected.keys() - config.identity().keys()  # than the run, perhaps
    logged = {name: expected[name] for name in younger} | run.data.params
    if differing := expected.items() - logged.items():  # people may add some
        yield f"another {min(name for name, _ in differing)} than its config's"
    digests = [each.dataset.digest for each in (run.inputs.dataset_inputs if run.inputs else [])]
    if digests != [seen.ledger.data_hash[:36]]:
        yield f"{len(digests)} data sets, not the one it was trained on"


def _curves(tracker: Tracker, run: Run, result: Result) -> Iterator[str]:
    """Each epoch's metrics once, as the ledger has them; none beyond, none twice."""
    epochs = [Epoch(**values) for values in result.history]
    for name in EPOCH_METRICS:
        if not epochs and name not in run.data.metrics:
            continue
        logged = tracker.client.get_metric_history(run.info.run_id, name)
        found = sorted((point.step, point.timestamp, point.value) for point in logged)
        due = [(each.epoch, each.timestamp, each.metrics()[name]) for each in epochs]
        if not epochs:  # the ledger has none of an attempt that an error or a signal ended
            right = [step for step, _, _ in found] == list(range(1, len(found) + 1))
        else:
            right = len(found) == len(due) and all(map(_is_same_point, found, due))
        if not right:
            yield f"{len(found)} points of {name} that are not the ledger's {len(due)}"
            return  # one name is enough


def _summaries(run: Run, result: Result) -> Iterator[str]:
    if not result.history:
        return
    value = {} if result.value is None else {"value": result.value}
    for name, number in {**result.summaries, **value}.items():
        found = run.data.metrics.get(name)
        if found is None or not _is_same(found, number):
            yield f"{name} {found}, not {number}"


def _model(
    seen: Evidence, uid: str, runs: list[Run], expected: Mapping[str, str]
) -> Iterator[Violation]:
    found: list[LoggedModel] = seen.models.get(uid, [])
    linked = [each.model_id for run in runs if run.outputs for each in run.outputs.model_outputs]
    if expected and not found and linked:
        yield Violation("one model", uid, "had its model deleted in MLflow")
        return
    if len(found) != bool(expected):
        yield Violation("one model", uid, f"has {len(found)} models, not {int(bool(expected))}")
        return
    for model in found:
        if str(model.status) != "READY":
            yield Violation("one model", uid, f"has a model that is {model.status}")
        present = {each.model_id for models in seen.models.values() for each in models}
        outputs = [each for each in linked if each in present]  # others were deleted in MLflow
        if runs and outputs != [model.model_id] * len(runs):
            yield Violation("linked", uid, f"has a run with {len(outputs)} models, not its own")
        for change in changes_at(seen.tracker.uri, str(model.artifact_location), expected):
            yield Violation("model", uid, f"has a model whose {change}", mendable=False)


def _unknown(seen: Evidence) -> Iterator[Violation]:
    """Runs and models of trials that the ledger does not have."""
    uids = {uid for uid in (*seen.runs, *seen.models) if uid != seen.ledger.uid}
    begun = _begun(seen.entries)
    if uids - begun:  # or were begun while we looked
        begun |= _begun(seen.ledger.entries())
    for uid in sorted(uids - begun):
        yield Violation("known", uid, "is a trial in MLflow that the ledger does not have")


def _begun(entries: list[Entry]) -> set[str]:
    return {entry.attempt.uid for entry in entries if entry.state != "WAITING"}


def _checkpoints(seen: Evidence) -> Iterator[Violation]:
    """Only points that can be gone on with have one; it can be read and is theirs."""
    folder = seen.store.checkpoint(seen.ledger.uid, "any").parent
    under_way = {entry.attempt.point for entry in seen.entries if entry.attempt.uid in seen.alive}
    known = {entry.attempt.point for entry in seen.entries}
    complete = {entry.attempt.point for entry in seen.entries if entry.state == "COMPLETE"}
    for path in sorted(folder.glob("*.pt*")) if folder.exists() else []:
        where = path.relative_to(seen.store.root).as_posix()
        point = path.name.removeprefix(".").partition(".")[0]  # of a temporary file as well
        if point in under_way:
            continue
        if path.name != f"{point}.pt" or point not in known:
            yield Violation("leftover", where, "is no checkpoint of a point")
        elif point in complete:
            yield Violation("checkpoint", where, "belongs to a point that is complete")
        elif wrong := _fault(path):
            yield Violation("checkpoint", where, wrong)


def _fault(checkpoint: Path) -> str:
    try:
        config = torch.load(checkpoint, weights_only=True, map_location="cpu")["config"]
        point = point_id(TrainConfig.from_dict(json.loads(config)))
    except Exception as error:  # damaged files fail in every way there is
        return f"cannot be read ({type(error).__name__})"
    return "" if point == checkpoint.stem else f"is of point {point}"


def _folders(seen: Evidence) -> Iterator[Violation]:
    """A trial's local files go once it is mirrored."""
    running = {entry.attempt.uid for entry in seen.entries if entry.state == "RUNNING"}
    for uid in sorted(seen.store.trials_under_way() - seen.alive - running):
        own = uid.startswith(f"{seen.ledger.uid}-")
        if own and not is_held(seen.store, uid):  # it may have begun while we looked
            yield Violation("leftover", f"trials/{uid}", "is of a trial that is not under way")


def _is_same_point(found: tuple[int, int, float], due: tuple[int, int, float]) -> bool:
    return found[:2] == due[:2] and _is_same(found[2], due[2])


def _is_same(found: float, due: float) -> bool:
    """MLflow keeps NaN, and the largest number for infinity."""
    if math.isinf(due):
        due = math.copysign(sys.float_info.max, due)
    return found == due or (math.isnan(found) and math.isnan(due))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else str(value)
