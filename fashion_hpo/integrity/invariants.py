"""Check what must hold across a ledger, MLflow, artifacts and checkpoints, without changing them.

Each invariant is a function that yields its violations.  Running trials are left out, because the
stores may differ while a worker writes.
"""

import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

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
from fashion_hpo.stores.tracking import NOTE, TAG, Tracker, param_text

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
"""What a person can do, by invariant; NAME stands for a study and its budget."""
STUDY_FILES = {"spec.json", "packages.txt", "git.diff"}


def examine(store: Store, ledger: Ledger, tracker: Tracker) -> list[Violation]:
    """All violations in one ledger, its mirror and its files."""
    seen = look(store, ledger, tracker)
    return [
        *_outcomes(seen),
        *_states(seen),
        *_attempts(seen),
        *_study_run(seen),
        *(v for entry, result in seen.closed for v in check_trial(seen, entry, result)),
        *_unknown(seen),
        *_checkpoints(seen),
        *check_logits(seen),
        *_folders(seen),
        *versions(tracker.client, tracker.uri, lambda uid: uid.startswith(f"{ledger.uid}-")),
    ]


def check_trial(seen: Evidence, entry: Entry, result: Result) -> Iterator[Violation]:
    """A closed trial has one run, equal to the ledger, and one model if the ledger has one."""
    uid = entry.attempt.uid
    runs = seen.runs.get(uid, [])
    if len(runs) != 1:
        yield Violation("one run", uid, _count(seen, uid, "run", len(runs)))
    for run in runs:
        for what in (
            *_end(seen, run, result),
            *_described(seen, run, entry),
            *_curves(seen.tracker, run, result),
            *_summaries(run, result),
        ):
            yield Violation("run", uid, f"has a run with {what}")
        changes = changes_at(seen.tracker.uri, str(run.info.artifact_uri), part(result, FILES))
        for change in changes:
            if not change.endswith(" is added"):  # people may add files
                yield Violation("files", uid, f"has a run whose {change}")
    yield from _model(seen, uid, runs, part(result, MODEL))


def _outcomes(seen: Evidence) -> Iterator[Violation]:
    """Each planned point has at most one terminal outcome, and has one when the study is done.

    A pruned and promoted point has a second outcome by its promotion.
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
    # A trial without a point is another program's, or an interrupted proposal.
    for point in sorted({entry.attempt.point for entry in seen.entries} - planned - {""}):
        yield Violation("planned", point, "is no point of the plan", mendable=False)
    if seen.at_rest:
        for point in sorted(planned - set(done)):
            what = "has no outcome, and nothing is left to do"
            yield Violation("one outcome", point, what, mendable=False)


def _states(seen: Evidence) -> Iterator[Violation]:
    """A closed trial has the state of its result; a running trial has a process."""
    states = {"complete": "COMPLETE", "pruned": "PRUNED"}
    for entry in seen.entries:
        uid, outcome = entry.attempt.uid, (entry.result or DIED).outcome
        if entry.state == "RUNNING" and uid not in seen.alive:
            yield Violation("alive", uid, "is running, and no process holds it")
        elif not entry.attempt.point and entry.result is None:
            continue  # another program's trial, or an interrupted proposal
        elif entry.state not in ("WAITING", "RUNNING", states.get(outcome, "FAIL")):
            result = "a result that is " + outcome if entry.result else "no result"
            yield Violation("told", uid, f"is {entry.state}, and has {result}", mendable=False)


def _attempts(seen: Evidence) -> Iterator[Violation]:
    """A point waits or runs once, and not after its outcome; without one, it waits or runs."""
    tries = defaultdict(list)
    for entry in seen.entries:
        if entry.attempt.point:
            tries[entry.attempt.goal].append(entry)
    shared = seen.ledger.leases is not None  # two hosts may enqueue one point
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
    """There is one study run, with its files, FINISHED when the study is done."""
    uid = seen.ledger.uid
    runs = seen.runs.get(uid, [])
    if len(runs) != 1:
        yield Violation("study run", uid, _count(seen, uid, "study run", len(runs)))
        return
    (run,) = runs
    files = {file.path for file in seen.tracker.client.list_artifacts(run.info.run_id)}
    if NOTE not in run.data.tags or not files >= STUDY_FILES:
        yield Violation("described", uid, "has a study run without its question, spec or packages")
    if seen.at_rest and run.info.status != "FINISHED":
        yield Violation("study run", uid, f"is done, and its study run is {run.info.status}")


def _count(seen: Evidence, uid: str, what: str, count: int) -> str:
    """The end of a violation: the number of `what`, or that a person deleted the only one."""
    if count == 0 and uid in seen.deleted:
        return f"had its {what} deleted in MLflow"
    return f"has {count} {what}s"


def _end(seen: Evidence, run: Run, result: Result) -> Iterator[str]:
    status = STATUSES.get(result.outcome, "FAILED")
    if run.info.status != status:
        yield f"status {run.info.status}, not {status}"
    end = {"outcome": result.outcome, "reason": result.reason, "traceback": result.traceback}
    for name, text in ({k: v for k, v in end.items() if v} | dict(result.hardware)).items():
        if run.data.tags.get(f"{TAG}.{name}") != text[:8000]:
            yield f"another {name} than {quoted(text, 40)}"
    if run.data.tags.get("mlflow.parentRunId") != seen.study_run:
        yield "another parent than its study run"


def _described(seen: Evidence, run: Run, entry: Entry) -> Iterator[str]:
    config = entry.attempt.config
    expected = {name: param_text(value) for name, value in config.to_dict().items()}
    defaults = expected.keys() - config.identity().keys()  # newer than the run, perhaps
    logged = {name: expected[name] for name in defaults} | run.data.params
    if differing := expected.items() - logged.items():  # people may add parameters
        yield f"another {min(name for name, _ in differing)} than its config's"
    inputs = run.inputs.dataset_inputs if run.inputs else []
    digests = [data.dataset.digest for data in inputs]
    if digests != [seen.ledger.data_hash[:36]]:
        yield f"{len(digests)} data sets, not the one it was trained on"


def _curves(tracker: Tracker, run: Run, result: Result) -> Iterator[str]:
    """The run has each epoch's metrics once, equal to the ledger's, and no others."""
    epochs = [Epoch(**values) for values in result.history]
    for name in EPOCH_METRICS:
        if not epochs and name not in run.data.metrics:
            continue
        logged = tracker.client.get_metric_history(run.info.run_id, name)
        actual = sorted((point.step, point.timestamp, point.value) for point in logged)
        expected = [(epoch.epoch, epoch.timestamp, epoch.metrics()[name]) for epoch in epochs]
        if not epochs:  # the ledger has no curve of an attempt that an error or signal ended
            is_right = [step for step, _, _ in actual] == list(range(1, len(actual) + 1))
        else:
            is_right = len(actual) == len(expected) and all(map(_is_same_point, actual, expected))
        if not is_right:
            yield f"{len(actual)} points of {name} that are not the ledger's {len(expected)}"
            return  # one metric is enough


def _summaries(run: Run, result: Result) -> Iterator[str]:
    if not result.history:
        return
    value = {} if result.value is None else {"value": result.value}
    for name, number in {**result.summaries, **value}.items():
        logged = run.data.metrics.get(name)
        if logged is None or not _is_same(logged, number):
            yield f"{name} {logged}, not {number}"


def _model(
    seen: Evidence, uid: str, runs: list[Run], expected: Mapping[str, str]
) -> Iterator[Violation]:
    models: list[LoggedModel] = seen.models.get(uid, [])
    linked = [o.model_id for run in runs if run.outputs for o in run.outputs.model_outputs]
    if expected and not models and linked:
        yield Violation("one model", uid, "had its model deleted in MLflow")
        return
    if len(models) != bool(expected):
        yield Violation("one model", uid, f"has {len(models)} models, not {int(bool(expected))}")
        return
    for model in models:
        if str(model.status) != "READY":
            yield Violation("one model", uid, f"has a model that is {model.status}")
        present = {m.model_id for same_uid in seen.models.values() for m in same_uid}
        outputs = [model_id for model_id in linked if model_id in present]  # others were deleted
        if runs and outputs != [model.model_id] * len(runs):
            yield Violation("linked", uid, f"has a run with {len(outputs)} models, not its own")
        for change in changes_at(seen.tracker.uri, str(model.artifact_location), expected):
            yield Violation("model", uid, f"has a model whose {change}", mendable=False)


def _unknown(seen: Evidence) -> Iterator[Violation]:
    """The ledger has every trial with a run or model in MLflow."""
    uids = {uid for uid in (*seen.runs, *seen.models) if uid != seen.ledger.uid}
    begun = _begun(seen.entries)
    if uids - begun:  # these may have begun in the meantime
        begun |= _begun(seen.ledger.entries())
    for uid in sorted(uids - begun):
        yield Violation("known", uid, "is a trial in MLflow that the ledger does not have")


def _begun(entries: list[Entry]) -> set[str]:
    return {entry.attempt.uid for entry in entries if entry.state != "WAITING"}


def _checkpoints(seen: Evidence) -> Iterator[Violation]:
    """Each checkpoint is of an open point, can be read, and holds that point's config."""
    folder = seen.store.checkpoint(seen.ledger.uid, "any").parent
    under_way = {entry.attempt.point for entry in seen.entries if entry.attempt.uid in seen.alive}
    known = {entry.attempt.point for entry in seen.entries}
    complete = {entry.attempt.point for entry in seen.entries if entry.state == "COMPLETE"}
    for path in sorted(folder.glob("*.pt*")) if folder.exists() else []:
        where = path.relative_to(seen.store.root).as_posix()
        point = path.name.removeprefix(".").partition(".")[0]  # also of a temporary file
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
    except Exception as error:  # damaged files raise any kind of error
        return f"cannot be read ({type(error).__name__})"
    return "" if point == checkpoint.stem else f"is of point {point}"


def _folders(seen: Evidence) -> Iterator[Violation]:
    """A mirrored trial has no local files."""
    running = {entry.attempt.uid for entry in seen.entries if entry.state == "RUNNING"}
    for uid in sorted(seen.store.trials_under_way() - seen.alive - running):
        is_ours = uid.startswith(f"{seen.ledger.uid}-")
        if is_ours and not is_held(seen.store, uid):  # the trial may have begun in the meantime
            yield Violation("leftover", f"trials/{uid}", "is of a trial that is not under way")


def _is_same_point(logged: tuple[int, int, float], expected: tuple[int, int, float]) -> bool:
    return logged[:2] == expected[:2] and _is_same(logged[2], expected[2])


def _is_same(logged: float, expected: float) -> bool:
    """Whether two values are equal; MLflow stores NaN, and infinity as the largest float."""
    if math.isinf(expected):
        expected = math.copysign(sys.float_info.max, expected)
    return logged == expected or (math.isnan(logged) and math.isnan(expected))
