from typing import Any

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.statistics.verdicts import judge
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, Search, StudySpec
from tests.analysis.made import CLEAR, Table, claim, measured, plan, records


def test_the_answer_is_the_first_claims_verdict_the_others_words_and_the_best_level() -> None:
    others = [claim(id="T.b", direction="higher"), claim(id="T.c", margin=0.1)]
    made = measured(CLEAR, claim(), *others)
    made.trials["value"] = [0.90, 0.91, 0.92, 0.93, 0.95, 0.94]
    first, words, compared, last = answer(made)
    assert first == f"T.a is reproduced: {judge(made)[0].sentence}"
    assert words == "T.b is not reproduced, T.c is undecided."
    assert answer(measured(CLEAR, claim()))[0] == first
    assert compared.startswith("dropout 0.5 against 0 by validation accuracy: better; +3.00 points")
    assert len(answer(measured(CLEAR, claim()))) == 3
    assert last == (
        "Best mean validation accuracy: 94.00% (95 % interval 91.52% to 96.48%) with dropout 0.5, "
        "3 seeds."
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[0.90, 0.91, 0.90], [0.94, 0.95, 0.94]], "better: dropout 0.25, dropout 0.5"),
        ([[0.90, 0.94, 0.92], [0.94, 0.91, 0.93]], "undecided: dropout 0.25, dropout 0.5"),
    ],
)
def test_without_claims_every_level_is_compared_with_the_bases(
    values: list[list[float]], words: str
) -> None:
    table: Table = {0.0: values[0], 0.25: [0.92, 0.93, 0.925], 0.5: values[1]}
    first, second = answer(measured(table, column="value"))
    assert first == f"By validation accuracy against dropout 0, {words}."
    assert second.startswith("Best mean validation accuracy: 9")


def test_nuisance_points_do_not_count_as_seeds() -> None:
    made = measured({0.0: [0.8, 0.9], 0.5: [0.7, 0.8]}, column="value")
    doubled = pd.concat([made.trials, made.trials.assign(value=made.trials["value"] - 0.01)])
    rows: list[Any] = doubled.to_dict("records")
    _, second = answer(records(made.plan, rows))
    assert second.startswith("Best mean validation accuracy: 84.50% (95 % interval 20.97% to ")
    assert second.endswith("2 seeds.")


def test_the_best_nuisance_values_are_chosen_once() -> None:
    trials = measured({0.0: [0.8, 0.9], 0.5: [0.7, 0.8]}, column="value")
    assert trials.tuned is trials.tuned


def test_one_seed_cannot_tell_levels_apart() -> None:
    first, second = answer(measured({0.0: [0.9], 0.5: [0.95]}, column="value"))
    assert first == "One seed alone cannot tell the levels of dropout apart."
    assert second == "Best single validation accuracy: 95.00% with dropout 0.5, 1 seed."


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
    assert first.startswith(
        "architecture simple_cnn against cnn by validation accuracy: worse; -10"
    )
    assert "with architecture cnn, 2 seeds." in second


def test_without_a_trial_there_is_no_answer() -> None:
    assert answer(records(plan(claim()), [])) == [
        "No trial is complete yet.",
        "Run `python -m fashion_hpo.study tiny --budget standard` to get an answer.",
    ]


def test_where_all_have_failed_the_same_command_would_train_nothing() -> None:
    first, second = answer(records(plan(claim()), [{"trial": 0, "outcome": "failed"}]))
    assert first == "No trial is complete: 1 failed."
    assert second.endswith(" --revise`.")


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
        "Best of 4 trials (1 pruned): 93.00% validation accuracy with learning_rate 0.005432, "
        "batch_size 128.",
        "It is the luckiest of them: on fresh seeds expect less than the search's own figure.",
        "4 of 4 trials are random start-up trials: tpe uses results once 10 are complete or "
        "pruned.",
    ]
