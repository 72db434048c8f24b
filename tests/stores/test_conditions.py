"""A field with a condition is searched where it holds, and has its base value elsewhere."""

from collections.abc import Mapping
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.conditions import searched
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.plan import Plan, confirmation_plan, make_plan, points
from fashion_hpo.design.search import Search
from fashion_hpo.design.spec import StudySpec
from fashion_hpo.running.confirmation import finalists
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Attempt
from fashion_hpo.stores.opening import all_ledgers
from tests.plans import BUDGETS, TINY, search
from tests.stores.test_ledger import opened
from tests.stores.test_samplers import run

SPACE = {
    "optimizer": CategoricalDistribution(("adam", "sgd", "adamw")),
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
    "dropout": FloatDistribution(0.1, 0.5),
}
WHEN = {"weight_decay": {"optimizer": "adamw"}, "dropout": {"optimizer": ("adam", "adamw")}}


def conditional(
    sampler: str = "tpe", trials: int = 14, when: Mapping[str, Any] = WHEN, **options: Any
) -> Plan:
    values: dict[str, Any] = {"space": SPACE, "trials": trials, "when": when, "pruner": "none"}
    spec = StudySpec(
        base=TINY, search=Search(sampler=sampler, **values, **options), budgets=BUDGETS
    )
    return make_plan("conditional", "Which go together?", spec, "standard")


def are_right(attempts: list[Attempt]) -> bool:
    """Whether each trial searched what its optimizer has, and kept the base value of the rest."""
    for attempt in attempts:
        optimizer = attempt.config.optimizer
        fields = {"optimizer", "learning_rate"}
        fields |= {"dropout"} if optimizer != "sgd" else set()
        fields |= {"weight_decay"} if optimizer == "adamw" else set()
        assert attempt.params.keys() == fields
        assert optimizer != "sgd" or attempt.config.dropout == TINY.dropout
        assert optimizer == "adamw" or attempt.config.weight_decay == TINY.weight_decay
    return True


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_each_trial_searches_the_fields_of_its_case(store: Store, sampler: str) -> None:
    plan = conditional(sampler)  # beyond the random start
    ledger = opened(store, plan)
    done = run(ledger, 14)
    assert ledger.claim() is None
    assert are_right(done)
    assert {attempt.config.optimizer for attempt in done} == {"adam", "sgd", "adamw"}
    (kept,) = all_ledgers(store)
    assert kept.plan.identity() == plan.identity()
    assert are_right([entry.attempt for entry in kept.entries()])
    assert opened(store, plan).remaining() == 0


def test_points_that_differ_where_nothing_is_searched_are_one(store: Store) -> None:
    space = {"optimizer": CategoricalDistribution(("adam", "sgd")),
             "dropout": CategoricalDistribution((0.1, 0.2, 0.3))}  # fmt: skip
    values: Any = {"space": space, "sampler": "random", "pruner": "none"}
    spec = StudySpec(
        base=TINY,
        search=Search(trials=20, when={"dropout": {"optimizer": "adam"}}, **values),
        budgets=BUDGETS,
    )
    plan = make_plan("conditional", "?", spec, "standard")
    assert len(points(plan)) == 4
    assert opened(store, plan).remaining() == 4


def test_finalists_and_a_warm_start_keep_their_cases(store: Store) -> None:
    ledger = opened(store, conditional("random", 6))
    run(ledger, 6)
    confirmation = Confirmation(of=ledger.name, uid=ledger.uid, finalists=finalists(ledger, 3))
    confirming = opened(store, confirmation_plan(ledger.plan, confirmation, 2))
    assert are_right(run(confirming, 6))
    warm = opened(
        store,
        conditional(
            "tpe",
            4,
            warm_start="conditional",
            warm_points=3,
        ),
        revise=True,
    )
    assert are_right(run(warm, 4))
    assert warm.plan.warm_start is not None
    assert len(warm.plan.warm_start.points) == 3


def test_other_conditions_are_another_spec(store: Store) -> None:
    opened(store, conditional())
    other = {**WHEN, "weight_decay": {"optimizer": "adam"}}
    with pytest.raises(StoreError, match=r"when\.weight_decay\.optimizer"):
        opened(store, conditional(when=other))
    assert "when" not in search().identity(), "as in ledgers of earlier versions"


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"momentum": {"optimizer": "sgd"}}, "has 'momentum', which search.space has not"),
        ({"dropout": {"optimiser": "sgd"}}, "did you mean optimizer?"),
        ({"dropout": {"optimizer": "lion"}}, "allowed are values among 'adam', 'sgd', 'adamw'."),
        ({"dropout": {"optimizer": ()}}, "allowed are values among 'adam', 'sgd', 'adamw'."),
        ({"dropout": {"learning_rate": 0.1}}, "whose range is no CategoricalDistribution"),
        ({"dropout": {"dropout": 0.1}}, "has a condition of its own"),
        ({"dropout": "sgd"}, "search.when['dropout'] is 'sgd'"),
        (["dropout"], "search.when is ['dropout']"),
    ],
)
def test_a_wrong_condition_is_refused_by_name(when: Any, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        conditional(when=when)
    assert words in str(refused.value)


def test_a_sampler_without_conditions_is_refused() -> None:
    with pytest.raises(ValueError, match=r'search\.sampler is "gp", which has none'):
        conditional("gp")


def test_values_of_a_case() -> None:
    when = {"dropout": {"optimizer": ("adam",)}}
    assert searched({"optimizer": "sgd", "dropout": 0.2}, when) == {"optimizer": "sgd"}
    assert searched({"optimizer": "adam", "dropout": 0.2}, when)["dropout"] == 0.2
