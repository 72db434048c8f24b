from typing import Any

import pytest

from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.constraints import excesses, in_words, is_feasible
from fashion_hpo.design.plan import confirmation_plan
from tests.plans import search

BOUNDS = {"parameters": 1000.0, "ece": 0.05}


@pytest.mark.parametrize(
    ("measured", "feasible"),
    [
        ({"parameters": 1000.0, "ece": 0.05}, True),
        ({"parameters": 1001.0, "ece": 0.01}, False),
        ({"parameters": 10.0, "ece": 0.06}, False),
        ({"parameters": 10.0}, False),
    ],
)
def test_every_bound_is_to_be_kept_and_known_to_be(
    measured: dict[str, float], feasible: bool
) -> None:
    assert is_feasible(BOUNDS, measured) is feasible
    assert is_feasible({}, measured)


def test_an_excess_is_a_share_of_its_bound() -> None:
    assert excesses(BOUNDS, {"parameters": 1500.0}) == {"parameters": 0.5, "ece": 1.0}
    assert excesses({"generalization_gap": 0.0}, {"generalization_gap": 0.2}) == {
        "generalization_gap": 0.2
    }
    assert in_words(BOUNDS) == "parameters at most 1,000, calibration error at most 0.05"


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (
            {"val_accuracy": 0.9},
            "search.constraints is 'val_accuracy'; choose one of parameters, flops, latency, ece, "
            "brier_score, generalization_gap.",
        ),
        ({"ece": True}, "search.constraints['ece'] is True; allowed is a finite number, the upper"),
        ({"ece": float("nan")}, "search.constraints['ece'] is nan; allowed is a finite number"),
        (["ece"], "search.constraints is ['ece']; allowed is a dict."),
    ],
)
def test_a_bound_that_is_none_is_refused(bounds: Any, words: str) -> None:
    with pytest.raises(ValueError) as refused:
        search(constraints=bounds)
    assert str(refused.value).startswith(words)


def test_they_are_part_of_the_question_also_of_what_confirms_it() -> None:
    plan = search(constraints={"parameters": 1000, "ece": 0.05})
    assert plan.identity()["constraints"] == BOUNDS
    chosen = Confirmation(of="tiny_search/standard/r1", uid="uid", finalists=())
    assert confirmation_plan(plan, chosen, 1).constraints == BOUNDS
    assert search(constraints={"latency": 5}).measured == {"latency"}
    assert "constraints" not in search().identity()
