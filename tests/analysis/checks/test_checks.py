"""Each check warns where it must, is silent where it need not, and says what to do."""

import dataclasses
from typing import Any

import pandas as pd
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.analysis.checks.every import Check, check
from fashion_hpo.analysis.checks.ranges import edge, next_range, place
from fashion_hpo.analysis.records import Records
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, Search, StudySpec, levels
from tests.reporting import studies

RATE = FloatDistribution(1e-4, 1e-2, log=True)
RISING = [0.5, 0.6, 0.7, 0.8, 0.9]
FLAT = [0.5, 0.8, 0.9, 0.9, 0.9]


def found(records: Records, name: str) -> Check:
    (one,) = [each for each in check(records) if each.name == name]
    return one


def applies(records: Records) -> list[str]:
    return [each.name for each in check(records)]


def searched(
    space: dict[str, BaseDistribution], rows: list[dict[str, Any]], pruner: Any = "none"
) -> Records:
    spec = StudySpec(
        base=TrainConfig(),
        search=Search(space=space, trials=len(rows), pruner=pruner),
        budgets={"standard": Budget()},
    )
    return made(spec, rows)


def designed(rows: list[dict[str, Any]], **changes: Any) -> Records:
    values = {
        "base": TrainConfig(),
        "scientific": {"dropout": levels(0.0, 0.5)},
        "budgets": {"standard": Budget()},
    }
    return made(StudySpec(**{**values, **changes}), rows)


def made(spec: StudySpec, rows: list[dict[str, Any]]) -> Records:
    usual = {"outcome": "complete", "seed_index": 0, "epochs_done": 5, "learning_rate": 1e-3}
    curves = [
        {"trial": number, "epoch": epoch, "val_accuracy": value}
        for number, row in enumerate(rows)
        for epoch, value in enumerate(row.get("curve", []), 1)
    ]
    return Records(
        plan=make_plan("tiny", "Does it?", spec, "standard"),
        ledger_name="tiny/standard/r1",
        ledger_uid="uid",
        data_hash="hash",
        trials=pd.DataFrame([{**usual, "trial": i, **row} for i, row in enumerate(rows)]),
        epochs=pd.DataFrame(curves),
        remaining=0,
    )


def paired(first: list[float], second: list[float]) -> Records:
    """Values of the two levels of dropout, seed by seed."""
    return designed(
        [
            {"dropout": level, "seed_index": seed, "value": value}
            for level, values in ((0.0, first), (0.5, second))
            for seed, value in enumerate(values)
        ]
    )


def test_a_place_in_a_range_respects_its_scale() -> None:
    assert place(RATE, 1e-3) == pytest.approx(0.5)
    assert place(IntDistribution(0, 10), 2) == pytest.approx(0.2)
    assert place(CategoricalDistribution([1, 2]), 2) is None
    assert place(FloatDistribution(0.1, 0.1), 0.1) is None
    assert [edge(RATE, at) for at in (1.2e-4, 1e-3, 9e-3)] == ["lower", "", "upper"]


def test_the_range_to_try_next_is_as_wide_and_has_the_best_in_its_middle() -> None:
    assert next_range("learning_rate", RATE, 9e-3, TrainConfig()) == pytest.approx((9e-4, 0.09))
    dropout = FloatDistribution(0.0, 0.4)
    assert next_range("dropout", dropout, 0.4, TrainConfig()) == pytest.approx((0.2, 0.6))
    assert next_range("dropout", dropout, 0.01, TrainConfig()) is None  # 0 is as low as it goes
    sizes = IntDistribution(64, 256, log=True)
    assert next_range("batch_size", sizes, 64, TrainConfig()) == (32, 128)


def test_a_best_value_at_an_edge_warns_with_the_range_to_try() -> None:
    rates = [9.5e-3, 9e-3, 8e-3, 5e-3, 4e-3, 1e-3, 3e-4, 2e-4, 1.5e-4, 1e-4]
    rows = [{"learning_rate": rate, "value": 0.9 - 0.01 * i} for i, rate in enumerate(rates)]
    warning = found(searched({"learning_rate": RATE}, rows), "boundary")
    assert warning.is_warning
    assert warning.sentence == "The best learning_rate is 0.0095, near the upper end of its range."
    assert warning.advice == "Search learning_rate from 0.00095 to 0.095."
    rows[0]["value"], rows[5]["value"] = 0.5, 0.95
    assert not found(searched({"learning_rate": RATE}, rows), "boundary").is_warning


def test_one_good_trial_at_an_edge_among_others_inside_is_no_warning() -> None:
    rates = [9.9e-3, 1e-3, 1.1e-3, 9e-4, 1.2e-3, 2e-4, 2e-4, 2e-4, 2e-4, 2e-4]
    rows = [{"learning_rate": rate, "value": 0.9 - 0.01 * i} for i, rate in enumerate(rates)]
    assert not found(searched({"learning_rate": RATE}, rows), "boundary").is_warning


def test_the_nuisance_boundary_is_named_with_its_level() -> None:
    rows = [
        {"dropout": level, "learning_rate": rate, "value": value, "seed_index": seed}
        for level, rate, value in (
            (0.0, 1e-3, 0.9), (0.0, 9e-3, 0.8), (0.5, 1e-3, 0.7), (0.5, 9e-3, 0.85)
        )
        for seed in range(2)
    ]  # fmt: skip
    warning = found(designed(rows, nuisance={"learning_rate": RATE}), "boundary")
    assert "learning_rate at dropout 0.5 is 0.009" in warning.sentence
    assert "dropout 0 " not in warning.sentence
    assert "boundary" not in applies(designed(rows))  # nothing was sampled


def test_diverged_trials_are_counted_and_their_learning_rates_named() -> None:
    rows = [{"learning_rate": 1e-3, "value": 0.9}] * 8
    lost = [{"learning_rate": rate, "outcome": "diverged", "value": None} for rate in (5e-3, 1e-2)]
    warning = found(searched({"learning_rate": RATE}, rows + lost), "diverged")
    assert warning.is_warning
    assert warning.sentence == "2 of 10 trials diverged, with learning_rate 0.005 to 0.01."
    sound = found(searched({"learning_rate": RATE}, rows), "diverged")
    assert (sound.level, sound.sentence) == ("ok", "0 of 8 trials diverged.")


@pytest.mark.parametrize(("curve", "warns"), [(RISING, True), (FLAT, False), (RISING[::-1], False)])
def test_training_that_still_improves_warns(curve: list[float], warns: bool) -> None:
    rows = [
        {"dropout": level, "seed_index": seed, "value": curve[-1], "curve": curve}
        for level in (0.0, 0.5)
        for seed in range(2)
    ]
    assert found(designed(rows), "still_improving").is_warning is warns
    assert "still_improving" not in applies(designed([{**row, "curve": []} for row in rows]))


def test_losses_that_part_at_one_level_warn_and_name_it() -> None:
    rows = [
        {"dropout": level, "seed_index": seed, "value": 0.9, "parting_epoch": epoch}
        for level, epoch in ((0.0, 3.0), (0.5, 6.0))
        for seed in range(2)
    ]
    warning = found(designed(rows), "over_fitting")
    assert warning.is_warning
    assert "in 2 of 2 trials at dropout 0." in warning.sentence
    assert not found(designed(rows[2:]), "over_fitting").is_warning


MORE_SEEDS = "python -m fashion_hpo.study tiny --budget standard --more-seeds"


def test_a_lead_within_seed_noise_warns() -> None:
    noisy = found(paired([0.90, 0.92, 0.91], [0.91, 0.90, 0.905]), "seed_noise")
    assert noisy.is_warning
    assert noisy.sentence.startswith("dropout 0 leads dropout 0.5 by 0.50 points; over 3 seeds")
    clear = found(paired([0.80, 0.82, 0.81], [0.91, 0.92, 0.92]), "seed_noise")
    assert clear.level == "ok"
    one = found(paired([0.8], [0.9]), "seed_noise")
    assert one.is_warning
    assert one.sentence == "Only one seed has both dropout 0.5 and dropout 0."
    assert one.advice == f"Run more seeds: `{MORE_SEEDS} 2`."


def test_the_seeds_that_would_settle_a_lead_are_named_if_there_are_such() -> None:
    soon = found(paired([0.90, 0.92, 0.91], [0.88, 0.87, 0.905]), "seed_noise")
    assert soon.advice == (f"Call neither the better one, or run more seeds: `{MORE_SEEDS} 3`.")
    never = found(paired([0.90, 0.92, 0.91], [0.92, 0.90, 0.909]), "seed_noise")
    assert never.advice == "Call neither the better one."


def test_trials_that_few_choices_took_count_little_for_over_fitting() -> None:
    rows = [
        {"dropout": 0.0, "seed_index": seed, "value": 0.9, "parting_epoch": epoch}
        for seed, epoch in enumerate((3.0, 3.0, 6.0))
    ]
    assert found(designed(rows), "over_fitting").is_warning
    records = designed(rows)
    records.trials["weight"] = [0.1, 0.1, 0.9]
    assert not found(records, "over_fitting").is_warning


def test_too_few_points_for_the_fields_searched() -> None:
    rows = [{"learning_rate": 1e-3, "value": 0.9}] * 10
    assert not found(searched({"learning_rate": RATE}, rows), "too_few_points").is_warning
    warning = found(searched({"learning_rate": RATE}, rows[1:]), "too_few_points")
    assert warning.sentence.startswith("9 points for 1 searched field;")
    assert warning.advice.startswith("Raise trials to 10")


def test_pruning_that_biased_an_importance_warns_and_names_the_field() -> None:
    rates = [1e-4 * 1.1**i for i in range(20)]
    rows = [
        {"learning_rate": rate, "value": 0.9, "outcome": "pruned" if i < 8 else "complete"}
        for i, rate in enumerate(rates)
    ]
    warning = found(searched({"learning_rate": RATE}, rows, "median"), "pruning")
    assert warning.is_warning
    assert "which differ from the pruned ones in learning_rate;" in warning.sentence
    mixed = [
        {**row, "outcome": "pruned" if i % 3 == 0 else "complete"} for i, row in enumerate(rows)
    ]
    assert not found(searched({"learning_rate": RATE}, mixed, "median"), "pruning").is_warning
    assert "pruning" not in applies(searched({"learning_rate": RATE}, rows))


def test_levels_that_were_not_trained_alike_warn() -> None:
    rows = [
        {"dropout": level, "seed_index": seed, "value": 0.9, "epochs_done": done}
        for level, done in ((0.0, 5), (0.5, 5))
        for seed in range(2)
    ]
    assert not found(designed(rows), "unequal_budgets").is_warning
    fewer = found(designed(rows[:-1]), "unequal_budgets")
    assert "1 complete trial at dropout 0.5, 2 complete trials at dropout 0" in fewer.sentence
    shorter = found(designed([*rows[:-1], {**rows[-1], "epochs_done": 2}]), "unequal_budgets")
    assert "3.5 epochs at dropout 0.5, 5.0 epochs at dropout 0" in shorter.sentence


@pytest.mark.parametrize(
    "records",
    [
        studies.design(),
        studies.design(seeds=1),
        studies.design(values=(0.25,)),
        studies.design(outcomes=dict.fromkeys(range(6), "failed")),
        studies.search(),
        studies.search(("pruned", "diverged", "complete")),
        studies.search(("diverged",)),
        studies.search(()),
    ],
)
def test_any_records_can_be_checked_and_every_warning_says_what_to_do(records: Records) -> None:
    for each in check(records):
        assert each.sentence.endswith(".")
        assert bool(each.advice) == each.is_warning


def test_a_classical_trial_without_epochs_is_no_reason_to_fail() -> None:
    records = studies.design()
    without = dataclasses.replace(records, epochs=pd.DataFrame(columns=["trial", "epoch"]))
    assert "still_improving" not in applies(without)


def test_a_classical_fit_of_one_pass_is_not_held_against_networks_of_many() -> None:
    rows = [
        {"dropout": level, "seed_index": seed, "value": 0.9, "epochs_done": done}
        for level, done in ((0.0, 1), (0.5, 5))
        for seed in range(2)
    ]
    assert not found(designed(rows), "unequal_budgets").is_warning
