import json
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import optuna
import pytest
from mlflow.entities import Run

from fashion_hpo.design.config import EPOCH_METRICS, TrainConfig
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.plan import Plan, points
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.registering import registration
from fashion_hpo.registering.winner import value_of
from fashion_hpo.running import workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.trial import close_unfinished, run_trial
from fashion_hpo.stores import model_files, models, registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Result
from fashion_hpo.stores.opening import connect
from fashion_hpo.training import energy, packaging
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.conftest import OpenSession
from tests.plans import TINY, design, search

SUMMARIES = {
    "best_val_accuracy", "best_epoch", "generalization_gap", "parting_epoch", "ece",
    "parameters", "flops", "model_val_accuracy", "model_val_loss", "kept_epoch", "value",
    "confident_share", "look_alike_errors", "area_above_curve", "brier_score", "recall_0",
}  # fmt: skip


def run_all(session: Session) -> list[workers.Event]:
    return list(workers.work(session))


def trial_runs(session: Session) -> list[Run]:
    return list(
        session.tracker.client.search_runs(
            [session.tracker.experiment_id], filter_string="tags.`fashion_hpo.kind` = 'trial'"
        )
    )


def test_every_point_ends_as_one_finished_run_with_its_value(open_here: OpenSession) -> None:
    session = open_here(design())
    events = run_all(session)
    assert [type(event).__name__ for event in events[:5]] == [
        "TrialStarted", "EpochDone", "EpochDone", "EpochDone", "TrialEnded",
    ]  # fmt: skip
    entries = session.ledger.entries()
    assert [entry.state for entry in entries] == ["COMPLETE"] * 4
    assert len({entry.attempt.point for entry in entries}) == 4
    runs = {run.data.tags["fashion_hpo.uid"]: run for run in trial_runs(session)}
    assert set(runs) == {entry.attempt.uid for entry in entries}
    for entry in entries:
        run = runs[entry.attempt.uid]
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == session.mirror.study_run()
        assert run.data.tags["fashion_hpo.point"] == entry.attempt.point
        assert run.data.tags["fashion_hpo.attempt"] == "1"
        assert entry.result is not None
        assert run.data.metrics["value"] == entry.result.value


def test_a_run_holds_the_config_the_curves_and_the_summaries(open_here: OpenSession) -> None:
    session = open_here(design(seeds=1, scientific={"dropout": (0.0,)}, claims=[]))
    run_all(session)
    (run,) = trial_runs(session)
    config = session.ledger.entries()[0].attempt.config
    assert run.data.params == {
        name: json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
        for name, value in config.to_dict().items()
    }
    for metric in EPOCH_METRICS:
        history = session.tracker.client.get_metric_history(run.info.run_id, metric)
        assert sorted(point.step for point in history) == [1, 2, 3], metric
    assert set(run.data.metrics) >= SUMMARIES
    measures = {name for name in run.data.metrics if not name.startswith("class/")}  # by name again
    assert measures <= set(MEASURES), "claims may be about all that is logged"
    (dataset,) = run.inputs.dataset_inputs
    assert json.loads(dataset.dataset.profile)["sha256"] == "synthetic"


def metered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that has taken 2 joules more at each reading: 2 joules an epoch."""
    taken = count(step=2.0)

    def reading(_: str) -> energy.Reading:
        return energy.Reading({"package": energy.Counter(next(taken), 1e9)}, 0.0)

    monkeypatch.setattr(energy, "read", reading)


def test_a_study_keeps_its_precision_on_other_hardware(store: Store, splits: SearchSplits) -> None:
    plan = design(base=TINY.replace(precision="auto"))
    opened = partial(open_session, store, plan, device="cpu", splits=splits)
    opened(precision="bf16")
    session = opened(precision="fp32")
    list(workers.work(session, max_trials=1))
    (run,) = trial_runs(session)
    assert run.data.tags["fashion_hpo.precision"] == "bf16"


def test_a_new_study_captures_its_steps_where_there_is_cuda(open_here: OpenSession) -> None:
    session = open_here(design())
    assert (session.ledger.step, session.hardware.step) == ("captured", "eager")


@pytest.mark.parametrize("architecture", [TINY.architecture, "mlp"])
def test_energy_is_logged_where_the_device_tells(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    options = TINY.architecture_options if architecture == TINY.architecture else {}
    base = TINY.replace(architecture=architecture, architecture_options=options)
    monkeypatch.setattr(energy, "POWERCAP", Path("absent"))
    for dropout, known in ((0.0, False), (0.5, True)):
        if known:
            metered(monkeypatch)
        plan = design(
            base=base, seeds=1, scientific={"dropout": (0.0, 0.5)[: 1 + known]}, claims=[]
        )
        session = open_here(plan)
        run_all(session)
        entry = session.ledger.entries()[-1]
        assert entry.attempt.config.dropout == dropout
        assert entry.result is not None
        run_id = session.tracker.run_of(entry.attempt.uid)
        logged = session.tracker.client.get_run(run_id).data.metrics
        expected = 2.0 * len(entry.result.history) if known else None
        assert entry.result.summaries.get("energy_joules") == expected
        assert logged.get("energy_joules") == expected
    assert {name for name in logged if not name.startswith("class/")} <= set(MEASURES)
    session.mirror.publish(session.store.root / "reports", {}, finished=True)
    assert examine(session.store, session.ledger, session.tracker) == []


def test_a_trial_that_was_stopped_has_the_energy_of_its_earlier_epochs_too(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    metered(monkeypatch)
    plan = design(seeds=1, scientific={"dropout": (0.0,)}, claims=[])
    session = open_here(plan)
    attempt = session.ledger.claim()
    assert attempt is not None
    with session.store.trial_lock(attempt.uid):
        running = run_trial(session, attempt)
        next(epochs_of(running))
        running.close()
    close_unfinished(session, attempt, "stopped", "for this test")
    session = open_here(plan)
    run_all(session)
    result = session.ledger.entries()[-1].result
    assert result is not None
    assert (len(result.history), result.summaries["energy_joules"]) == (3, 6.0)


def test_the_model_loads_without_pickle_and_is_what_was_measured(
    open_here: OpenSession, tmp_path: Path
) -> None:
    session = open_here(design(seeds=1))
    run_all(session)
    for entry in session.ledger.entries():
        model_id = session.tracker.model_of(entry.attempt.uid)
        assert entry.result is not None
        folder = registry.download(session.tracker.uri, f"models:/{model_id}")
        assert not list(folder.rglob("*.pth"))
        hashes = model_files.file_hashes(folder)
        kept = {k: v for k, v in entry.result.files.items() if k.startswith("model/")}
        assert {f"model/{name}": value for name, value in hashes.items()} == kept
        model = models.read_model(str(folder))
        val = session.splits.val
        assert packaging.differences(model, model, val.images.repeat(6, 1, 1)) == []
        predicted = packaging.probabilities_of(model, val.images).argmax(1)
        accuracy = float((predicted == val.labels.numpy()).mean())
        assert accuracy == entry.result.summaries["model_val_accuracy"]
        run_id = session.tracker.run_of(entry.attempt.uid)
        files = session.tracker.client.download_artifacts(run_id, "", str(tmp_path))
        logits = np.load(Path(files) / "validation_logits.npz")["logits"]
        assert (logits.argmax(1) == predicted).mean() > 0.98  # float16 may tie


def test_nothing_is_left_in_the_store_once_mirrored(open_here: OpenSession, store: Store) -> None:
    run_all(open_here(design()))
    assert list((store.root / "trials").iterdir()) == []
    assert list((store.root / "checkpoints").rglob("*.pt")) == []


def test_a_diverged_trial_is_no_best_value_and_keeps_its_curve(open_here: OpenSession) -> None:
    base = TINY.replace(optimizer="sgd", weight_decay=1.0, schedule="constant")
    plan = design(base=base, scientific={"learning_rate": (0.01, 10.0)}, seeds=1, claims=[])
    session = open_here(plan)
    run_all(session)
    fine, wild = session.ledger.entries()
    assert fine.result is not None
    assert wild.result is not None
    assert (fine.state, wild.state) == ("COMPLETE", "FAIL")
    assert wild.result.outcome == "diverged"
    assert "not finite in epoch" in wild.result.reason
    assert wild.result.history
    best = session.ledger.best()
    assert best is not None
    assert best.attempt.number == fine.attempt.number
    assert session.ledger.remaining() == 0
    status = {run.data.tags["fashion_hpo.outcome"]: run.info.status for run in trial_runs(session)}
    assert status == {"complete": "FINISHED", "diverged": "FAILED"}


@pytest.mark.parametrize("pruner", ["hyperband", "successive_halving", "median", "none"])
def test_a_search_has_as_many_trials_as_asked(open_here: OpenSession, pruner: str) -> None:
    session = open_here(search(trials=3, pruner=pruner))
    run_all(session)
    entries = session.ledger.entries()
    assert len(entries) == 3
    assert {entry.state for entry in entries} <= {"COMPLETE", "PRUNED"}
    assert all(entry.result is not None and entry.result.final for entry in entries)
    assert len({json.dumps(dict(entry.attempt.params)) for entry in entries}) == 3
    for entry in entries:
        assert entry.result is not None
        assert entry.result.value == entry.result.summaries["model_val_accuracy"]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_search_gone_on_with_repeats_no_suggestion(open_here: OpenSession, sampler: str) -> None:
    for trials in (1, 3):
        run_all(open_here(search(trials=trials, pruner="none", sampler=sampler)))
    entries = open_here(search(trials=3, pruner="none", sampler=sampler)).ledger.entries()
    rates = [entry.attempt.config.learning_rate for entry in entries]
    assert len(set(rates)) == 3


def test_results_do_not_depend_on_the_order_of_the_points(
    open_here: OpenSession, store: Store
) -> None:
    def values(plan: Plan) -> dict[str, float | None]:
        session = open_here(plan)
        run_all(session)
        return {e.attempt.point: e.result.value for e in session.ledger.entries() if e.result}

    forward = values(design(seeds=1, scientific={"dropout": (0.0, 0.5)}))
    backward = values(design(seeds=1, scientific={"dropout": (0.5, 0.0)}, budget="quick"))
    assert forward == backward


def test_early_stopping_keeps_and_compares_the_best_epoch(open_here: OpenSession) -> None:
    base = TrainConfig(**{**TINY.to_dict(), "epochs": 8, "early_stopping_patience": 1,
                          "learning_rate": 0.1, "schedule": "constant"})  # fmt: skip
    session = open_here(design(base=base, seeds=1))
    run_all(session)
    for entry in session.ledger.entries():
        assert entry.result is not None
        kept = int(entry.result.summaries["kept_epoch"])
        assert kept == min(entry.result.history, key=lambda epoch: epoch["val_loss"])["epoch"]
        assert entry.result.value == pytest.approx(
            entry.result.history[kept - 1]["val_accuracy"], abs=0.011
        )


ENDINGS = {
    "after all epochs": {"epochs": 2},
    "by early stopping": {"epochs": 6, "early_stopping_patience": 1, "early_stopping_delta": 1.0},
}


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_trial_that_is_trained_to_its_end_is_complete_whatever_the_pruner(
    open_here: OpenSession, splits: SearchSplits, ending: str, killed: bool
) -> None:
    """Five trials that were far better in the last epoch let the median pruner end the sixth."""
    base = TINY.replace(**ENDINGS[ending])
    session = open_here(search(base=base, trials=6, sampler="random", pruner="median"))
    good = [session.ledger.claim() for _ in range(5)]
    config = points(session.ledger.plan)[5].config
    alone = TrainingState(config, build_for(config), session.hardware)
    history = list(epochs_of(train(alone, splits)))
    assert (len(history) < config.epochs) == (ending == "by early stopping")
    for attempt in good:
        assert attempt is not None
        session.ledger.report(attempt, len(history), 0.999)
        session.ledger.close(attempt, Result("complete", value=0.999))
    if killed:
        events = workers.work(session)
        done = (event for event in events if isinstance(event, workers.EpochDone))
        assert any(event.epoch.epoch == len(history) for event in done)
        events.close()  # type: ignore[attr-defined]  # as if the process had died: its lock is free
        session = open_here(session.ledger.plan)
        list(reconcile(session.mirror))
    run_all(session)
    *_, last = session.ledger.entries()
    assert last.state == "COMPLETE"
    assert last.result is not None
    assert [epoch["val_loss"] for epoch in last.result.history] == [e.val_loss for e in history]
    assert last.result.summaries["kept_epoch"] == alone.kept_epoch
    study = optuna.load_study(study_name=session.ledger.name, storage=connect(session.store))
    assert study.trials[-1].last_step == len(history), "the last value is reported"


def test_a_search_may_keep_the_models_that_led_it(store: Store, open_here: OpenSession) -> None:
    plan = search(trials=6, sampler="random", pruner="none")
    plan = replace(plan, spec=replace(plan.spec, models="best"))
    session = open_here(plan)
    run_all(session)
    leading = 0.0
    for entry in session.ledger.entries():
        result = entry.result
        assert result is not None
        assert result.value is not None
        kept = any(name.startswith("model/") for name in result.files)
        assert kept == (result.value > leading) != ("model" in result.hardware)
        leading = max(leading, result.value)
    assert sum("model" in e.result.hardware for e in session.ledger.entries() if e.result) > 0
    session.mirror.publish(store.root / "reports", {}, finished=True)
    assert examine(store, session.ledger, session.tracker) == []
    best = session.ledger.best()
    assert best is not None
    assert registration.candidate(session.ledger, session.tracker).attempt == best.attempt


def test_a_study_may_keep_the_best_model_of_a_level(store: Store, open_here: OpenSession) -> None:
    plan = design(seeds=4, models="best")
    session = open_here(plan)
    run_all(session)
    leading: dict[float, float] = {}
    for entry in session.ledger.entries():
        result, dropout = entry.result, entry.attempt.config.dropout
        assert result is not None
        assert result.value is not None
        leads = result.value > leading.get(dropout, 0.0)
        assert any(name.startswith("model/") for name in result.files) == leads
        assert ("model" in result.hardware) == (not leads)
        leading[dropout] = max(leading.get(dropout, 0.0), result.value)
    assert sum("model" in e.result.hardware for e in session.ledger.entries() if e.result) > 0
    session.mirror.publish(store.root / "reports", {}, finished=True)
    assert examine(session.store, session.ledger, session.tracker) == []
    chosen = registration.candidate(session.ledger, session.tracker)
    best = max(chosen.winner.trials, key=value_of)
    assert best.result is not None
    assert any(name.startswith("model/") for name in best.result.files), "the leader's is kept"
    assert any(name.startswith("model/") for name in chosen.result.files)
