"""Sentences on ledgers whose truth is known: what is said, in numbers and reasons, is so."""

import json
import math
import re
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.checks.every import check
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import compare
from fashion_hpo.analysis.statistics.verdicts import QUICK, judge
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.plan import Plan, confirmation_plan
from fashion_hpo.reporting.figures.comparisons import paired_differences
from fashion_hpo.reporting.figures.final_values import final_value
from fashion_hpo.reporting.page import page
from fashion_hpo.reporting.page.finalists import finalists_table
from fashion_hpo.reporting.page.tables import levels_table
from fashion_hpo.terminal.study_lines import plan_lines
from tests import plans
from tests.analysis.made import Table, claim, measured, records
from tests.reporting import studies

NO_EFFECT: Table = {0.0: [0.900, 0.910, 0.905], 0.5: [0.908, 0.901, 0.906]}
CLEAR: Table = {0.0: [0.800, 0.812, 0.806], 0.5: [0.900, 0.911, 0.907]}
AT_MARGIN: Table = {0.0: [0.9, 0.9, 0.9], 0.5: [0.9, 0.88, 0.92]}
SOON: Table = {0.0: [0.900, 0.910, 0.905], 0.5: [0.905, 0.913, 0.918]}
ONE_SEED: Table = {0.0: [0.8], 0.5: [0.9]}
TWO_SEEDS: Table = {0.0: [0.80, 0.82], 0.5: [0.85, 0.86]}
TABLES = {
    "no effect": NO_EFFECT, "clear effect": CLEAR, "at the margin": AT_MARGIN, "soon": SOON,
    "one seed": ONE_SEED, "two seeds": TWO_SEEDS,
}  # fmt: skip
MEASURED = re.compile(
    r"([+-]\d+\.\d+) points \((?:95 % interval )?(-?\d+\.\d+)(?: points)? to (-?\d+\.\d+)"
)
UNKNOWN = ("would decide", "would not decide", "would be needed")


def ledger(table: Table, budget: str = "standard") -> Records:
    asked = claim(measure="value", direction="higher")
    return measured(table, asked, column="value", budget=budget)


def verdict_sentences(made: Records) -> list[str]:
    """What compares levels, in every place that does."""
    return [
        *(each.sentence for each in judge(made)),
        *(each.sentence for each in compare(made)),
        *answer(made),
    ]


def words_of(made: Records) -> str:
    """Everything that the page and the terminal say, without markup."""
    told = page.render(made, judge(made), answer(made), extras=page.Extras(checks=check(made)))
    body = re.sub(r"<script.*?</script>|<style.*?</style>", " ", told, flags=re.S)
    return " ".join([unescape(re.sub(r"<[^>]+>", " ", body)), *answer(made)])


def differences(table: Table) -> np.ndarray:
    return 100 * (np.array(table[0.5]) - np.array(table[0.0]))


def half_width(values: np.ndarray, seeds: int, confidence: float = 0.95) -> float:
    """Student's, were there so many seeds of the same spread; written apart from the code."""
    return float(t.ppf(0.5 + confidence / 2, seeds - 1) * values.std(ddof=1) / math.sqrt(seeds))


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("budget", ["quick", "standard"])
@pytest.mark.parametrize("name", TABLES)
def test_every_interval_is_students_over_the_seeds_that_are_paired(
    name: str, budget: str, shuffled: bool
) -> None:
    made = ledger(TABLES[name], budget)
    if shuffled:
        made = replace(made, trials=made.trials.sample(frac=1, random_state=1))
    values = differences(TABLES[name])
    told = [match for each in verdict_sentences(made) for match in MEASURED.findall(each)]
    if len(values) < 2:
        assert told == []
        return
    half = half_width(values, len(values))
    assert told
    for numbers in told:
        expected = [values.mean(), values.mean() - half, values.mean() + half]
        assert [float(each) for each in numbers] == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("name", TABLES)
def test_the_quick_budget_says_why_it_decides_nothing_and_nothing_of_more_seeds(name: str) -> None:
    made = ledger(TABLES[name], "quick")
    told = verdict_sentences(made)
    assert not [each for each in told if any(words in each for words in UNKNOWN)]
    for each in (*judge(made), *compare(made)):
        assert each.word == "undecided"
        assert QUICK in each.sentence or len(TABLES[name][0.0]) < 2


def test_several_quick_comparisons_in_one_line_say_why() -> None:
    table: Table = {0.0: [0.90, 0.91], 0.25: [0.95, 0.96], 0.5: [0.80, 0.81]}
    first, *_ = answer(measured(table, column="value", budget="quick"))
    assert first == (
        "By validation accuracy against dropout 0, undecided: dropout 0.25, dropout 0.5; "
        "the quick budget is no evidence."
    )


def decided(values: np.ndarray, seeds: int, margins: tuple[float, ...]) -> bool:
    """Whether so many seeds would set the mean apart from 0, or within the margins."""
    half = half_width(values, seeds)
    size = abs(values.mean())
    return half < size or any(size + half < margin for margin in margins)


@pytest.mark.parametrize("name", TABLES)
def test_more_seeds_are_named_where_so_many_decide_and_fewer_do_not(name: str) -> None:
    made, values = ledger(TABLES[name]), differences(TABLES[name])
    told = [(each, ()) for each in judge(made)] + [(each, (0.5,)) for each in compare(made)]
    for verdict, margins in told:
        sentence = verdict.sentence
        if (more := re.search(r"about (\d+) more seeds? would decide", sentence)) is not None:
            total = len(values) + int(more[1])
            assert verdict.word == "undecided"
            assert decided(values, total, margins)
            assert not decided(values, total - 1, margins)
        elif "1,000 seeds would not decide" in sentence:
            assert verdict.word == "undecided"
            assert not any(decided(values, seeds, margins) for seeds in range(2, 1001))
        elif len(values) > 1:
            assert verdict.word != "undecided"


def test_the_known_truths_are_met_by_some_table() -> None:
    """The test above looks at each kind of sentence."""
    told = " ".join(each for table in TABLES.values() for each in verdict_sentences(ledger(table)))
    for words in ("about ", "1,000 seeds would not decide", "better", "T.a is reproduced"):
        assert words in told


def test_one_seed_has_no_mean_no_interval_and_no_verdict() -> None:
    told = words_of(studies.design(seeds=1))
    assert "mean and 95 % interval" not in told
    assert "Best mean" not in told
    assert "Best single validation accuracy" in told
    assert "reproduced" not in told


def curves(gains: list[float]) -> Records:
    """A design whose trials end with these changes of accuracy, after ten epochs at 0.8."""
    rows = [
        {
            "trial": number, "outcome": "complete", "value": 0.8 + gain, "dropout": level,
            "seed_index": seed, "epochs_done": 10,
        }
        for number, (level, seed, gain) in enumerate(
            (level, seed, gain) for level in (0.0, 0.5) for seed, gain in enumerate(gains)
        )
    ]  # fmt: skip
    epochs = [
        {"trial": row["trial"], "epoch": epoch, "val_accuracy": 0.8 if epoch < 10 else row["value"]}
        for row in rows
        for epoch in range(1, 11)
    ]
    return replace(records(ledger(CLEAR).plan, rows), epochs=pd.DataFrame(epochs))


@pytest.mark.parametrize(
    ("gains", "level", "words"),
    [
        ([0.02, 0.021, 0.022], "warning", "changed by +2.10 points in 1 epoch (mean of 6 trials)."),
        ([0.03, -0.01, 0.002], "ok", ", no more than chance (95 % interval -1.1"),
        ([0.001, 0.0011, 0.0012], "ok", ", at most 1 % of the error that was left."),
        ([-0.01, -0.011, -0.012], "ok", ": it no longer rises."),
    ],
)
def test_a_rise_that_is_ok_says_why(gains: list[float], level: str, words: str) -> None:
    (found,) = [each for each in check(curves(gains)) if each.name == "still_improving"]
    assert found.level == level
    assert words in found.sentence


REASON = re.compile(r"\b0 of |: fewer than|: less than|no longer|no more than|at most|leads")


@pytest.mark.parametrize("parted", [0, 1, 2])
@pytest.mark.parametrize("lost", [0, 1])
def test_an_ok_check_that_has_seen_something_says_why_it_is_ok(parted: int, lost: int) -> None:
    rows: list[dict[str, Any]] = [
        {
            "trial": seed, "outcome": "complete", "value": 0.9, "dropout": 0.5, "seed_index": seed,
            "epochs_done": 10, "parting_epoch": 3.0 if seed < parted else 11.0,
        }
        for seed in range(20)
    ]  # fmt: skip
    rows += [{**rows[0], "trial": 20, "outcome": "diverged", "value": None}] * lost
    for each in check(records(ledger(CLEAR).plan, rows)):
        if each.level == "ok" and each.name in ("over_fitting", "diverged", "still_improving"):
            assert REASON.search(each.sentence), each.sentence


def test_a_best_value_at_the_end_of_all_that_is_allowed_is_not_said_to_lie_inside() -> None:
    made = studies.search()  # its best has dropout 0, the least there is
    (found,) = [each for each in check(made) if each.name == "boundary"]
    assert made.trials["dropout"][made.trials["value"].astype(float).idxmax()] == 0
    assert "lie inside" not in found.sentence


SEARCHED = [{"dropout": 0.1 * i, "learning_rate": 0.01, "batch_size": 50} for i in range(12)]


def searched(plan: Plan, count: int, winner: int = 0) -> Records:
    """So many complete trials, trial `winner` the best, its base's own values those of trial 0."""
    rows = [
        {
            "trial": number, "outcome": "complete", "seed_index": 0, **values,
            "value": 0.95 if number == winner else 0.9 - 0.01 * number,
        }
        for number, values in enumerate(SEARCHED[:count])
    ]  # fmt: skip
    return records(plan, rows)


def confirmed(made: Records, winner: int, count: int = 2) -> Records:
    """With `count` finalists on two fresh seeds, the given trial the best of them."""
    rows = [
        {
            "trial": 2 * number + seed, "outcome": "complete", "seed_index": seed + 1,
            **SEARCHED[number], "value": 0.96 + 0.001 * seed if number == winner else 0.9,
        }
        for number in range(count)
        for seed in range(2)
    ]  # fmt: skip
    chosen = Confirmation(of="tiny", uid="uid", finalists=tuple(SEARCHED[:count]))
    return replace(made, confirmation=records(confirmation_plan(made.plan, chosen, 2), rows))


def search_plan(trials: int, sampler: str = "tpe", **options: Any) -> Plan:
    base = plans.TINY.replace(dropout=0.0)
    return plans.search(trials=trials, sampler=sampler, base=base, pruner="none", **options)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "quasi_random"])
@pytest.mark.parametrize("defaults", [False, True])
@pytest.mark.parametrize("trials", [1, 5, 10, 11, 30])
def test_a_plan_says_how_many_trials_are_random_for_want_of_results(
    trials: int, defaults: bool, sampler: str
) -> None:
    _, line = plan_lines(search_plan(trials, sampler, defaults=defaults))
    assert (", the first with the base config's own values" in line) == defaults
    random = min(trials, 10) - defaults
    if sampler in ("random", "quasi_random") or not random:
        assert "start-up" not in line
        return
    least = "at least " if trials > 10 else ""
    verb = "trials are random start-up trials" if trials > 1 else "trial is a random start-up trial"
    ended = "complete" if sampler == "gp" else "complete or pruned"
    assert (
        f"({least}{random} of {trials} {verb}: {sampler} uses results once 10 are {ended})" in line
    )


@pytest.mark.parametrize("count", [1, 4, 12])
@pytest.mark.parametrize("own", [False, True])
def test_a_search_says_where_chance_or_the_base_config_won(count: int, own: bool) -> None:
    made = searched(search_plan(count, defaults=True), count, winner=0 if own else count - 1)
    fresh = confirmed(made, winner=0 if own else 1)
    for told in (answer(made), answer(fresh) if count > 1 else answer(made)):
        sentences = " ".join(told)
        won = own or count == 1
        assert ("the base config's own values (dropout 0, " in sentences) == won
        if count > 1:
            least = "At least 9" if count > 10 else f"{min(count, 10) - 1}"
            assert f"{least} of {count} trials are random start-up trials: tpe uses" in sentences
        assert ("luckiest of them" in sentences) == (
            told is not fresh and count > 1 and not sentences.startswith("Winner")
        )


def test_a_trial_has_one_number_and_a_bias_its_sign() -> None:
    made = confirmed(searched(search_plan(4), 4, winner=1), winner=1)
    told = " ".join(answer(made))
    assert "It is trial 1, the best of 2 finalists by that mean" in told
    assert not re.search(r"trial \d+ of \d", told)
    lower = re.search(r"on average their scores lie (\d+\.\d+) points (above|below) those", told)
    assert lower is not None
    expected = 100 * np.mean([0.95 - 0.9605, 0.9 - 0.9])
    assert float(lower[1]) == pytest.approx(abs(expected), abs=0.01)
    assert lower[2] == "below"


def test_the_only_finalist_was_not_chosen_among_several() -> None:
    made = confirmed(searched(search_plan(4), 4), winner=0, count=1)
    table = finalists_table(made)
    assert table is not None
    told = " ".join([table.note, *answer(made)])
    assert "too good still" not in told
    assert "best of 1" not in told


def test_a_level_is_written_the_same_everywhere() -> None:
    """Sentences wrote three digits, tables and figures four: 0.1235 was two levels on one page."""
    made = studies.design(values=(0.0, 0.12345))
    told, table = words_of(made), repr(levels_table(made))
    assert len(re.findall(r"dropout 0\.1235 against 0\b", told)) > 1, "a verdict, a comparison"
    assert "dropout 0.1235" in table, "a table"
    figures = json.dumps(
        [paired_differences(made).to_json(), final_value(made, "val_loss").to_json()]
    )
    assert {*re.findall(r"0\.123\d*", told + table + figures)} == {"0.1235"}
