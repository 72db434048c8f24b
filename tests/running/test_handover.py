"""A trial goes on at another host, from the copy of its checkpoint."""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fashion_hpo.design.plan import Plan
from fashion_hpo.running import handover, workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.trial import Trained, run_trial
from fashion_hpo.running.workers import EpochDone
from fashion_hpo.stores.addresses import sqlite_url
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.data import SearchSplits
from tests.conftest import OpenSession
from tests.plans import design

PLAN = design(scientific={"dropout": (0.5,)}, seeds=1, claims=[])
OpenOnHost = Callable[[str], Session]


@pytest.fixture
def open_on(
    tmp_path: Path, store: Store, fresh_databases: Path, splits: SearchSplits
) -> OpenOnHost:
    """Opens the plan on a host of this name: a folder of its own, the ledger and copies shared."""

    def opened(name: str) -> Session:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        shutil.copy(fresh_databases / "mlflow.db", root)
        ledger = sqlite_url(store.root / "optuna.db")
        host = Store(root, storage=ledger, checkpoints=str(tmp_path / "shared"))
        return open_session(host, PLAN, device="cpu", splits=splits)

    return opened


def copies(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "shared").rglob("*") if path.is_file())


def numbers(session: Session) -> list[int]:
    """The epochs that a worker trains."""
    return [e.epoch.epoch for e in workers.work(session) if isinstance(e, EpochDone)]


def losses(session: Session) -> list[float]:
    results = [entry.result for entry in session.ledger.entries() if entry.result]
    (final,) = (result for result in results if result.final)
    return [epoch["val_loss"] for epoch in final.history]


def interrupted_after_the_first_epoch(session: Session) -> str:
    """A trial whose host stops for ever after an epoch; the trial's uid."""
    attempt = session.ledger.claim()
    assert attempt is not None
    training = run_trial(session, attempt)
    while next(training) is None:
        pass
    interrupted.append(training)  # collected, it would copy its checkpoint; a lost host does not
    return attempt.uid


interrupted: list[Trained] = []


@pytest.fixture(autouse=True)
def none_is_left_to_the_end_of_python() -> Iterator[None]:
    yield
    while interrupted:
        interrupted.pop().close()


def test_another_host_goes_on_where_a_lost_host_was(
    open_on: OpenOnHost, open_here: OpenSession, tmp_path: Path
) -> None:
    uid = interrupted_after_the_first_epoch(open_on("first"))
    assert len(copies(tmp_path)) == 1
    second = open_on("second")
    list(reconcile(second.mirror, gone={uid}))
    assert numbers(second) == [2, 3]
    assert copies(tmp_path) == [], "a committed trial needs no copy"
    alone = open_here(replace(PLAN, name="alone"))
    list(workers.work(alone))
    assert losses(second) == losses(alone)


def test_a_trial_that_is_stopped_is_handed_over_as_far_as_it_came(
    open_on: OpenOnHost, tmp_path: Path
) -> None:
    first = open_on("first")
    reached = []
    with pytest.raises(Stopped):  # noqa: PT012  (the loop is what is interrupted)
        for event in workers.work(first):
            if isinstance(event, EpochDone):
                reached.append(event.epoch.epoch)
                if event.epoch.epoch == 2:
                    first.signals.request(signal.SIGTERM)
    assert reached == [1, 2]
    assert numbers(open_on("second")) == [3]


def test_a_host_with_more_epochs_than_the_copy_keeps_its_own(open_on: OpenOnHost) -> None:
    first = open_on("first")
    attempt = first.ledger.claim()
    assert attempt is not None
    training = run_trial(first, attempt)
    epochs = 0
    while epochs < 2:
        epochs += next(training) is not None
    interrupted.append(training)
    list(reconcile(first.mirror, gone={attempt.uid}))
    assert numbers(open_on("first")) == [3], "the copy has one epoch, for it is a second old"


def test_a_damaged_copy_is_as_none(open_on: OpenOnHost, tmp_path: Path) -> None:
    uid = interrupted_after_the_first_epoch(open_on("first"))
    (copy,) = copies(tmp_path)
    copy.write_bytes(copy.read_bytes()[:-100])
    second = open_on("second")
    list(reconcile(second.mirror, gone={uid}))
    assert numbers(second) == [1, 2, 3]


@pytest.mark.parametrize(("seconds", "count"), [(60.0, 1), (0.0, 2)])
def test_a_trial_copies_its_checkpoint_once_a_minute(
    open_on: OpenOnHost, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    """And not after its last epoch, which its result follows."""
    monkeypatch.setattr(handover, "EVERY_SECONDS", seconds)
    session = open_on("first")
    assert session.checkpoints is not None
    put, written = session.checkpoints.put, []

    def counted(point: str, content: bytes) -> bool:
        written.append(point)
        return put(point, content)

    monkeypatch.setattr(session.checkpoints, "put", counted)
    assert numbers(session) == [1, 2, 3]
    assert len(written) == count


def test_the_plan_has_one_point() -> None:
    assert isinstance(PLAN, Plan)
    assert PLAN.trials == 1
