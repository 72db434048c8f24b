"""Verdicts while the seeds of a study grow."""

import dataclasses

import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.verdicts import Verdict, judge
from tests.analysis.made import Table, claim, measured

FALL = [0.110, 0.090, 0.095, 0.105, 0.100, 0.102]


def grown(seeds: int, *, planned: int = 3, most: int | None = None, remaining: int = 0) -> Records:
    """A study of so many seeds at dropout 0 and 0.5, the gap 0.1 lower."""
    table: Table = {
        0.0: [0.3] * seeds,
        0.25: [0.3] * seeds,
        0.5: [0.3 - fall for fall in FALL[:seeds]],
    }
    made = measured(table, claim())
    spec = dataclasses.replace(made.plan.spec, seeds=planned, max_seeds=most)
    plan = dataclasses.replace(made.plan, spec=spec, seeds=max(planned, seeds))
    return dataclasses.replace(made, plan=plan, remaining=remaining)


def verdict(records: Records) -> Verdict:
    (found,) = judge(records)
    return found


def test_a_report_before_the_planned_seeds_is_no_look() -> None:
    found = verdict(grown(2, remaining=3))
    assert found.word == "no verdict"
    assert found.sentence.endswith("; no verdict before 3 seeds are complete, and 2 are.")
    assert "95 % interval" in found.sentence
    assert verdict(grown(3)).word == "reproduced"


def test_a_seed_that_lacks_one_point_is_not_complete() -> None:
    records = grown(3)
    less = dataclasses.replace(records, trials=records.trials.iloc[:-1], remaining=1)
    assert verdict(less).word == "no verdict"


def test_seeds_that_were_not_declared_give_intervals_and_no_verdict() -> None:
    found = verdict(grown(4))
    assert found.word == "no verdict"
    assert found.sentence.endswith("4 seeds are complete, and the study declared 3 at most.")
    assert found.ours[0].endswith("4 seeds")


@pytest.mark.parametrize(
    ("seeds", "look", "basis"),
    [(3, "look 1 of 2", "3 seeds"), (4, "look 1 of 2", "3 seeds"), (6, "look 2 of 2", "6 seeds")],
)
def test_between_two_looks_the_last_one_counts(
    seeds: int, look: str, basis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashion_hpo.design.plan.looks", lambda first, most: (first, most))
    found = verdict(grown(seeds, most=6))
    assert f"{basis}, {look}" in found.sentence


def test_a_look_has_a_wider_interval_than_a_study_that_is_looked_at_once() -> None:
    once, first = verdict(grown(3)), verdict(grown(3, most=6))
    assert "(95 % interval -0.124 to -0.072)" in once.sentence
    assert "(96.9 % interval " in first.sentence
    assert "3 seeds, look 1 of 4" in first.sentence
