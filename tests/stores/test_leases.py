"""Two hosts that share a ledger: two stores on one database."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fashion_hpo.design.plan import points
from fashion_hpo.stores import leases
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.leases import Leases
from fashion_hpo.stores.ledger import Attempt, Ledger, LostClaimError, Result
from fashion_hpo.stores.opening import open_ledger
from tests.plans import design, search

PLAN = design(seeds=1)
DIED = Result("died", reason="its lease ran out")
EXPIRED = -10.0  # seconds that a lease lasts, which is over when it is written


def opened(store: Store) -> Ledger:
    return open_ledger(store, PLAN, "data", threads=1)


@pytest.fixture
def here(store: Store) -> Ledger:
    return opened(Store(store.root.with_name("here"), storage=store.ledger_url))


@pytest.fixture
def elsewhere(store: Store) -> Ledger:
    return opened(Store(store.root.with_name("elsewhere"), storage=store.ledger_url))


def claim(ledger: Ledger) -> Attempt:
    attempt = ledger.claim()
    assert attempt is not None
    return attempt


def leases_of(ledger: Ledger) -> Leases:
    assert ledger.leases is not None
    return ledger.leases


def holder(ledger: Ledger, attempt: Attempt) -> str:
    lease = ledger.entry(attempt.number).lease
    return "" if lease is None else str(lease["holder"])


def has_expired(ledger: Ledger, attempt: Attempt) -> bool:
    lease = ledger.entry(attempt.number).lease
    assert lease is not None
    return leases_of(ledger).has_expired(lease)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.005)


def test_a_store_with_a_database_of_its_own_has_no_leases(store: Store) -> None:
    ledger = opened(store)
    attempt, threads = claim(ledger), threading.active_count()
    assert ledger.leases is None
    assert ledger.entry(attempt.number).lease is None
    assert not ledger.is_alive_elsewhere(ledger.entry(attempt.number))
    with ledger.alive(attempt):
        assert threading.active_count() == threads


def test_a_claim_takes_a_lease(here: Ledger) -> None:
    before = leases_of(here).now()
    attempt = claim(here)
    lease = here.entry(attempt.number).lease
    assert lease is not None
    assert lease["holder"] == leases_of(here).holder
    passed = leases_of(here).now() - before
    assert 0 <= lease["until"] - before - leases.LEASE_SECONDS <= passed


def test_hosts_of_one_name_and_folder_are_told_apart(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their folder is on a network file system, whose locks do not part them."""
    shared = Store(store.root.with_name("here"), storage=store.ledger_url)
    first = opened(shared)
    attempt = claim(first)
    monkeypatch.setattr(leases, "machine", lambda: "another")
    second = opened(shared)
    assert second.is_alive_elsewhere(second.entry(attempt.number))
    assert not first.is_alive_elsewhere(first.entry(attempt.number))


def test_a_search_takes_a_lease_as_well(store: Store) -> None:
    shared = Store(store.root, storage=store.ledger_url)
    ledger = open_ledger(shared, search(), "data", threads=1)
    assert holder(ledger, claim(ledger)) == leases_of(ledger).holder


def test_it_is_renewed_as_long_as_the_attempt_is_under_way(
    here: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(leases, "LEASE_SECONDS", EXPIRED)
    attempt, threads = claim(here), threading.active_count()
    assert has_expired(here, attempt)
    with here.alive(attempt):
        monkeypatch.setattr(leases, "LEASE_SECONDS", 60.0)
        wait_until(lambda: not has_expired(here, attempt))
    assert threading.active_count() == threads, "nobody renews it any more"


def test_a_renewal_that_fails_is_tried_again(here: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.01)
    attempt, tried = claim(here), []
    here.close(attempt, DIED)  # Optuna refuses to write to it from now on
    take = leases_of(here).take
    monkeypatch.setattr(here.leases, "take", lambda number: (tried.append(number), take(number)))
    with here.alive(attempt):
        wait_until(lambda: len(tried) > 2)


@pytest.fixture(params=["Pacific/Auckland", "America/Los_Angeles", "UTC"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This host's time zone; its clock is wrong besides."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        patched.setattr("time.time", lambda: 0.0)
        yield
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_it_expires_by_the_databases_clock(here: Ledger) -> None:
    utc = time.clock_gettime(time.CLOCK_REALTIME)
    lease = leases_of(here)
    assert abs(lease.now() - utc) < 60
    assert lease.has_expired({"holder": "anybody", "until": utc - 60})
    assert not lease.has_expired({"holder": "anybody", "until": utc + 60})


def test_a_hosts_own_trial_is_for_its_file_locks_to_decide(here: Ledger) -> None:
    entry = here.entry(claim(here).number)
    assert not here.is_alive_elsewhere(entry)


def test_another_hosts_trial_is_alive_until_its_lease_is_over(
    here: Ledger, elsewhere: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = claim(elsewhere)
    monkeypatch.setattr(leases, "LEASE_SECONDS", EXPIRED)
    dead = claim(elsewhere)
    assert here.is_alive_elsewhere(here.entry(renewed.number))
    assert not here.is_alive_elsewhere(here.entry(dead.number))


@pytest.mark.parametrize("lasts", [60.0, EXPIRED])
def test_a_trial_without_a_lease_is_given_one_first(
    store: Store, here: Ledger, elsewhere: Ledger, lasts: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process was killed between the claim and the lease, or is just there."""
    attempt = claim(opened(store))
    assert holder(here, attempt) == ""
    monkeypatch.setattr(leases, "LEASE_SECONDS", lasts)
    assert here.is_alive_elsewhere(here.entry(attempt.number)), "nobody can tell yet"
    assert holder(here, attempt) == "unknown"
    for host in (here, elsewhere):
        assert host.is_alive_elsewhere(host.entry(attempt.number)) == (lasts > 0)


def test_what_is_not_running_is_not_alive(here: Ledger, elsewhere: Ledger) -> None:
    ended, waiting = claim(elsewhere), here.entries()[1]
    elsewhere.close(ended, Result("complete", 0.5))
    assert waiting.state == "WAITING"
    assert not here.is_alive_elsewhere(waiting)
    assert not here.is_alive_elsewhere(here.entry(ended.number))
    assert here.entry(waiting.attempt.number).lease is None


def enqueue_again(ledger: Ledger) -> None:
    """As a host does that looked for points just before another one had enqueued them."""
    for point in points(PLAN):
        ledger._add(point, point.params, {}, 1)


def outcomes(ledger: Ledger) -> list[str]:
    return [entry.result.outcome for entry in ledger.entries() if entry.result is not None]


def test_points_that_two_hosts_enqueued_are_run_once(here: Ledger, elsewhere: Ledger) -> None:
    first = claim(here)
    enqueue_again(elsewhere)
    second = claim(elsewhere)
    assert {first.point, second.point} == {point.id for point in points(PLAN)}
    assert here.claim() is None
    assert elsewhere.claim() is None
    assert outcomes(here) == ["duplicate"] * 2
    assert here.remaining() == 2, "their points are still under way"
    for ledger, attempt in ((here, first), (elsewhere, second)):
        ledger.close(attempt, Result("complete", 0.5))
    assert here.remaining() == 0
    for entry in here.entries():
        here.requeue(entry.attempt)
    assert here.claim() is None, "a duplicate is no reason to run its point again"


def test_the_duplicate_of_a_dead_attempt_takes_its_place(here: Ledger, elsewhere: Ledger) -> None:
    dead = claim(here)
    enqueue_again(elsewhere)
    elsewhere.close(dead, DIED)
    elsewhere.requeue(dead)
    other, again = claim(elsewhere), claim(elsewhere)
    assert (other.point, again.point) != (dead.point, dead.point)
    assert again.point == dead.point
    assert elsewhere.claim() is None
    assert outcomes(here) == ["died", "duplicate"]


def test_a_closed_duplicate_does_not_keep_its_point_from_another_try(
    here: Ledger, elsewhere: Ledger
) -> None:
    dead = claim(here)
    enqueue_again(elsewhere)
    claim(elsewhere)
    assert elsewhere.claim() is None
    elsewhere.close(dead, DIED)
    elsewhere.requeue(dead)
    assert claim(elsewhere).point == dead.point


@pytest.mark.parametrize("change", ["commit", "close", "report"])
def test_who_was_taken_for_dead_learns_it_at_the_next_write(
    here: Ledger, elsewhere: Ledger, change: str
) -> None:
    attempt = claim(here)
    elsewhere.close(attempt, DIED)
    result = Result("complete", 0.5)
    write: dict[str, Callable[[], object]] = {
        "commit": lambda: here.commit(attempt, result),
        "close": lambda: here.close(attempt, result),
        "report": lambda: here.report(attempt, 1, 0.5),
    }
    with pytest.raises(LostClaimError, match=r"^trial 0 was taken for dead and closed$"):
        write[change]()
    assert here.entry(attempt.number).result == DIED
