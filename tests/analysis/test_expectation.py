"""What a dry run says of each claim, from earlier results."""

import pytest

from fashion_hpo.analysis.expectation import expectations
from fashion_hpo.design.claims import Claim, Regime
from tests.analysis.made import CLEAR, Table, claim, measured, plan

NOISY: Table = {0.0: [0.30, 0.31, 0.29], 0.5: [0.20, 0.35, 0.31]}
COUNT = claim(measure="parting_epoch", contrast=None, figure="epochs", at={"dropout": 0.5})


@pytest.mark.parametrize(
    ("table", "half", "distance", "said"),
    [
        (CLEAR, "0.0143", "0.0967", "likely to be decided"),
        (NOISY, "0.188", "0.0133", "unlikely to be decided; 127 seeds would"),
    ],
)
def test_the_spread_of_earlier_results_is_held_against_the_margin(
    table: Table, half: str, distance: str, said: str
) -> None:
    (line,) = expectations(plan(claim()), measured(table, claim(), budget="quick"))
    spread = f"half-width about {half} with 3 seeds, and {distance} from the margin"
    assert line == f"T.a: {spread} in earlier results: {said}."


def test_more_seeds_have_a_narrower_interval() -> None:
    (line,) = expectations(plan(claim(), seeds=9), measured(CLEAR, claim()))
    assert "half-width about 0.00444 with 9 seeds" in line


@pytest.mark.parametrize(
    ("wanted", "seeds", "said"),
    [
        (claim(), 3, "no earlier results tell its spread."),
        (COUNT, 5, "cannot be decided: the exact test of a count needs 6 seeds, and 5 are the"),
        (COUNT, 6, "no earlier results tell its spread."),
        (
            claim(regime=Regime(at={"dropout": 0.5}, reaches=0.9, steps=10_000)),
            3,
            "not asked at this budget: the reference is trained for 7,820 optimizer steps, and",
        ),
    ],
)
def test_without_earlier_results_the_plan_alone_tells(wanted: Claim, seeds: int, said: str) -> None:
    (line,) = expectations(plan(wanted, seeds=seeds), None)
    assert line.startswith(f"T.a: {said}")
