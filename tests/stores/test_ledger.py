from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from fashion_hpo.design.plan import Plan, points
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.opening import all_ledgers, connect, ledger_name, open_ledger, read_ledger
from tests.plans import TINY, design, search

COMPLETE = Result("complete", value=0.5)


def opened(store: Store, plan: Plan, data_hash: str = "data", **options: Any) -> Ledger:
    return open_ledger(store, plan, data_hash, threads=1, **options)


def claim_all(ledger: Ledger) -> list[Attempt]:
    claimed = []
    while (attempt := ledger.claim()) is not None:
        claimed.append(attempt)
    return claimed


def finish(ledger: Ledger, attempt: Attempt, outcome: str = "complete") -> None:
    result = COMPLETE if outcome == "complete" else Result(outcome)
    ledger.commit(attempt, result)
    ledger.tell(attempt, result)


def test_a_design_hands_out_each_point_once(store: Store) -> None:
    first, second = opened(store, design()), opened(store, design())
    claimed = [first.claim(), second.claim(), first.claim(), second.claim()]
    assert len({attempt.point for attempt in claimed if attempt is not None}) == 4
    assert second.claim() is None


def test_a_point_that_another_host_has_claimed_and_finished_is_passed_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between this host's look at the waiting trials and its claim."""
    first, second = opened(store, design()), opened(store, design())
    looked = second.claim()
    assert looked is not None
    waiting = first._trials(TrialState.WAITING)
    other = second.claim()
    assert other is not None
    assert other.number == waiting[0].number
    finish(second, other)
    look = first._trials
    monkeypatch.setattr(
        first, "_trials", lambda *states: waiting if TrialState.WAITING in states else look(*states)
    )
    claimed = first.claim()
    assert claimed is not None
    assert claimed.number == waiting[1].number


def test_a_worker_whose_whole_slice_was_taken_by_others_gets_a_point_of_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between this host's look at the waiting trials and its claim."""
    monkeypatch.setattr("fashion_hpo.stores.ledger.SLICE", 4)
    first, second = opened(store, design(seeds=6)), opened(store, design(seeds=6))
    take, others = first._take, list[Attempt | None]()

    def take_late(number: int) -> bool:
        if not others:
            others.extend(second.claim() for _ in range(4))
        return take(number)

    monkeypatch.setattr(first, "_take", take_late)
    ours = first.claim()
    assert ours is not None
    assert ours.point not in {other.point for other in others if other is not None}


def test_a_worker_that_waited_for_a_slice_that_others_took_gets_a_point_of_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others enqueue a slice while this host waits to do so, and take it before it looks."""
    monkeypatch.setattr("fashion_hpo.stores.ledger.SLICE", 4)
    first, second = opened(store, design(seeds=6)), opened(store, design(seeds=6))
    others, waits = list[Attempt | None](), count()

    @contextmanager
    def held_by_the_second(url: str, what: str) -> Iterator[None]:
        is_first = next(waits) == 0
        if is_first:
            others.append(second.claim())
        yield
        if is_first:
            others.extend(second.claim() for _ in range(3))

    monkeypatch.setattr("fashion_hpo.stores.ledger.alone", held_by_the_second)
    ours = first.claim()
    assert ours is not None
    assert ours.point not in {other.point for other in others if other is not None}


def test_more_points_than_a_slice_all_get_their_turn(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashion_hpo.stores.ledger.SLICE", 5)
    ledger = opened(store, design(seeds=6))
    claimed = []
    while (attempt := ledger.claim()) is not None:
        claimed.append(attempt)
        assert sum(entry.state == "WAITING" for entry in ledger.entries()) < 5
    assert len({attempt.point for attempt in claimed}) == 12


def test_a_claimed_config_is_the_points_own(store: Store) -> None:
    plan = design(nuisance={"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
                  nuisance_points=2)  # fmt: skip
    claimed = claim_all(opened(store, plan))
    assert len(claimed) == 8
    assert all(a.params == {"learning_rate": a.config.learning_rate} for a in claimed)
    assert len({a.config.learning_rate for a in claimed}) == 2


def test_a_finished_study_has_nothing_left(store: Store) -> None:
    ledger = opened(store, design())
    for attempt in claim_all(ledger):
        finish(ledger, attempt)
    again = opened(store, design())
    assert again.claim() is None
    assert again.remaining() == 0


@pytest.mark.parametrize("outcome", ["died", "stopped"])
def test_an_attempt_without_outcome_is_tried_again_once(store: Store, outcome: str) -> None:
    ledger = opened(store, design(seeds=1))
    first, *_ = claim_all(ledger)
    finish(ledger, first, outcome)
    ledger.requeue(first)
    ledger.requeue(first)
    (again,) = claim_all(ledger)
    assert (again.point, again.attempt) == (first.point, 2)
    assert again.config == first.config
    assert again.uid != first.uid


@pytest.mark.parametrize("outcome", ["complete", "pruned", "diverged", "failed"])
def test_a_point_with_an_outcome_is_not_tried_again(store: Store, outcome: str) -> None:
    ledger = opened(store, design(seeds=1))
    first, second = claim_all(ledger)
    finish(ledger, first, outcome)
    ledger.requeue(first)
    assert ledger.claim() is None
    assert ledger.remaining() == 1
    assert second.point != first.point


def test_telling_twice_changes_nothing(store: Store) -> None:
    ledger = opened(store, design())
    attempt = ledger.claim()
    assert attempt is not None
    finish(ledger, attempt)
    ledger.tell(attempt, Result("failed", reason="late"))
    assert ledger.entries()[0].state == "COMPLETE"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"base": TINY.replace(epochs=9)}, "base.epochs: 3 → 9"),
        (
            {"scientific": {"dropout": (0.0, 0.4)}, "claims": []},
            r"dropout: \[0.5\] left out",
        ),
        ({"scientific": {"batch_size": (25, 50)}, "claims": []}, "scientific"),
        ({"seed": 3}, "study_seed: 0 → 3"),
        ({"nuisance": {"weight_decay": FloatDistribution(0, 0.1)}}, "ranges.weight_decay"),
    ],
)
def test_another_spec_is_refused_with_the_difference(
    store: Store, changed: dict[str, Any], named: str
) -> None:
    opened(store, design())
    with pytest.raises(StoreError, match=rf"r1 holds another spec.*{named}.*--revise"):
        opened(store, design(**changed))


def test_other_data_are_refused(store: Store) -> None:
    opened(store, design())
    with pytest.raises(StoreError, match="data: fashion-mnist data… → fashion-mnist other…"):
        opened(store, design(), "other")


def test_a_changed_range_of_a_search_is_refused(store: Store) -> None:
    opened(store, search())
    plan = search()
    assert plan.search is not None
    plan.search.space["dropout"].high = 0.9  # type: ignore[index, attr-defined]
    with pytest.raises(StoreError, match=r"ranges\.dropout\.attributes\.high: 0\.5 → 0\.9"):
        opened(store, plan)


def test_a_revision_starts_anew_beside_the_old(store: Store) -> None:
    ledger = opened(store, design())
    for attempt in claim_all(ledger):
        finish(ledger, attempt)
    revised = opened(store, design(base=TINY.replace(epochs=9)), revise=True)
    assert revised.name == "tiny/standard/r2"
    assert revised.remaining() == 4
    newest = read_ledger(store, design(base=TINY.replace(epochs=9)))
    assert newest is not None
    assert newest.name == revised.name


def test_more_seeds_and_levels_extend_and_are_kept(store: Store) -> None:
    ledger = opened(store, design())
    for attempt in claim_all(ledger):
        finish(ledger, attempt)
    assert opened(store, design(more_seeds=1)).remaining() == 2
    assert opened(store, design()).remaining() == 2, "asked for once, kept from then on"
    wider = design(scientific={"dropout": (0.0, 0.25, 0.5)})
    assert opened(store, wider).remaining() == 5


def test_the_thread_count_is_the_first_workers(store: Store) -> None:
    open_ledger(store, design(), "data", threads=3)
    assert open_ledger(store, design(), "data", threads=8).threads == 3


def test_the_precision_is_the_first_workers_and_of_old_ledgers_float32(store: Store) -> None:
    open_ledger(store, design(), "data", threads=1, precision="bf16")
    assert open_ledger(store, design(), "data", threads=1, precision="fp32").precision == "bf16"
    old = opened(store, search())
    old.attributes = {name: kept for name, kept in old.attributes.items() if name != "precision"}
    assert old.precision == "fp32"


def test_the_kind_of_step_is_the_first_workers_and_of_old_ledgers_eager(store: Store) -> None:
    open_ledger(store, design(), "data", threads=1, step="captured")
    assert open_ledger(store, design(), "data", threads=1, step="eager").step == "captured"
    old = opened(store, search())
    old.attributes = {name: value for name, value in old.attributes.items() if name != "step"}
    assert old.step == "eager"


def test_the_format_of_exported_models_is_the_first_workers_and_of_old_ledgers_contiguous(
    store: Store,
) -> None:
    open_ledger(store, design(), "data", threads=1)
    again = open_ledger(store, design(), "data", threads=1, served_channels_last=False)
    assert again.served_channels_last
    again.attributes.pop("served_channels_last")
    assert not again.served_channels_last


def test_budgets_have_ledgers_of_their_own(store: Store) -> None:
    opened(store, design(budget="quick"))
    assert read_ledger(store, design(budget="standard")) is None


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_text("not a database, but a text of some length " * 9)
    with pytest.raises(StoreError, match=r"optuna.db cannot be opened .*--storage"):
        opened(Store.at(tmp_path), design())


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    store = Store.at(tmp_path, "postgresql://me:secret@127.0.0.1:1/db")
    with pytest.raises(StoreError) as error:
        opened(store, design())
    assert "secret" not in str(error.value)


def test_a_ledger_is_read_with_the_base_config_it_was_run_with(store: Store) -> None:
    opened(store, design(base=TINY.replace(epochs=7)))
    read = read_ledger(store, design())
    assert read is not None
    assert read.plan.base.epochs == 7


def created(store: Store, direction: str = "maximize") -> optuna.Study:
    """A ledger as it is before it is described."""
    name = ledger_name(design(), 1)
    return optuna.create_study(storage=connect(store), study_name=name, direction=direction)


@pytest.mark.parametrize("described", [{}, {"uid": "its-own", "threads": 3}])
def test_a_ledger_whose_maker_died_is_completed_at_the_next_start(
    store: Store, described: dict[str, Any]
) -> None:
    half = created(store)
    for key, value in described.items():
        half.set_user_attr(key, value)
    assert read_ledger(store, design()) is None, "nothing can have been run in it"
    assert all_ledgers(store) == []
    ledger = opened(store, design())
    assert ledger.name == half.study_name
    assert ledger.uid == described.get("uid", ledger.uid)
    assert ledger.threads == described.get("threads", 1)
    read = read_ledger(store, design())
    assert read is not None
    assert (read.uid, read.remaining()) == (ledger.uid, 4)
    assert [found.uid for found in all_ledgers(store)] == [ledger.uid]


@pytest.mark.parametrize("own", [True, False])
def test_a_ledger_read_without_its_study_file_has_the_same_points(store: Store, own: bool) -> None:
    plan = design(nuisance={"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
                  nuisance_points=2, nuisance_base=own)  # fmt: skip
    opened(store, plan)
    (read,) = all_ledgers(store)
    assert list(points(read.plan)) == list(points(plan))


def test_a_ledger_that_minimizes_is_refused(store: Store) -> None:
    created(store, "minimize")
    with pytest.raises(StoreError, match="direction: minimize → maximize"):
        opened(store, design())


def test_an_entry_is_the_trial_as_it_is_now(store: Store) -> None:
    ledger = opened(store, design())
    first, second = ledger.claim(), ledger.claim()
    assert first is not None
    assert second is not None
    assert ledger.entry(1).attempt == second
    assert (ledger.entry(0).state, ledger.entry(0).result) == ("RUNNING", None)
    finish(opened(store, design()), first)
    entry = ledger.entry(0)
    assert (entry.attempt, entry.state, entry.result) == (first, "COMPLETE", COMPLETE)
    assert entry == ledger.entries()[0]


def test_running_points_are_those_that_workers_hold(store: Store) -> None:
    ledger = opened(store, design())
    assert ledger.running() == 0
    first, second = ledger.claim(), ledger.claim()
    assert first is not None
    assert second is not None
    assert ledger.running() == 2
    finish(ledger, first)
    ledger.commit(second, COMPLETE)
    assert ledger.running() == 1, "it is not told yet"
    ledger.tell(second, COMPLETE)
    assert ledger.running() == 0
