"""Hand-made records: each level has one value a seed."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.verdicts import answer, judge, level_column
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.spec import Budget, Claim, Level, Search, StudySpec, levels

Table = Mapping[Level, Sequence[float]]
CLEAR: Table = {0.0: [0.30, 0.31, 0.29], 0.5: [0.20, 0.22, 0.19]}  # lower by 0.097 +- 0.014
NOISY: Table = {0.0: [0.30, 0.31, 0.29], 0.5: [0.20, 0.35, 0.31]}


def claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": "T.a",
        "text": "Dropout narrows the gap.",
        "measure": "generalization_gap",
        "contrast": ("dropout", 0.0, 0.5),
        "direction": "lower",
    }
    return Claim(**{**values, **changes})


def plan(*claims: Claim, budget: str = "standard", field: str = "dropout") -> Plan:
    scientific = {
        "dropout": levels(0.0, 0.25, 0.5),
        "architecture": levels("cnn", "simple_cnn"),
    }
    spec = StudySpec(
        base=TrainConfig(),
        scientific={field: scientific[field]},
        claims=claims,
        budgets={"quick": Budget(), "standard": Budget()},
    )
    return make_plan("tiny", "Does it?", spec, budget)


def records(of: Plan, rows: Sequence[Mapping[str, Any]]) -> Records:
    table = pd.DataFrame(rows, columns=None if rows else ["trial", "outcome", "value"])
    return Records(of, "tiny/standard/r1", "uid", "hash", table, pd.DataFrame(), remaining=0)


def measured(
    table: Table, *claims: Claim, column: str = "generalization_gap", budget: str = "standard"
) -> Records:
    """Complete trials that differ in one column, for dropout's levels."""
    rows = [
        {"outcome": "complete", "value": 0.9, "dropout": level, "seed_index": seed, column: value}
        for level, values in table.items()
        for seed, value in enumerate(values)
    ]
    return records(plan(*claims, budget=budget), rows)


def verdict(table: Table, **changes: Any) -> tuple[str, str]:
    (found,) = judge(measured(table, claim(**changes)))
    assert (found.claim_id, found.text) == ("T.a", "Dropout narrows the gap.")
    return found.word, found.sentence


def test_a_clear_effect_is_reproduced_and_its_figures_are_named() -> None:
    word, sentence = verdict(CLEAR)
    assert word == "reproduced"
    assert sentence == (
        "generalization_gap with dropout 0.5 against 0: -0.0967 (95 % interval -0.111 to "
        "-0.0823), 3 seeds; claimed lower by 0."
    )


@pytest.mark.parametrize(
    ("margin", "word"),
    [(0.0, "reproduced"), (0.08, "reproduced"), (0.1, "undecided"), (0.12, "not reproduced")],
)
def test_the_interval_must_clear_the_margin(margin: float, word: str) -> None:
    assert verdict(CLEAR, margin=margin)[0] == word
    rising: Table = {0.0: CLEAR[0.5], 0.5: CLEAR[0.0]}
    assert verdict(rising, direction="higher", margin=margin)[0] == word


def test_an_effect_the_other_way_is_not_reproduced() -> None:
    word, sentence = verdict(CLEAR, direction="higher")
    assert word == "not reproduced"
    assert "-0.0967 (95 % interval -0.111 to -0.0823)" in sentence
    assert sentence.endswith("claimed higher by 0.")
    assert verdict(CLEAR, contrast=("dropout", 0.5, 0.0))[0] == "not reproduced"


def test_a_noisy_effect_is_undecided_and_says_how_many_seeds_would_do() -> None:
    word, sentence = verdict(NOISY)
    assert word == "undecided"
    assert sentence.endswith("3 seeds; claimed lower by 0; about 124 more seeds would decide.")
    assert verdict(NOISY, direction="higher")[0] == "undecided"


def test_an_effect_at_the_margin_would_need_too_many_seeds() -> None:
    word, sentence = verdict({0.0: [0.3, 0.3, 0.3], 0.5: [0.3, 0.2, 0.4]})
    assert word == "undecided"
    assert sentence.endswith("; more than a thousand seeds would be needed.")


@pytest.mark.parametrize(("count", "seeds"), [(0, "0 seeds"), (1, "1 seed")])
def test_fewer_than_two_seeds_decide_nothing(count: int, seeds: str) -> None:
    word, sentence = verdict({0.0: [0.3, 0.31, 0.29], 0.5: [0.1] * count})
    assert word == "undecided"
    assert sentence.endswith(f"against 0: {seeds} with both levels; two are the least.")


def test_the_quick_budget_decides_nothing() -> None:
    (found,) = judge(measured(CLEAR, claim(), budget="quick"))
    assert found.word == "undecided"
    assert "-0.0967" in found.sentence
    assert found.sentence.endswith("the quick budget is no evidence.")


def test_without_trials_or_the_measure_a_claim_is_undecided() -> None:
    for made in (records(plan(claim()), []), measured(CLEAR, claim(), column="ece")):
        (found,) = judge(made)
        assert found.word == "undecided"
        assert found.sentence == "no trial has this measure yet."


def test_only_complete_trials_count() -> None:
    made = measured(CLEAR, claim())
    assert judge(made)[0].word == "reproduced"
    made.trials.loc[made.trials["dropout"] == 0.5, "outcome"] = "diverged"
    assert judge(made)[0].word == "undecided"


def test_each_claim_has_a_verdict_in_the_studys_order() -> None:
    made = measured(CLEAR, claim(id="T.b", direction="higher"), claim())
    assert [(v.claim_id, v.word) for v in judge(made)] == [
        ("T.b", "not reproduced"),
        ("T.a", "reproduced"),
    ]
    assert judge(measured(CLEAR)) == []


@pytest.mark.parametrize("measure", ["val_accuracy", "train_eval_accuracy"])
def test_shares_are_shown_in_points_and_curves_taken_at_the_last_epoch(measure: str) -> None:
    rising: Table = {0.0: [0.900, 0.902, 0.901], 0.5: [0.910, 0.913, 0.911]}
    wanted = claim(measure=measure, direction="higher", margin=0.005)
    (found,) = judge(measured(rising, wanted, column=f"last_{measure}"))
    assert found.word == "reproduced"
    assert found.sentence == (
        f"{measure} with dropout 0.5 against 0: +1.03 points (95 % interval 0.89 points to "
        "1.18 points), 3 seeds; claimed higher by 0.50 points."
    )


def test_summaries_have_columns_of_their_own_name() -> None:
    assert level_column("val_loss") == "last_val_loss"
    assert level_column("train_eval_loss") == "last_train_eval_loss"
    for name in ("roughness", "best_val_accuracy", "ece"):
        assert level_column(name) == name


def test_the_answer_is_the_first_claims_verdict_and_the_best_level() -> None:
    made = measured(CLEAR, claim(), claim(id="T.b", direction="higher"))
    made.trials["value"] = [0.90, 0.91, 0.92, 0.93, 0.95, 0.94]
    first, second = answer(made)
    assert first == f"T.a is reproduced: {judge(made)[0].sentence}"
    assert second == (
        "Best mean validation accuracy: 94.00% (95 % interval 91.52% to 96.48%) with dropout 0.5, "
        "3 seeds."
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0.90, 0.91, 0.90], [0.94, 0.95, 0.94]], "is better than"),
        ([[0.90, 0.94, 0.92], [0.94, 0.91, 0.93]], "cannot be told from"),
    ],
)
def test_without_claims_the_best_level_is_compared_with_the_worst(
    values: list[list[float]], words: str
) -> None:
    table: Table = {0.0: values[0], 0.25: [0.92, 0.93, 0.925], 0.5: values[1]}
    first, second = answer(measured(table, column="value"))
    assert first.startswith(f"dropout 0.5 {words} 0 by validation accuracy: +")
    assert "points (95 % interval" in first
    assert first.endswith("points), 3 seeds.")
    assert second.startswith("Best mean validation accuracy: 9")


def test_nuisance_points_do_not_count_as_seeds() -> None:
    made = measured({0.0: [0.8, 0.9], 0.5: [0.7, 0.8]}, column="value")
    doubled = pd.concat([made.trials, made.trials.assign(value=made.trials["value"] - 0.01)])
    rows: list[Any] = doubled.to_dict("records")
    _, second = answer(records(made.plan, rows))
    assert second.startswith("Best mean validation accuracy: 84.50% (95 % interval 20.97% to ")
    assert second.endswith("2 seeds.")


def test_one_seed_cannot_tell_levels_apart() -> None:
    first, second = answer(measured({0.0: [0.9], 0.5: [0.95]}, column="value"))
    assert first == "One seed alone cannot tell the levels of dropout apart."
    assert second == "Best mean validation accuracy: 95.00% with dropout 0.5, 1 seed."


def test_one_level_is_not_compared_with_itself() -> None:
    first, _ = answer(measured({0.5: [0.9, 0.91]}, column="value"))
    assert first == "Only dropout 0.5 has complete trials yet: nothing to compare."


def test_levels_may_be_words() -> None:
    rows = [
        {"outcome": "complete", "value": value, "architecture": name, "seed_index": seed}
        for name, values in {"cnn": [0.91, 0.92], "simple_cnn": [0.81, 0.82]}.items()
        for seed, value in enumerate(values)
    ]
    first, second = answer(records(plan(field="architecture"), rows))
    assert first.startswith("architecture cnn is better than simple_cnn by validation accuracy")
    assert "with architecture cnn, 2 seeds." in second


@pytest.mark.parametrize("rows", [[], [{"trial": 0, "outcome": "failed", "value": None}]])
def test_without_a_complete_trial_there_is_no_answer(rows: list[dict[str, Any]]) -> None:
    assert answer(records(plan(claim()), rows)) == [
        "No trial is complete yet.",
        "Run the study to get an answer.",
    ]


def test_a_searchs_answer_is_its_best_trial_with_a_warning() -> None:
    space = {
        "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
        "batch_size": CategoricalDistribution([64, 128]),
    }
    spec = StudySpec(
        base=TrainConfig(), search=Search(space=space, trials=3), budgets={"standard": Budget()}
    )
    rows = [
        ("complete", 0.91, 0.0012345, 64),
        ("complete", 0.93, 0.0054321, 128),
        ("pruned", 0.99, 0.05, 64),
        ("diverged", None, 0.09, 64),
    ]
    columns = ("outcome", "value", "learning_rate", "batch_size")
    made = make_plan("tiny", "Which?", spec, "standard")
    assert answer(records(made, [dict(zip(columns, row, strict=True)) for row in rows])) == [
        "Best of 4 trials (1 pruned): 93.00% validation accuracy with learning_rate 0.00543, "
        "batch_size 128.",
        "It is the luckiest of them: on fresh seeds expect less than the search's own figure.",
    ]
