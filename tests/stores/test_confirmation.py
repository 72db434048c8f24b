"""The ledger of a search's confirmation lies beside the search's, and grows with it."""

import pytest

from fashion_hpo.design.confirmation import Confirmation, Values
from fashion_hpo.design.plan import confirmation_plan
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger, Result
from fashion_hpo.stores.opening import all_ledgers, confirmation_of, open_ledger, read_ledger
from tests.plans import design, search
from tests.stores.test_ledger import opened

FIRST = {"dropout": 0.1, "learning_rate": 0.01, "batch_size": 25}
SECOND = {"dropout": 0.2, "learning_rate": 0.02, "batch_size": 50}


def confirming(
    store: Store, ledger: Ledger, *finalists: Values, seeds: int = 2, uid: str = ""
) -> Ledger:
    chosen = Confirmation(of=ledger.name, uid=uid or ledger.uid, finalists=finalists)
    return opened(store, confirmation_plan(ledger.plan, chosen, seeds))


def test_a_search_without_one_and_a_design_have_none(store: Store) -> None:
    assert confirmation_of(store, opened(store, search())) is None
    assert confirmation_of(store, opened(store, design())) is None


def test_it_is_read_as_it_was_made(store: Store) -> None:
    ledger = opened(store, search())
    made = confirming(store, ledger, FIRST, SECOND)
    assert made.name == "tiny_search/standard/r1/confirmation"
    read = confirmation_of(store, ledger)
    assert read is not None
    by_all = next(each for each in all_ledgers(store) if each.uid == made.uid)
    for found in (read, by_all):
        assert (found.uid, found.remaining()) == (made.uid, 4)
        assert found.plan.identity() == made.plan.identity()
        assert found.plan.extent() == made.plan.extent()


def test_it_is_no_revision_of_the_search(store: Store) -> None:
    ledger = opened(store, search())
    confirming(store, ledger, FIRST)
    newest = read_ledger(store, search())
    assert newest is not None
    assert newest.uid == ledger.uid
    assert opened(store, search()).uid == ledger.uid
    revised = open_ledger(store, search(), "data", threads=1, revise=True)
    assert revised.name == "tiny_search/standard/r2"
    assert confirmation_of(store, revised) is None, "each revision has its own"


def test_other_finalists_and_more_seeds_extend_it(store: Store) -> None:
    ledger = opened(store, search())
    first = confirming(store, ledger, FIRST)
    while (attempt := first.claim()) is not None:
        first.close(attempt, Result("complete", value=0.5))
    assert confirming(store, ledger, SECOND).remaining() == 2
    assert confirming(store, ledger, SECOND, seeds=3).remaining() == 4
    kept = confirming(store, ledger, FIRST, seeds=1)
    assert kept.remaining() == 4, "asked for once, kept from then on"
    assert {a.config.dropout for e in kept.entries() if (a := e.attempt)} == {0.1}


def test_of_another_search_it_is_refused(store: Store) -> None:
    ledger = opened(store, search())
    confirming(store, ledger, FIRST)
    with pytest.raises(StoreError, match=r"confirmation holds another spec \(confirms: "):
        confirming(store, ledger, FIRST, uid="another")


def test_no_point_of_it_is_pruned_or_proposed(store: Store) -> None:
    ledger = confirming(store, opened(store, search()), FIRST)
    for expected in (1, 2):
        attempt = ledger.claim()
        assert attempt is not None
        assert (attempt.seed_index, attempt.params) == (expected, FIRST)
        assert not any(ledger.report(attempt, epoch, 0.1 / epoch) for epoch in (1, 2, 3))
    assert ledger.claim() is None
