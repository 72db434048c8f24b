"""A value of a varied field brings values of other fields along, in designs and in searches."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fashion_hpo.analysis import records
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.plan import Plan, confirmation_plan, make_plan, points
from fashion_hpo.design.search import Search
from fashion_hpo.design.spec import StudySpec, levels
from fashion_hpo.reporting.page import parts
from fashion_hpo.running.confirmation import finalists
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Attempt
from fashion_hpo.stores.opening import all_ledgers, read_ledger
from tests.plans import BUDGETS, TINY, design, search
from tests.stores.test_ledger import claim_all, finish, opened
from tests.stores.test_samplers import run

SWITCH = {"rotation": {10.0: {"shift": 0.1, "zoom": 0.2}}}
SPACE = {
    "optimizer": CategoricalDistribution(("adam", "sgd")),
    "dropout": FloatDistribution(0.1, 0.5),
}
RATES = {"optimizer": {"sgd": {"learning_rate": 0.05, "momentum": 0.5}}}


def switched(coupled: Any = SWITCH, rotations: tuple[float, ...] = (0.0, 10.0)) -> Plan:
    return design(scientific={"rotation": levels(*rotations)}, claims=[], coupled=coupled)


def searching(coupled: Any = RATES, space: Any = SPACE, **options: Any) -> Plan:
    values: Any = {"space": space, "trials": 12, "pruner": "none", **options}
    spec = StudySpec(base=TINY, search=Search(**values), coupled=coupled, budgets=BUDGETS)
    return make_plan("coupled", "Which go together?", spec, "standard")


def test_a_level_brings_the_values_of_other_fields_along(store: Store) -> None:
    ledger = opened(store, switched())
    done = claim_all(ledger)
    found = {(a.config.rotation, a.config.shift, a.config.zoom) for a in done}
    assert found == {(0.0, 0.0, 0.0), (10.0, 0.1, 0.2)}
    for attempt in done:
        finish(ledger, attempt)
    assert ledger.remaining() == 0
    (stored,) = all_ledgers(store)
    assert {point.id for point in points(stored.plan)} == {attempt.point for attempt in done}
    made = records.of_ledger(stored)
    assert not {"rotation", "shift", "zoom"} & set(parts.fixed(made))
    assert parts.source(made)["coupled"] == "rotation 10: shift 0.1, zoom 0.2"


def test_a_new_level_may_bring_values_along_and_a_trained_one_keeps_its_own(store: Store) -> None:
    opened(store, switched())
    wider = {"rotation": {**SWITCH["rotation"], 20.0: {"shift": 0.3}}}
    grown = opened(store, switched(wider, (0.0, 10.0, 20.0)))
    assert len({point.config.shift for point in points(grown.plan)}) == 3
    for other in ({}, {"rotation": {10.0: {"shift": 0.1}, 20.0: {"shift": 0.3}}}):
        plan = switched(other, (0.0, 10.0, 20.0))
        with pytest.raises(StoreError, match=r"at rotation 10: shift 0\.1, zoom 0\.2 → "):
            opened(store, plan)
        read = read_ledger(store, plan)
        assert read is not None
        assert points(read.plan) == points(grown.plan), "the report shows what was trained"
    assert "coupled" not in design().extent(), "as in ledgers of earlier versions"


def are_right(attempts: list[Attempt]) -> bool:
    for attempt in attempts:
        config, is_sgd = attempt.config, attempt.config.optimizer == "sgd"
        assert config.learning_rate == (0.05 if is_sgd else TINY.learning_rate)
        assert config.momentum == (0.5 if is_sgd else TINY.momentum)
        assert attempt.params.keys() == {"optimizer", "dropout"}
    return {attempt.config.optimizer for attempt in attempts} == {"adam", "sgd"}


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
def test_a_choice_of_a_search_brings_values_along_up_to_the_confirmation(
    store: Store, sampler: str
) -> None:
    ledger = opened(store, searching(sampler=sampler))
    assert are_right(run(ledger, 12))
    plans = [kept.plan for kept in all_ledgers(store)]
    assert [plan.extent() for plan in plans] == [ledger.plan.extent()]
    confirmation = Confirmation(of=ledger.name, uid=ledger.uid, finalists=finalists(ledger, 12))
    assert are_right(run(opened(store, confirmation_plan(plans[0], confirmation, 1)), 12))
    with pytest.raises(StoreError, match=r"values at optimizer sgd: learning_rate 0\.05, "):
        opened(store, searching({}))


@pytest.mark.parametrize(
    ("coupled", "words"),
    [
        ({"flip": {0.5: {"shift": 0.1}}}, "coupled has 'flip', which the study does not vary"),
        ({"rotatoin": {10.0: {}}}, "did you mean rotation?"),
        ({"rotation": {5.0: {}}}, "coupled['rotation'] has 5.0; allowed are values among 0.0, 10"),
        ({"rotation": {10.0: {"seed": 1}}}, "has 'seed', which no study may vary"),
        ({"rotation": {10.0: {"epochs": 9}}}, "has 'epochs', which budgets set"),
        ({"rotation": {10.0: {"shfit": 0.1}}}, "did you mean shift?"),
        ({"rotation": {10.0: {"shift": 3}}}, "shift is 3.0; allowed is 0 (off) to 0.5 of the"),
        ({"rotation": {10.0: {"rotation": 3}}}, "has 'rotation', which the study varies itself"),
        ({"rotation": {10.0: 0.1}}, "coupled['rotation'][10.0] is 0.1; allowed is a dict."),
        ({"rotation": 0.1}, "coupled['rotation'] is 0.1; allowed is a dict."),
        ("rotation", "coupled is 'rotation'; allowed is a dict."),
    ],
)
def test_wrong_coupled_fields_are_refused_by_name(coupled: Any, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        switched(coupled)
    assert words in str(refused.value)


def test_a_range_without_choices_and_two_sources_of_a_value_are_refused() -> None:
    space = {**SPACE, "batch_size": IntDistribution(20, 50)}
    with pytest.raises(ValueError, match="coupled has 'batch_size', whose range is no Categor"):
        searching({"batch_size": {20: {"momentum": 0.5}}}, space)
    space = {**SPACE, "batch_size": CategoricalDistribution((20, 50))}
    with pytest.raises(ValueError, match="both have 'momentum'; couple it with one field"):
        searching({**RATES, "batch_size": {20: {"momentum": 0.1}}}, space)


def test_levels_are_checked_before_what_they_bring_along() -> None:
    with pytest.raises(ValueError, match=r"scientific\['rotation'\] is 10\.0; write levels"):
        design(scientific={"rotation": 10.0}, claims=[], coupled=SWITCH)


def test_set_cannot_change_a_coupled_field() -> None:
    spec = switched().spec
    with pytest.raises(ValueError, match="varies shift; --set cannot set it"):
        make_plan("tiny", "?", spec, "standard", changes={"shift": 0.4})
    assert "coupled" not in search().extent()
