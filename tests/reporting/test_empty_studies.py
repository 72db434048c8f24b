"""Answer, verdicts, checks, page and tables of studies that have no result yet, or one alone."""

from collections.abc import Mapping

import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.analysis import answers, records
from fashion_hpo.analysis.checks import every
from fashion_hpo.analysis.statistics import verdicts
from fashion_hpo.design.plan import Plan
from fashion_hpo.reporting.page import page
from fashion_hpo.running.confirmation import plan_of
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import confirmation_of, open_ledger
from tests import plans
from tests.states import STATES

RATES = {"learning_rate": FloatDistribution(1e-3, 1e-1, log=True)}
PLANS: Mapping[str, Plan] = {
    "design": plans.design(),
    "tuned design": plans.design(nuisance=RATES, nuisance_points=2),
    "design of two fields": plans.design(
        scientific={"dropout": (0.0, 0.5), "optimizer": ("adam", "sgd")}, claims=[]
    ),
    "search": plans.search(trials=3),
    "constrained search": plans.search(trials=3, constraints={"parameters": 1}),
    "search of two objectives": plans.search(
        trials=3, pruner="none", objectives=("val_accuracy", "flops")
    ),
}

FEW = ("no trial", "all failed", "one level, others diverged")
CASES = [
    *((kind, state) for kind in ("design", "search") for state in STATES),
    *((kind, state) for kind in list(PLANS)[1:] if kind != "search" for state in FEW),
]


def opened(store: Store, plan: Plan) -> Ledger:
    return open_ledger(store, plan, "synthetic", threads=1)


def written(store: Store, ledger: Ledger) -> str:
    """Everything that a report says of the ledger."""
    of_all = records.of_ledger(ledger, store, confirmation_of(store, ledger))
    answer, judged, checked = answers.answer(of_all), verdicts.judge(of_all), every.check(of_all)
    whole = page.render(of_all, judged, answer, (), page.Extras(checked))
    said = [*answer, *(verdict.sentence for verdict in judged), *(c.sentence for c in checked)]
    assert all(said)
    assert " nan" not in " ".join(said)
    return whole


@pytest.mark.parametrize(("kind", "state"), CASES)
def test_a_study_in_any_state_has_its_page(store: Store, kind: str, state: str) -> None:
    ledger = opened(store, PLANS[kind])
    STATES[state](ledger)
    assert "<h2>How it was made</h2>" in written(store, ledger)


@pytest.mark.parametrize("state", FEW)
def test_a_confirmation_in_any_state_has_its_page(store: Store, state: str) -> None:
    search = opened(store, plans.search(trials=3, pruner="none", finalists=2, fresh_seeds=2))
    STATES["all complete"](search)
    confirming = plan_of(search)
    assert confirming is not None
    STATES[state](opened(store, confirming))
    assert "<h2>How it was made</h2>" in written(store, search)


@pytest.mark.parametrize("kind", PLANS)
def test_frames_without_rows_have_the_columns_of_those_with_rows(store: Store, kind: str) -> None:
    ledger = opened(store, PLANS[kind])
    empty = records.of_ledger(ledger)
    STATES["one trial complete"](ledger)
    filled = records.of_ledger(ledger)
    assert len(empty.trials) == len(empty.epochs) == 0
    summaries = set(ledger.entry(0).result.summaries)  # type: ignore[union-attr]
    assert set(filled.trials) == {*empty.trials, *summaries}
    assert set(filled.epochs) == set(empty.epochs)


RUN = "Run `python -m fashion_hpo.study tiny --budget standard` to get an answer."


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("no trial", ["No trial is complete yet.", RUN]),
        ("one attempt stopped", ["No trial is complete yet.", RUN]),
        ("all failed", ["No trial is complete: 4 failed."]),
        ("all diverged", ["No trial is complete: 4 diverged."]),
        ("all pruned", ["No trial is complete: 4 pruned."]),
    ],
)
def test_a_study_without_a_complete_trial_is_told_what_helps(
    store: Store, state: str, words: list[str]
) -> None:
    """Where every point has its outcome, the same command would train nothing."""
    ledger = opened(store, plans.design())
    STATES[state](ledger)
    answer = answers.answer(records.of_ledger(ledger))
    assert answer[: len(words)] == words
    assert ("--revise" in answer[1]) == state.startswith("all")
