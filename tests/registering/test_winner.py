"""Which config wins a ledger, and which of its trials is registered."""

import dataclasses

import pytest

from fashion_hpo.registering.winner import winner
from fashion_hpo.running import workers
from fashion_hpo.stores.ledger import Attempt, Entry, Result
from tests.conftest import OpenSession
from tests.plans import TINY, design

KEPT = {"model/data/model.pt2": "0" * 64}


def entry(number: int, rate: float, seed: int, value: float, **more: object) -> Entry:
    """A complete trial, as the ledger has it."""
    config = TINY.replace(learning_rate=rate, seed=seed)
    attempt = Attempt(number, f"uid-{number:05d}", f"point{number}", config, {}, seed, 1)
    given = {"files": KEPT, **more}
    return Entry(attempt, "COMPLETE", Result("complete", value, **given), None)  # type: ignore[arg-type]


def numbers(*entries: Entry) -> tuple[list[int], int]:
    """The winner's trials and the one that is registered."""
    won = winner(entries)
    assert won is not None
    return [each.attempt.number for each in won.trials], won.chosen.attempt.number


def test_the_best_mean_wins_not_the_luckiest_trial() -> None:
    lucky = [entry(0, 0.1, 0, 0.99), entry(1, 0.1, 1, 0.70), entry(2, 0.1, 2, 0.72)]
    steady = [entry(3, 0.2, 0, 0.86), entry(4, 0.2, 1, 0.88), entry(5, 0.2, 2, 0.87)]
    assert numbers(*lucky, *steady) == ([3, 5, 4], 5)
    won = winner([*lucky, *steady])
    assert won is not None
    assert won.mean == pytest.approx(0.87)
    assert won.configs == 2
    assert won.standing == "trial 5, seed 2, the median of 3"


def test_of_an_even_number_the_lower_median_is_registered() -> None:
    assert numbers(*(entry(i, 0.1, i, value) for i, value in enumerate([0.4, 0.1, 0.3, 0.2]))) == (
        [1, 3, 2, 0], 3
    )  # fmt: skip


def test_fewer_seeds_do_not_compete() -> None:
    assert numbers(entry(0, 0.1, 0, 0.99), entry(1, 0.2, 0, 0.8), entry(2, 0.2, 1, 0.8)) == (
        [1, 2], 1
    )  # fmt: skip


def test_of_equals_the_first_wins() -> None:
    assert numbers(entry(0, 0.1, 0, 0.8), entry(1, 0.2, 0, 0.8)) == ([0], 0)


def test_a_seed_counts_once() -> None:
    """A sampler may propose a point twice, which is no second seed."""
    twice = [entry(0, 0.1, 0, 0.9), entry(1, 0.1, 0, 0.9)]
    assert numbers(*twice, entry(2, 0.2, 0, 0.95)) == ([2], 2)


def test_a_median_without_model_falls_to_the_nearest_with_one() -> None:
    trials = [entry(0, 0.1, 0, 0.7), entry(1, 0.1, 1, 0.8, files={}), entry(2, 0.1, 2, 0.85)]
    won = winner(trials)
    assert won is not None
    assert (won.median.attempt.number, won.chosen.attempt.number) == (1, 2)
    assert "the nearest to the median of 3 whose model was kept (the median, trial 1," in (
        won.standing
    )


def test_a_winner_that_keeps_no_model_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the winner, simple_cnn \(trial 0\), keeps no model; "):
        winner([entry(0, 0.1, 0, 0.7, files={})])


def test_trials_that_memory_made_others_never_count() -> None:
    other = entry(0, 0.1, 0, 0.9, hardware={"not_comparable": "batch normalisation over 32"})
    assert numbers(other, entry(1, 0.2, 0, 0.8)) == ([1], 1)
    assert winner([other]) is None


def test_only_complete_trials_count() -> None:
    whole = entry(0, 0.1, 0, 0.9)
    pruned = dataclasses.replace(whole, state="PRUNED", result=Result("pruned", 0.9))
    assert winner([pruned]) is None
    assert winner([]) is None


def test_a_real_ledger_has_one(open_here: OpenSession) -> None:
    """The nuisance values belong to the config: its seeds are those of one point of them."""
    from optuna.distributions import FloatDistribution

    rates = {"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)}
    plan = design(scientific={"dropout": (0.0,)}, nuisance=rates, nuisance_points=2, claims=[])
    session = open_here(plan)
    list(workers.work(session))
    won = winner(session.ledger.entries())
    assert won is not None
    assert len(won.trials) == 2
    assert won.configs == 2
    (config,) = {each.attempt.config.replace(seed=0).learning_rate for each in won.trials}
    assert 1e-4 <= config <= 1e-2
