"""All readers of a ledger agree on its best trial, whatever became of its trials."""

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.records import Records, of_ledger
from fashion_hpo.analysis.statistics.predictions import best_trial
from fashion_hpo.analysis.statistics.selection import finalists as judged_finalists
from fashion_hpo.analysis.statistics.selection import winner as judged_winner
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.plan import Plan, confirmation_plan
from fashion_hpo.registering.winner import winner, without_seed
from fashion_hpo.reporting.page.tables import trials_table
from fashion_hpo.running.confirmation import finalists
from fashion_hpo.stores.attempts import attributes
from fashion_hpo.stores.layout import StoreError
from fashion_hpo.stores.ledger import Ledger, Result
from fashion_hpo.stores.ranking import nothing_ranked, ranked
from fashion_hpo.stores.warm_start import warm_start
from tests.plans import TINY, design, search

OUTCOMES = ("complete", "complete", "complete", "pruned", "diverged", "failed", "died", "none")
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "none": TrialState.RUNNING}
VALUES = (0.1, 0.2, 0.3, 0.7, 0.8)  # few: there are ties, also of means that sum up differently
BOUNDS = {"parameters": 1000.0}
IN_PIECES = {"not_comparable": "batch normalisation over 12 images"}
LEDGERS = 60  # of each kind


class Made:
    """A ledger whose trials came to what a generator draws."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._plan, self._comparable = plan, self._draw.random() > 0.2
        study = optuna.create_study(
            storage=optuna.storages.InMemoryStorage(), study_name="s/standard/r1"
        )
        study.set_user_attr("uid", "abc")
        study.set_user_attr("data_hash", "d" * 64)
        self._study = study

    def add(
        self, config: TrainConfig, outcome: str, *, seed: int = 0, promoted: bool = False
    ) -> None:
        """A trial of this config."""
        params = {name: getattr(config, name) for name in self._plan.ranges}
        kept = attributes(f"point {params}", config, seed, 1, promoted=promoted)
        if outcome != "none":
            kept["result"] = vars(self._result(outcome))
        trial = create_trial(
            state=STATES.get(outcome, TrialState.FAIL),
            value=0.0 if outcome == "complete" else None,
            params=params,
            distributions=dict(self._plan.ranges),
            user_attrs=kept,
        )
        self._study.add_trial(trial)

    def outcome(self) -> str:
        return str(self._draw.choice(OUTCOMES))

    def config(self, **fixed: Any) -> TrainConfig:
        """One of a few: a sampler may propose a point again."""
        drawn = {"dropout": 0.1 * int(self._draw.integers(0, 4)), "learning_rate": 0.01}
        return TINY.replace(**{**drawn, **fixed})

    def ledger(self) -> Ledger:
        return Ledger(self._study, self._study._storage, self._plan)  # type: ignore[arg-type]

    def _result(self, outcome: str) -> Result:
        value = float(self._draw.choice(VALUES)) if outcome in ("complete", "pruned") else None
        alone = self._comparable and self._draw.random() > 0.2
        return Result(
            outcome,
            value,
            history=[{"epoch": 1, "val_accuracy": value, "seconds": 1.0}] if value else [],
            summaries={"parameters": float(self._draw.choice([500, 1500]))},
            hardware={} if alone else IN_PIECES,
            files={"model/data/model.pt2": "0" * 64},
        )


def searched(seed: int) -> Ledger:
    """A search with points proposed twice, and pruned ones that were trained to their end."""
    bounds = BOUNDS if seed % 2 else {}
    made = Made(search(trials=99, constraints=bounds), seed)
    for _ in range(int(made._draw.integers(0, 12))):
        outcome, config = made.outcome(), made.config()
        made.add(config, outcome)
        if outcome == "pruned" and made._draw.random() > 0.5:
            made.add(config, made.outcome(), promoted=True)
    return made.ledger()


def designed(seed: int) -> Ledger:
    made = Made(design(scientific={"dropout": (0.0, 0.1, 0.2, 0.3)}, seeds=3, claims=[]), seed)
    for index in range(3):
        for level in (0.0, 0.1, 0.2, 0.3):
            made.add(made.config(dropout=level, seed=index), made.outcome(), seed=index)
    return made.ledger()


def expected(ledger: Ledger) -> list[int]:
    """By the definition, written out."""
    best = [
        (-entry.result.value, entry.attempt.number)
        for entry in ledger.entries()
        if entry.result is not None and entry.result.outcome == "complete"
        if entry.result.value is not None and "not_comparable" not in entry.result.hardware
        if not ledger.plan.constraints or entry.result.summaries["parameters"] <= 1000
    ]
    return [number for _, number in sorted(best)]


@pytest.mark.parametrize("seed", range(LEDGERS))
def test_all_readers_of_a_search_agree(seed: int) -> None:
    ledger, order = searched(seed), expected(searched(seed))
    entries, bounds, records = ledger.entries(), ledger.plan.constraints, of_ledger(ledger)
    assert [entry.attempt.number for entry in ranked(reversed(entries), bounds)] == order
    assert records.ranked["trial"].tolist() == order if len(records.trials) else not order
    best = ledger.best()
    if not order:
        assert_nothing_is_best(ledger, records)
        return
    assert best is not None
    assert best.attempt.number == best_trial(records) == order[0]
    values = dict(best.attempt.params)
    assert dict(finalists(ledger, 1)[0]) == values
    assert dict(warm_start(search(warm_start="tiny_search"), ledger).points[0]) == values
    told = ", ".join(f"{name} {level_text(values[name])}" for name in records.varied)
    own = all(values[name] == getattr(records.plan.base, name) for name in records.varied)
    told = f"the base config's own values ({told})" if own else told
    assert f"with {told}." in answer(records)[0]
    assert trials_table(records).rows[0][0] == str(order[0])


def assert_nothing_is_best(ledger: Ledger, records: Records) -> None:
    entries, bounds = ledger.entries(), ledger.plan.constraints
    assert (ledger.best(), best_trial(records)) == (None, None)
    assert (finalists(ledger, 9), winner(entries, bounds)) == ((), None)
    lack, _ = nothing_ranked(entries, ledger.plan, ledger.remaining())
    first = answer(records)[0]
    if records.not_comparable and records.complete.empty:
        assert first == f"There is {lack}."
    else:
        assert ("is feasible" in first) == ("no feasible trial" in lack)
        assert ("No trial is complete" in first) == ("no complete trial" in lack)
    with pytest.raises(StoreError, match=lack.partition(" (")[0].partition(":")[0]):
        warm_start(search(warm_start="tiny_search"), ledger)


@pytest.mark.parametrize("seed", range(LEDGERS))
def test_the_report_of_a_design_names_the_level_that_is_registered(seed: int) -> None:
    ledger = designed(seed)
    won, records = winner(ledger.entries()), of_ledger(ledger)
    if won is None:
        assert records.ranked.empty
        return
    level = won.chosen.attempt.config.dropout
    assert f" with dropout {level_text(level)}, " in answer(records)[-1]
    assert f": {won.mean:.2%} " in answer(records)[-1]


@pytest.mark.parametrize("seed", range(LEDGERS))
def test_the_report_of_a_confirmed_search_names_the_config_that_is_registered(seed: int) -> None:
    source = searched(2 * seed)
    chosen = finalists(source, 3)
    if not chosen:
        return
    plan = confirmation_plan(
        source.plan, Confirmation(of="s/standard/r1", uid="abc", finalists=chosen), 2
    )
    made = Made(plan, seed)
    for index in (1, 2):
        for values in chosen:
            made.add(TINY.replace(**values, seed=index), made.outcome(), seed=index)
    theirs = made.ledger()
    records = of_ledger(source, confirmation=theirs)
    assert records.confirmation is not None
    won = winner(theirs.entries())
    found = judged_finalists(records)
    if won is None:
        assert not found
        return
    config = won.chosen.attempt.config
    assert found[0].values == {name: getattr(config, name) for name in records.varied}
    assert found[0].seeds == len(won.trials)
    if not records.confirmation.remaining:
        assert judged_winner(records) == found[0]
    assert {without_seed(entry.attempt) for entry in won.trials} == {
        without_seed(won.chosen.attempt)
    }
