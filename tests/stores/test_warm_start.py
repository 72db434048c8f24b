"""A search that begins with the best points of an earlier one, written down with its ledger."""

from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.opening import all_ledgers, confirmation_of, connect, read_ledger
from tests.plans import design, search
from tests.stores.test_ledger import claim_all, finish, opened

NARROW = {"dropout": FloatDistribution(0.1, 0.3)}
DROPOUTS = (0.05, 0.3, 0.2, 0.1, 0.2)
VALUES = (0.99, 0.7, 0.9, 0.8, 0.9)  # the best lies outside NARROW, the last is a point again


@pytest.fixture
def source(store: Store) -> Ledger:
    """An earlier search, "tiny_search" under "standard", and a trial of it that failed."""
    ledger = opened(store, search(trials=6, sampler="tpe"))
    first = ledger.claim()
    assert first is not None
    for dropout, value in zip(DROPOUTS, VALUES, strict=True):
        config = first.config.replace(dropout=dropout)
        params = {**first.params, "dropout": dropout}
        at = replace(first, config=config, params=params, point=f"at {dropout}")
        ledger._add(at, params, ledger.plan.ranges, 1)
        waiting = ledger.claim()
        assert waiting is not None
        ledger.close(waiting, Result("complete", value=value))
    finish(ledger, first, "failed")
    return ledger


def later(**changes: Any) -> Plan:
    """A search that begins with what the source found."""
    values = {"space": NARROW, "warm_start": "tiny_search", "warm_points": 2, **changes}
    return replace(search(trials=4, **values), name="later")


def begun(attempts: list[Attempt]) -> list[float]:
    return [attempt.config.dropout for attempt in attempts]


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "quasi_random"])
@pytest.mark.usefixtures("source")
def test_the_best_points_inside_the_space_come_first_and_count(store: Store, sampler: str) -> None:
    ledger = opened(store, later(sampler=sampler))
    attempts = claim_all(ledger)
    assert begun(attempts)[:2] == [0.2, 0.1]
    assert len({attempt.point for attempt in attempts}) == ledger.remaining() == 4
    assert attempts[0].params == {"dropout": 0.2}, "what is not searched is the base's"


@pytest.mark.usefixtures("source")
def test_the_base_configs_own_values_come_before_them(store: Store) -> None:
    ledger = opened(store, later(defaults=True, space={"dropout": FloatDistribution(0, 0.3)}))
    assert begun(claim_all(ledger))[:3] == [0.0, 0.05, 0.2]


def test_the_ledgers_own_list_is_used_whatever_becomes_of_the_source(
    store: Store, source: Ledger
) -> None:
    opened(store, later())
    longer = opened(store, search(trials=9, sampler="tpe"))
    better = longer.claim()
    assert better is not None
    longer.close(better, Result("complete", value=1.0))
    kept = opened(store, later())
    connect(store).delete_study(connect(store).get_study_id_from_name(source.name))
    for plan in (later(), later(warm_start="")):
        ledger = opened(store, plan)
        assert ledger.plan.extent() == kept.plan.extent()
        assert ledger.plan.warm_start is not None
        assert [each["dropout"] for each in ledger.plan.warm_start.points] == [0.2, 0.1]
    read = read_ledger(store, later(warm_start=""))
    (by_all,) = all_ledgers(store)
    for found in (read, by_all):
        assert found is not None
        assert begun(claim_all(found))[:2] == [0.2, 0.1] if found is read else True
        assert found.plan.extent() == kept.plan.extent()
    assert confirmation_of(store, ledger) is None


@pytest.mark.usefixtures("source")
def test_a_ledger_that_began_otherwise_is_not_begun_again(store: Store) -> None:
    opened(store, later(warm_start=""))
    with pytest.raises(StoreError, match=r"warm_start: none → tiny_search:standard\); undo"):
        opened(store, later())
    revised = opened(store, later(), revise=True)
    assert begun(claim_all(revised))[:2] == [0.2, 0.1]
    with pytest.raises(StoreError, match=r"tiny_search:standard → tiny_search:quick\)"):
        opened(store, later(warm_start="tiny_search:quick"))


@pytest.mark.usefixtures("source")
def test_a_revision_may_begin_with_the_best_of_the_one_before(store: Store) -> None:
    plan = search(trials=6, sampler="tpe", warm_start="tiny_search", warm_points=1)
    ledger = opened(store, plan, revise=True)
    assert ledger.plan.warm_start is not None
    assert ledger.plan.warm_start.of == "tiny_search/standard/r1"
    assert begun(claim_all(ledger))[0] == 0.05


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"warm_start": "nobody"}, "'nobody', and the store has no results of that study under "),
        ({"warm_start": "tiny_search:quick"}, "'tiny_search:quick', and the store has no results"),
        ({"warm_start": "tiny"}, "'tiny', and tiny/standard/r1 is a design; name a search."),
        (
            {"space": {"dropout": FloatDistribution(0.4, 0.5)}},
            "'tiny_search', and none of the 5 feasible trials of tiny_search/standard/r1 lies ",
        ),
    ],
)
@pytest.mark.usefixtures("source")
def test_a_source_that_cannot_be_used_is_refused_and_nothing_is_made(
    store: Store, changed: dict[str, Any], words: str
) -> None:
    opened(store, design())
    before = len(all_ledgers(store))
    with pytest.raises(StoreError) as refused:
        opened(store, later(**changed))
    assert str(refused.value).startswith(f"search.warm_start is {words}")
    assert len(all_ledgers(store)) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"warm_start": 3}, "search.warm_start is 3; allowed is the name of an earlier search, "),
        ({"warm_start": ":quick"}, "search.warm_start is ':quick'; allowed is the name of "),
        ({"warm_start": "a:huge"}, "budget of search.warm_start is 'huge'; choose one of quick, "),
        ({"warm_points": 0}, "search.warm_points is 0; allowed is a whole number from 1."),
    ],
)
def test_what_names_no_source_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as refused:
        search(**given)
    assert str(refused.value).startswith(words)


def test_a_call_names_it_as_well() -> None:
    plan = search()
    asked = {"warm_start": "other:quick"}
    made = make_plan("tiny_search", "Which?", plan.spec, "standard", searching=asked)
    assert made.search is not None
    assert made.search.warm_start == "other:quick"
    assert made.identity() == plan.identity()
    assert made.extent() == plan.extent(), "its points are known when its ledger is made"
