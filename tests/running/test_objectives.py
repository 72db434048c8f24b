"""A search with several objectives, from trial to tag."""

import pytest

from fashion_hpo.integrity.invariants import examine
from fashion_hpo.registering.registration import candidate
from fashion_hpo.running.confirmation import open_confirmation
from fashion_hpo.running.publish import publish
from fashion_hpo.running.session import check_architectures
from fashion_hpo.running.workers import work
from fashion_hpo.stores.layout import Store
from tests.conftest import OpenSession
from tests.plans import TINY, search


def test_its_trials_are_measured_told_and_tagged(open_here: OpenSession, store: Store) -> None:
    objectives = ("val_accuracy", "parameters", "latency")
    session = open_here(search(trials=2, pruner="none", objectives=objectives))
    list(work(session))
    published = publish(session.mirror)
    assert published.mirrored
    assert "on the Pareto front" in published.answer[0]
    assert (published.page.parent / "figures" / "pareto_latency.json").exists()
    words = []
    for entry in session.ledger.entries():
        assert entry.result is not None
        assert 0 < entry.result.summaries["latency"] < 1000
        run = session.tracker.client.get_run(session.tracker.run_of(entry.attempt.uid))
        words.append(run.data.tags["fashion_hpo.pareto"])
    assert set(words) <= {"front", "dominated"}
    assert "front" in words
    assert examine(store, session.ledger, session.tracker) == []


def test_classical_classifiers_have_no_parameters_to_compare() -> None:
    base = TINY.replace(architecture="svm", architecture_options={})
    plan = search(pruner="none", objectives=("val_accuracy", "parameters"), base=base)
    with pytest.raises(ValueError, match="architecture svm has no parameters, which is an"):
        check_architectures(plan)
    with pytest.raises(ValueError, match=r"svm has no latency, which is constrained; leave one"):
        check_architectures(search(constraints={"latency": 5.0}, base=base))
    check_architectures(search(constraints={"ece": 0.1}, base=base))


def test_a_search_none_of_whose_trials_is_feasible_registers_nothing(
    open_here: OpenSession, store: Store
) -> None:
    bounds = {"latency": 1e-6, "ece": 1.0}
    session = open_here(search(trials=2, pruner="none", constraints=bounds, finalists=1))
    list(work(session))
    published = publish(session.mirror)
    assert published.mirrored
    assert published.answer[0].startswith(
        "None of 2 complete trials is feasible (calibration error at most 1, "
    )
    with pytest.raises(
        ValueError,
        match=r"has no feasible trial \(calibration error at most 1, latency of one image",
    ):
        candidate(session.ledger, session.tracker)
    assert open_confirmation(session, device="cpu") is None
    assert examine(store, session.ledger, session.tracker) == []
