import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from types import SimpleNamespace

import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from sqlalchemy.exc import OperationalError

from fashion_hpo.design.config import Epoch
from fashion_hpo.running import mirror
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.stores.tracking import Tracker, is_away
from fashion_hpo.training.data import SearchSplits
from tests.conftest import OpenSession
from tests.plans import design

PLAN = design(seeds=1)
NOBODY_LISTENS = "http://127.0.0.1:9"
EPOCHS = [
    Epoch(
        epoch=number, train_loss=1.0, train_eval_loss=0.9, train_eval_accuracy=0.6, val_loss=0.8,
        val_accuracy=0.7, learning_rate=0.1, seconds=2.0, images_per_second=10.0,
        timestamp=1_700_000_000_000 + number,
    )
    for number in (1, 2, 3)
]  # fmt: skip
RESULT = Result(
    "complete",
    value=0.7,
    history=[asdict(epoch) for epoch in EPOCHS],
    summaries={"ece": 0.1, "kept_epoch": 3.0, "recall_0": 0.4, "recall_9": 0.9},
    files={"model/weights": "a hash"},
    hardware={"device": "cpu"},
)


def trained(session: Session) -> Attempt:
    """A claimed attempt with the files that its training leaves."""
    attempt = session.ledger.claim()
    assert attempt is not None
    folder = session.store.trial_folder(attempt.uid)
    for name in ("files/matrix.csv", "model/weights"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("content")
    checkpoint = session.store.checkpoint(session.ledger.uid, attempt.point)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.touch()
    return attempt


def test_processes_that_start_at_once_make_one_study_run(
    store: Store, splits: SearchSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits, after it has looked for the run, until the other has looked as well."""
    session = open_session(store, PLAN, device="cpu", splits=splits)
    session.tracker.client.delete_run(session.mirror.study_run())
    both, find = Barrier(2), Tracker._find

    def find_together(tracker: Tracker, uid: str) -> Run | None:
        found = find(tracker, uid)
        with suppress(BrokenBarrierError):  # the other may not look yet
            both.wait(timeout=1.0)
        return found

    monkeypatch.setattr(Tracker, "_find", find_together)
    mirrors = [Mirror(store, session.ledger, Tracker(store, PLAN.name)) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(Mirror.study_run, mirrors)
    assert first == second


def the_run(session: Session, attempt: Attempt) -> Run:
    """The only one of the attempt."""
    (found,) = session.tracker.client.search_runs(
        [session.tracker.experiment_id], f"tags.`fashion_hpo.uid` = '{attempt.uid}'"
    )
    run: Run = session.tracker.client.get_run(found.info.run_id)
    return run


def steps(session: Session, attempt: Attempt) -> list[int]:
    """Of the curve that the attempt's run has."""
    run = the_run(session, attempt)
    history = session.tracker.client.get_metric_history(run.info.run_id, "val_loss")
    return sorted(point.step for point in history)


def check_whole(session: Session, attempt: Attempt) -> None:
    """The attempt has one run and one model, which lack nothing; nothing is left here."""
    client, run = session.tracker.client, the_run(session, attempt)
    assert run.info.status == "FINISHED"
    assert set(run.data.params) == set(attempt.config.to_dict())
    assert run.data.metrics["value"] == 0.7
    assert run.data.metrics["ece"] == 0.1
    assert run.data.metrics["recall_0"] == run.data.metrics["class/T-shirt_top_recall"] == 0.4
    assert run.data.metrics["class/Ankle_boot_recall"] == 0.9
    assert steps(session, attempt) == [1, 2, 3]
    assert run.data.tags["fashion_hpo.outcome"] == "complete"
    assert run.data.tags["fashion_hpo.device"] == "cpu"
    assert run.data.tags["mlflow.parentRunId"] == session.mirror.study_run()
    assert len(run.inputs.dataset_inputs) == 1
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["matrix.csv"]
    (model,) = client.search_logged_models([session.tracker.experiment_id])
    assert str(model.status) == "READY"
    assert model.name in ("tiny dropout=0 seed 0", "tiny dropout=0·5 seed 0")
    (used,) = run.inputs.dataset_inputs
    assert sorted((m.key, m.value, m.dataset_digest) for m in model.metrics) == [
        (name, value, used.dataset.digest)
        for name, value in (("ece", 0.1), ("kept_epoch", 3.0), ("value", 0.7))
    ]
    assert [file.path for file in client.list_logged_model_artifacts(model.model_id)] == ["weights"]
    (output,) = run.outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 3)
    assert not session.store.trial_folder(attempt.uid).exists()
    assert not session.store.checkpoint(session.ledger.uid, attempt.point).exists()


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_after(
    session: Session, call: str, monkeypatch: pytest.MonkeyPatch, times: int = 1
) -> None:
    """The process ends when this call of MLflow's client has been carried out so many times."""
    carry_out = getattr(session.tracker.client, call)
    numbers = count(1)

    def last(*given: object, **named: object) -> object:
        answer = carry_out(*given, **named)
        if next(numbers) == times:
            raise Killed
        return answer

    monkeypatch.setattr(session.tracker.client, call, last)


LOG_BATCHES = 5  # parameters, epochs, summaries, the model's metrics, tags


@pytest.mark.parametrize(("call", "times"), [
    *((call, 1) for call in (
        "create_run", "log_inputs", "log_artifact", "create_logged_model",
        "log_model_artifacts", "finalize_logged_model", "log_outputs", "set_terminated",
    )),
    *(("log_batch", times) for times in range(1, LOG_BATCHES + 1)),
])  # fmt: skip
def test_a_run_that_was_cut_off_after_a_call_is_completed_at_the_next_start(
    open_here: OpenSession, call: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    session.ledger.close(attempt, RESULT)
    killed_after(session, call, monkeypatch, times)
    with pytest.raises(Killed):
        session.mirror.complete(attempt, RESULT)
    assert session.store.trial_folder(attempt.uid).exists()
    again = open_here(PLAN)
    assert list(reconcile(again.mirror)) == ["trial 0 was left unfinished: complete"]
    check_whole(again, attempt)
    assert list(reconcile(again.mirror)) == []


def test_a_completed_run_completed_again_stays_as_it_is(open_here: OpenSession) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    for _ in range(2):
        assert session.mirror.complete(attempt, RESULT)
        check_whole(session, attempt)


def test_a_trial_that_was_stopped_keeps_its_checkpoint(open_here: OpenSession) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    assert session.mirror.complete(attempt, Result("stopped", reason="by a person"))
    run = the_run(session, attempt)
    assert run.info.status == "KILLED"
    assert run.data.tags["fashion_hpo.reason"] == "by a person"
    assert session.store.checkpoint(session.ledger.uid, attempt.point).exists()


def test_an_uid_that_a_lost_ledger_gave_away_is_taken_from_its_run_and_model(
    open_here: OpenSession,
) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    session.mirror.complete(attempt, RESULT)
    old = the_run(session, attempt)
    model = session.tracker.model_of(attempt.uid)
    again = open_here(PLAN)
    again.mirror.begin(attempt, session.hardware)
    assert again.tracker.run_of(attempt.uid) not in (None, old.info.run_id)
    assert again.tracker.model_of(attempt.uid) is None
    kept = again.tracker.client.get_run(old.info.run_id)
    assert kept.info.status == "KILLED"
    assert kept.data.tags["fashion_hpo.outcome"] == "set aside"
    assert kept.data.tags["fashion_hpo.uid"] == f"{attempt.uid}-{old.info.run_id}"
    assert kept.outputs.model_outputs[0].model_id == model


@pytest.mark.parametrize(("finished", "status"), [(True, "FINISHED"), (False, "SCHEDULED")])
def test_the_report_goes_to_the_study_run(
    open_here: OpenSession, tmp_path: Path, finished: bool, status: str
) -> None:
    session = open_here(PLAN)
    client, study = session.tracker.client, session.mirror.study_run()
    assert client.get_run(study).info.status == "RUNNING"
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "page.html").write_text("<p>")
    assert session.mirror.publish(tmp_path / "report", {"verdict": "yes"}, finished=finished)
    run = client.get_run(study)
    assert run.info.status == status
    assert (run.info.end_time is not None) == finished
    assert run.data.tags["fashion_hpo.verdict"] == "yes"
    assert [file.path for file in client.list_artifacts(study, "report")] == ["report/page.html"]


@pytest.fixture
def cut_off(store: Store, splits: SearchSplits) -> Session:
    """A session whose tracking server cannot be reached."""
    away = replace(store, tracking=NOBODY_LISTENS)
    return open_session(away, PLAN, device="cpu", splits=splits)


def test_tracking_that_is_away_is_noted_and_costs_nothing(cut_off: Session, tmp_path: Path) -> None:
    told = cut_off.mirror
    assert "/api/2.0/mlflow/" in told.away
    assert "\n" not in told.away
    attempt = trained(cut_off)
    told.away = ""
    told.begin(attempt, cut_off.hardware)
    assert told.away
    told.log(attempt, EPOCHS)
    assert not told.publish(tmp_path, {}, finished=True)
    cut_off.ledger.close(attempt, RESULT)
    assert not told.complete(attempt, RESULT)
    assert not told.complete(attempt, RESULT, bounded=False)
    assert cut_off.store.trial_folder(attempt.uid).exists()


def test_no_file_is_lost_while_tracking_is_away(cut_off: Session, open_here: OpenSession) -> None:
    attempt = trained(cut_off)
    cut_off.ledger.close(attempt, RESULT)
    told = list(reconcile(cut_off.mirror))
    assert told[0] == "trial 0 was left unfinished: complete"
    assert told[1].startswith("tracking is away (")
    back = open_here(PLAN)
    assert list(reconcile(back.mirror)) == told[:1]
    check_whole(back, attempt)


def test_a_password_in_the_address_of_what_is_away_is_not_noted(
    store: Store, splits: SearchSplits
) -> None:
    address = NOBODY_LISTENS.replace("//", "//me:secret@")
    session = open_session(replace(store, tracking=address), PLAN, device="cpu", splits=splits)
    assert session.mirror.away
    assert "secret" not in session.mirror.away


def test_a_refusal_ends_the_logging_of_a_trial_and_not_the_trial(open_here: OpenSession) -> None:
    """Its run was deleted in the UI while it trained: in the end it has another."""
    session = open_here(PLAN)
    attempt = trained(session)
    told = session.mirror
    told.begin(attempt, session.hardware)
    deleted = session.tracker.run_of(attempt.uid)
    session.tracker.client.delete_run(deleted)
    told.log(attempt, EPOCHS)
    assert "active" in told.away
    assert told.complete(attempt, RESULT)
    assert session.tracker.run_of(attempt.uid) not in (None, deleted)


def test_a_refusal_of_the_whole_is_raised(open_here: OpenSession) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    with pytest.raises(MlflowException, match="Invalid value"):
        session.mirror.complete(
            attempt, replace(RESULT, summaries={"ece*": 0.1, "kept_epoch": 3.0})
        )
    assert session.store.trial_folder(attempt.uid).exists()


@dataclass
class Slow:
    """Tracking whose every call takes ten seconds, by a clock that only this moves."""

    now: float = 0.0

    def slowed(self, call: Callable[..., object]) -> Callable[..., object]:
        def late(*given: object) -> object:
            self.now += 10
            return call(*given)

        return late


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(mirror, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def test_a_trial_waits_for_tracking_until_the_bound(
    open_here: OpenSession, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_here(PLAN)
    attempt, other = trained(session), session.ledger.claim()
    assert other is not None
    monkeypatch.setattr(session.tracker, "log_epochs", slow.slowed(session.tracker.log_epochs))
    told = session.mirror
    told.begin(attempt, session.hardware)
    for epoch in EPOCHS:
        told.log(attempt, [epoch])
    assert steps(session, attempt) == [1, 2], "two of ten seconds are all it waits"
    told.begin(other, session.hardware)
    told.log(other, EPOCHS[:1])
    assert steps(session, other) == [1], "each trial waits for itself"
    assert told.complete(attempt, RESULT)
    check_whole(session, attempt)


def test_a_call_that_failed_is_the_last_until_the_trial_ends(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    session.mirror.begin(attempt, session.hardware)
    with monkeypatch.context() as without:
        without.setattr(session.tracker.client, "log_batch", no_reply)
        session.mirror.log(attempt, EPOCHS[:1])
    assert session.mirror.away == "no reply"
    session.mirror.log(attempt, EPOCHS[1:2])
    assert steps(session, attempt) == []
    assert session.mirror.complete(attempt, RESULT)
    assert session.mirror.away == ""
    check_whole(session, attempt)


def no_reply(*_: object, **__: object) -> None:
    raise TimeoutError("no\n reply")


def test_completing_takes_long_only_where_no_work_is_waiting(
    open_here: OpenSession, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_here(PLAN)
    attempt = trained(session)
    monkeypatch.setattr(mirror, "COMPLETION_SECONDS", 5.0)
    monkeypatch.setattr(session.tracker, "log_epochs", slow.slowed(session.tracker.log_epochs))
    assert not session.mirror.complete(attempt, RESULT)
    assert session.mirror.away == "tracking took more than 5 s"
    assert session.store.trial_folder(attempt.uid).exists()
    assert session.mirror.complete(attempt, RESULT, bounded=False)
    check_whole(session, attempt)


@pytest.mark.parametrize("error", [
    MlflowException("no reply"),
    MlflowException("busy", error_code=codes.TEMPORARILY_UNAVAILABLE),
    MlflowException("too many", error_code=codes.REQUEST_LIMIT_EXCEEDED),
    OperationalError("INSERT", {}, Exception("database is locked")),
    OSError(errno.ENOSPC, "No space left on device"),
    ConnectionRefusedError(),
    TimeoutError(),
])  # fmt: skip
def test_what_may_go_through_later_is_away(error: Exception) -> None:
    assert is_away(error)


@pytest.mark.parametrize("error", [
    MlflowException("it is another", error_code=codes.INVALID_PARAMETER_VALUE),
    MlflowException("no such run", error_code=codes.RESOURCE_DOES_NOT_EXIST),
    MlflowException("there is one", error_code=codes.RESOURCE_ALREADY_EXISTS),
    MlflowException("log in", error_code=codes.UNAUTHENTICATED),
    MlflowException("not you", error_code=codes.PERMISSION_DENIED),
    MlflowException("in use", error_code=codes.RESOURCE_CONFLICT),
    ValueError("a bug"),
    KeyError("a bug"),
])  # fmt: skip
def test_what_was_refused_is_not(error: Exception) -> None:
    assert not is_away(error)


def test_a_mirror_of_its_own_finds_the_same_study_run(open_here: OpenSession) -> None:
    session = open_here(PLAN)
    other = Mirror(session.store, session.ledger, session.tracker)
    assert other.study_run() == session.mirror.study_run()
