"""Every level against the base's own."""

import numpy as np
import pandas as pd
import pytest

from fashion_hpo.analysis.intervals import Estimate
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import Comparison, compare, in_one_line, judge_all
from tests.analysis.made import Table, factorial, measured, records

TABLE: Table = {
    0.0: [0.900, 0.902, 0.901, 0.900],
    0.25: [0.920, 0.923, 0.921, 0.921],
    0.5: [0.9002, 0.9019, 0.9012, 0.8999],
}


def compared(made: Records, **options: float) -> list[tuple[object, str]]:
    return [(each.level, each.word) for each in compare(made, **options)]  # type: ignore[arg-type]


def test_each_level_has_a_word() -> None:
    made = measured(TABLE, column="value")
    assert compared(made) == [(0.25, "better"), (0.5, "no difference")]
    first, second = compare(made)
    assert (first.field, first.reference, first.seeds, first.more_seeds) == (
        "dropout",
        0.0,
        4,
        None,
    )
    assert first.sentence == (
        "dropout 0.25 against 0 by validation accuracy: better; +2.05 points (1.96 to 2.14), "
        "4 seeds."
    )
    assert "no difference larger than 0.50 points; +0.00" in second.sentence
    assert in_one_line([first, second]) == (
        "By validation accuracy against dropout 0, better: dropout 0.25; no difference: "
        "dropout 0.5."
    )
    assert in_one_line([first]) == first.sentence


def test_the_chance_of_being_above_counts_the_seeds_won() -> None:
    """Two seeds are above, one below and one tied; the ends are Wilson's equation by hand."""
    table: Table = {0.0: [0.90, 0.90, 0.91, 0.91], 0.5: [0.92, 0.93, 0.90, 0.91]}
    (comparison,) = compare(measured(table, column="value"))
    share, count, z = 2.5 / 4, 4, 1.959964
    assert comparison.chance_above.mean == pytest.approx(share)
    share = 2 / 4  # the interval counts whole seeds
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    assert comparison.chance_above.low == pytest.approx(centre - half, abs=1e-6)
    assert comparison.chance_above.high == pytest.approx(centre + half, abs=1e-6)


def test_the_difference_that_matters_can_be_named() -> None:
    assert compared(measured(TABLE, column="value"), delta=0.0001)[1] == (0.5, "undecided")


def test_a_lower_value_can_be_the_better_one() -> None:
    made = measured(TABLE, column="ece")
    (first, _) = compare(made, "ece")
    assert first.word == "worse"
    assert first.sentence.startswith(
        "dropout 0.25 against 0 by calibration error: worse; +0.02050 ("
    )


def test_noise_decides_nothing_and_says_how_many_seeds_would() -> None:
    noisy: Table = {0.0: [0.90, 0.91, 0.92], 0.5: [0.93, 0.90, 0.95]}
    (found,) = compare(measured(noisy, column="value"))
    assert (found.word, found.more_seeds) == ("undecided", 7)
    assert "undecided, about 7 more seeds would decide; +1.67 points" in found.sentence


def test_the_reference_is_the_bases_own_level() -> None:
    made = factorial(lambda dropout, batch, seed: 0.9 + 0.01 * dropout + 1e-5 * seed * batch)()
    found = compare(made)  # the base has dropout 0 and a batch size that is no level
    assert [(each.field, each.reference, each.level) for each in found] == [
        ("dropout", 0.0, 0.5),
        ("batch_size", 32, 512),
    ]


def test_several_comparisons_ask_for_more() -> None:
    """p = 0.033: enough alone, not enough as the smallest of three."""
    alone = Estimate(np.array([1.0, 2.0, 3.0, 5.0]))
    noise = Estimate(np.array([-1.0, 1.1, -1.0, 1.0]))
    assert judge_all([alone])[0].word == "better"
    judged = judge_all([alone, noise, noise])
    assert [each.word for each in judged] == ["undecided"] * 3
    assert judged[0].corrected == pytest.approx(3 * judged[0].p)


@pytest.mark.parametrize(("delta", "same"), [(0.02, True), (0.01, False)])
def test_no_difference_is_an_interval_within_delta(delta: float, same: bool) -> None:
    estimate = Estimate(np.array([-0.004, 0.005, 0.001]))  # within 0.0119 of 0
    assert (judge_all([estimate], delta=delta)[0].word == "no difference") is same


def test_the_quick_budget_is_no_evidence() -> None:
    found = compare(measured(TABLE, column="value", budget="quick"))
    assert {each.word for each in found} == {"undecided"}
    assert ": undecided, the quick budget is no evidence; +2.05 points" in found[0].sentence


def test_what_cannot_be_compared_is_left_out() -> None:
    assert compare(measured({0.0: [0.9], 0.5: [0.8]}, column="value")) == []
    empty = measured(TABLE, column="value")
    assert compare(records(empty.plan, [])) == []


def test_a_long_list_is_cut() -> None:
    one = compare(measured(TABLE, column="value"))[0]
    many: list[Comparison] = [one] * 8
    assert in_one_line(many).endswith("dropout 0.25 and 3 more.")


def test_nuisance_values_that_are_chosen_unsteadily_widen_the_interval() -> None:
    made = measured(TABLE, column="value")
    narrow = compare(made)[0].interval
    trials = made.trials.assign(weight=1.0, disagreement=0.25)
    wide = compare(Records(made.plan, "", "", "", trials, pd.DataFrame(), 0))[0].interval
    ratio = (wide.high - wide.low) / (narrow.high - narrow.low)
    assert ratio == pytest.approx(np.sqrt(1 + 1.35 * np.sqrt(0.25)))
