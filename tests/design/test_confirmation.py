from dataclasses import replace
from typing import Any

import pytest

from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.plan import Plan, confirmation_plan, make_plan, make_point, points
from fashion_hpo.design.spec import Budget, StudySpec
from tests.plans import TINY, design, search

FIRST = {"dropout": 0.1, "learning_rate": 0.01, "batch_size": 25}
SECOND = {"dropout": 0.2, "learning_rate": 0.02, "batch_size": 50}
PRUNED = {"dropout": 0.3, "learning_rate": 0.03, "batch_size": 50}


def confirming(seeds: int = 2, **changes: Any) -> Plan:
    values = {"of": "tiny_search/standard/r1", "uid": "its-uid", "finalists": (FIRST, SECOND)}
    return confirmation_plan(search(), Confirmation(**{**values, **changes}), seeds)


def with_sizes(**sizes: int) -> StudySpec:
    wanted = search().spec.search
    assert wanted is not None
    budgets = {"quick": Budget(), "standard": Budget(finalists=1, fresh_seeds=4)}
    return StudySpec(base=TINY, search=replace(wanted, **sizes), budgets=budgets)  # type: ignore[arg-type]


def test_each_finalist_meets_the_same_fresh_seeds_seed_by_seed() -> None:
    made = points(confirming())
    assert [(p.seed_index, p.params) for p in made] == [
        (1, FIRST), (1, SECOND), (2, FIRST), (2, SECOND),
    ]  # fmt: skip
    assert confirming().trials == 4
    searched = {make_point(search(), values, values).config.seed for values in (FIRST, SECOND)}
    assert not searched & {p.config.seed for p in made}, "the search never used them"
    assert len({p.config.seed for p in made}) == 2
    assert {p.config.dropout for p in made} == {0.1, 0.2}


def test_an_audited_point_is_the_searchs_own() -> None:
    *_, last = points(confirming(audited=(PRUNED,)))
    assert last.id == make_point(search(), PRUNED, PRUNED).id
    assert confirming(audited=(PRUNED,)).trials == 5


def test_more_finalists_and_seeds_add_points_and_keep_those_there_were() -> None:
    kept = confirming(finalists=(SECOND,)).extent()
    now = confirming().confirmation
    assert now is not None
    assert now.grown(kept).finalists == (SECOND, FIRST)
    assert now.grown(kept).grown(kept).finalists == (SECOND, FIRST), "again changes nothing"
    before = {p.id for p in points(confirming(finalists=(SECOND,)))}
    assert before < {p.id for p in points(confirming(seeds=3))}


def test_it_is_another_ledger_than_the_searchs_which_stays_as_it_was() -> None:
    identity = confirming().identity()
    assert identity.items() > {"kind": "confirmation", "confirms": "its-uid"}.items()
    assert identity["ranges"] == search().identity()["ranges"]
    for sizes in ({"finalists": 0}, {"fresh_seeds": 9}, {"audit": 4}):
        changed = make_plan("tiny_search", "Which is best?", with_sizes(**sizes), "quick")
        assert changed.identity() == search().identity()
        assert changed.extent() == search().extent()
    assert "confirms" not in search().identity()
    assert set(design().extent()) == {"scientific", "seeds", "nuisance_points", "trials"}


def test_a_budget_has_its_own_number_of_finalists_and_seeds() -> None:
    plan = make_plan("tiny_search", "Which is best?", with_sizes(trials=7, audit=2), "standard")
    assert plan.search is not None
    sizes = (plan.search.finalists, plan.search.fresh_seeds, plan.search.audit, plan.search.trials)
    assert sizes == (1, 4, 2, 7)


@pytest.mark.parametrize(
    ("field", "value", "least"),
    [("finalists", -1, 0), ("fresh_seeds", 0, 1), ("audit", -2, 0), ("finalists", 1.5, 0)],
)
def test_a_number_that_is_none_is_refused(field: str, value: Any, least: int) -> None:
    with pytest.raises(ValueError) as refused:
        with_sizes(**{field: value})
    told = f"search.{field} is {value!r}; allowed is a whole number from {least}."
    assert str(refused.value) == told


def test_a_budget_and_a_call_have_their_own_number_of_pruned_trials_to_resume() -> None:
    spec = with_sizes(resume_pruned=3)
    half = replace(spec, budgets={"standard": Budget(resume_pruned=1), "quick": Budget()})

    def resumed(budget: str, **asked: int) -> tuple[int, Any]:
        plan = make_plan("tiny_search", "Which is best?", half, budget, searching=asked)
        assert plan.search is not None
        assert plan.identity() == search().identity(), "it may grow"
        return plan.search.resume_pruned, plan.extent()["resume_pruned"]

    assert (resumed("quick"), resumed("standard")) == ((3, 3), (1, 1))
    assert resumed("standard", resume_pruned=5) == (5, 5)


def test_a_budget_may_not_leave_out_what_a_pruner_needs() -> None:
    wanted = replace(search().spec, budgets={"quick": Budget(resume_pruned=0)})
    assert wanted.search is not None
    one = replace(wanted, search=replace(wanted.search, pruner="one_epoch", resume_pruned=1))
    with pytest.raises(
        ValueError, match=r"^search\.pruner is 'one_epoch', which prunes every trial"
    ):
        make_plan("tiny_search", "Which is best?", one, "quick")


def test_a_design_has_no_finalists() -> None:
    with pytest.raises(ValueError) as refused:
        design(budgets={"standard": Budget(finalists=2)})
    told = "budgets['standard'].finalists is 2, but the study is not a search; give seeds or levels"
    assert str(refused.value).startswith(told)
