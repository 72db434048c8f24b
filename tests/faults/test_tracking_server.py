"""A tracking server that is down, slow, hung, killed, or loses replies."""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fashion_hpo.design.plan import Plan
from fashion_hpo.running import mirror
from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.tracking import TAG, Tracker
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ended, ledger_of, wait_until
from tests.faults.servers import Proxy, TrackingServer, Treatment
from tests.plans import design

PLAN = design(seeds=1)
CREATES = ("experiments/create", "runs/create", "logged-models")
CALL_SECONDS = 1  # the longest that a client waits for a reply, here


@pytest.fixture
def proxy(server: TrackingServer) -> Iterator[Proxy]:
    made = Proxy(server.port)
    yield made
    made.close()


def behind(proxy: Proxy, lab: Lab) -> Store:
    return replace(lab.store(), tracking=proxy.uri)


def impatient() -> None:
    child.os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(CALL_SECONDS)


def own(plan: Plan, name: str) -> Plan:
    """The plan as a study, and so an experiment, of its own on the server that all tests share."""
    return replace(plan, name=name)


def check(lab: Lab, proxy: Proxy, store: Store, plan: Plan) -> None:
    """With the server well again, the next start completes everything."""
    proxy.treat = lambda method, path: "pass"
    lab.check(store, plan)
    client = Tracker(store, plan.name).client
    experiment = client.get_experiment_by_name(plan.name)
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 3, "a study run, two trials"
    assert len(client.search_logged_models([experiment.experiment_id])) == 2


@pytest.mark.parametrize("create", CREATES)
def test_a_lost_reply_to_a_create_call_makes_nothing_twice(
    lab: Lab, server: TrackingServer, whole: bool, create: str
) -> None:
    lab.undisturbed(PLAN)
    lab.each((1, 2, 3) if whole else (1,), partial(lost_create, lab, server, create))


def lost_create(lab: Lab, server: TrackingServer, create: str, nth: int) -> None:
    """Lose the reply to the nth call of a kind."""
    proxy, count = Proxy(server.port), 0

    def treat(method: str, path: str) -> Treatment:
        nonlocal count
        count += method == "POST" and path.endswith(create)
        lost = method == "POST" and path.endswith(create) and count == nth
        return "lose the reply" if lost else "pass"

    plan = own(PLAN, f"lost_{create.replace('/', '_').replace('-', '_')}_{nth}")
    store = behind(proxy, lab)
    proxy.treat = treat
    assert lab.run(store, plan) == 0
    lab.inject(f"lost reply to {create}", int(count >= nth))
    check(lab, proxy, store, plan)
    proxy.close()


def test_every_lost_reply_of_a_study(
    lab: Lab, proxy: Proxy, server: TrackingServer, whole: bool
) -> None:
    """To any call at all, one after the other: none repeats or loses anything."""
    plan = own(PLAN, "lost_count")
    assert lab.run(behind(proxy, lab), plan) == 0
    calls = len(proxy.seen)

    def try_out(nth: int) -> None:
        plan, between = own(PLAN, f"lost_{nth}"), Proxy(server.port)

        def treat(method: str, path: str) -> Treatment:
            return "lose the reply" if len(between.seen) == nth else "pass"

        between.treat = treat
        store = behind(between, lab)
        assert lab.run(store, plan) == 0
        lab.inject("lost reply to any call")
        check(lab, between, store, plan)
        between.close()

    lab.undisturbed(PLAN)
    lab.each(range(calls) if whole else (calls // 2,), try_out)


@pytest.mark.parametrize("create", ["registered-models/create", "model-versions/create"])
def test_a_lost_reply_while_registering_makes_one_version(
    lab: Lab, proxy: Proxy, create: str
) -> None:
    plan = own(PLAN, f"registered_{create.replace('/', '_').replace('-', '_')}")
    store, lost = behind(proxy, lab), 0
    assert lab.run(store, plan) == 0

    def treat(method: str, path: str) -> Treatment:
        nonlocal lost
        if lost or not path.endswith(create):
            return "pass"
        lost = 1
        return "lose the reply"

    proxy.treat = treat
    assert ended(lab.process(child.register, store, plan)) != 0
    lab.inject(f"lost reply to {create}")
    assert ended(lab.process(child.register, store, plan)) == 0
    check(lab, proxy, store, plan)
    assert versions(store, plan) == 1


def versions(store: Store, plan: Plan) -> int:
    """Versions of the registered model that came from this plan's trials."""
    tracker = Tracker(store, plan.name)
    uids = {entry.attempt.uid for entry in ledger_of(store, plan).entries()}
    found = tracker.client.search_model_versions(f"name = '{registry.REGISTERED_NAME}'")
    return sum(version.tags[f"{TAG}.uid"] in uids for version in found)


@pytest.mark.parametrize("treatment", ["refuse", "hang"])
def test_a_server_away_from_the_start_costs_no_trial_and_little_time(
    lab: Lab, proxy: Proxy, treatment: Treatment
) -> None:
    plan, store = own(PLAN, f"away_{treatment}"), behind(proxy, lab)
    proxy.treat = lambda method, path: treatment
    began = time.monotonic()
    assert lab.run(store, plan, impatient) == 0
    took = time.monotonic() - began
    lab.inject(f"a server that does not answer ({treatment})")
    ledger = ledger_of(store, plan)
    assert ledger.remaining() == 0, "all trials are done"
    assert len(list((store.root / "trials").iterdir())) == 2, "their files wait for the server"
    calls_that_wait = 2 * len(ledger.entries()) + 4
    assert took < 20 + calls_that_wait * 2 * CALL_SECONDS
    check(lab, proxy, store, plan)


def test_a_slow_server_is_waited_for_within_the_bound(lab: Lab, proxy: Proxy) -> None:
    plan, store = own(PLAN, "slow"), behind(proxy, lab)
    proxy.slow_seconds = 0.1
    proxy.treat = lambda method, path: "slow"
    began = time.monotonic()
    assert lab.run(store, plan) == 0
    lab.inject("a slow server")
    bound = mirror.BOUND_SECONDS + mirror.COMPLETION_SECONDS
    assert time.monotonic() - began < 20 + 2 * bound
    check(lab, proxy, store, plan)


@pytest.mark.parametrize("write", ["params logged", "epoch reported", "model created"])
def test_a_server_killed_in_a_trial(
    lab: Lab, proxy: Proxy, server: TrackingServer, tmp_path: Path, write: str
) -> None:
    plan, store = own(PLAN, f"killed_at_{write.replace(' ', '_')}"), behind(proxy, lab)
    reached = tmp_path / "reached"
    worker = lab.start(store, plan, partial(child.marked_at, Moment(write), reached))
    wait_until(reached.exists)
    server.stop()
    lab.inject("a server killed in a trial")
    reached.with_suffix(".go").touch()
    assert ended(worker) == 0
    assert ledger_of(store, plan).remaining() == 0
    server.start()
    check(lab, proxy, store, plan)


def test_a_server_that_hangs_in_a_trial(
    lab: Lab, proxy: Proxy, server: TrackingServer, tmp_path: Path
) -> None:
    plan, store = own(PLAN, "stopped"), behind(proxy, lab)
    reached = tmp_path / "reached"

    worker = lab.start(store, plan, partial(hurried_to, Moment("epochs logged"), reached))
    wait_until(reached.exists)
    server.send(signal.SIGSTOP)
    lab.inject("a server hung in a trial")
    reached.with_suffix(".go").touch()
    assert ended(worker) == 0
    assert ledger_of(store, plan).remaining() == 0
    server.send(signal.SIGCONT)
    check(lab, proxy, store, plan)


def hurried_to(moment: Moment, path: Path) -> None:
    impatient()
    child.marked_at(moment, path)
