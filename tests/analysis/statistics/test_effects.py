"""Every kind of statistic, by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import cells_of
from fashion_hpo.analysis.statistics.effects import Effect, effects_of
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, StudySpec
from tests.analysis.made import factorial, plan, records

CONTRAST = ("dropout", 0.0, 0.5)
PLAIN = Part(measure="ece", contrast=CONTRAST, direction="lower")
CELLS = {(0.0, 32): 0.90, (0.5, 32): 0.91, (0.0, 512): 0.92, (0.5, 512): 0.96}
FACTORIAL = factorial(lambda dropout, batch, seed: CELLS[dropout, batch] + 0.01 * seed, seeds=2)


def table(*rows: tuple[float, int, float]) -> Records:
    """Complete trials of (dropout, seed index, calibration error)."""
    names = ("dropout", "seed_index", "ece")
    made = [dict(zip(names, row, strict=True)) for row in rows]
    return records(plan(), [{"outcome": "complete", "value": 0.9, **row} for row in made])


def all_found(made: Records, part: Part) -> list[Effect]:
    cells = cells_of(made, part)
    assert cells is not None
    return effects_of(cells, part)


def found(made: Records, part: Part) -> Effect:
    (effect,) = all_found(made, part)
    return effect


def differences(made: Records, first: float = 0.0, second: float = 0.5) -> list[float]:
    cells = cells_of(made, PLAIN)
    if cells is None:
        return []
    part = Part(measure="ece", contrast=("dropout", first, second), direction="lower")
    (effect,) = effects_of(cells, part)
    values: list[float] = effect.values.tolist()
    return values


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_a_seed_whose_measure_is_no_number_is_left_out(bad: float) -> None:
    made = table((0.0, 0, 0.2), (0.5, 0, 0.1), (0.0, 1, 0.2), (0.5, 1, bad))
    assert differences(made) == pytest.approx([-0.1])


def test_cells_are_ranked_by_their_mean_and_those_without_any_left_out() -> None:
    cells = cells_of(table((0.0, 0, 0.2), (0.5, 0, 0.5), (0.5, 1, 0.1)), PLAIN)
    assert cells is not None  # the level 0.25 has no trial
    assert cells.ranked() == [{"dropout": 0.5}, {"dropout": 0.0}]


def test_differences_are_paired_by_seed() -> None:
    made = table((0.5, 1, 1.5), (0.0, 0, 2.0), (0.0, 1, 1.0), (0.5, 0, 2.25))
    assert differences(made, 0) == [0.25, 0.5]


def test_the_difference_is_second_minus_first() -> None:
    made = table((0.0, 0, 1.0), (0.5, 0, 3.0))
    assert differences(made) == [2.0]
    assert differences(made, 0.5, 0.0) == [-2.0]


@pytest.mark.parametrize("gap", [[], [(0.5, 1, math.nan)]])
def test_a_seed_without_both_levels_is_left_out(gap: list[tuple[float, int, float]]) -> None:
    assert differences(table((0.0, 0, 1.0), (0.5, 0, 1.5), (0.0, 1, 9.0), (0.5, 2, 9.0), *gap)) == [
        0.5
    ]


def test_other_levels_do_not_matter() -> None:
    made = table((0.0, 0, 1.0), (0.25, 0, 7.0), (0.5, 0, 1.5), (0.25, 1, 7.0))
    assert differences(made) == [0.5]


@pytest.mark.parametrize(
    "made",
    [
        table(),
        table((0.0, 0, 1.0)),
        table((0.5, 0, 1.0), (0.25, 0, 1.0)),
        table((0.0, 0, 1.0), (0.5, 0, math.nan)),
        table((0.0, 0, 1.0), (0.5, 1, 1.0)),
    ],
)
def test_without_a_pair_there_is_no_difference(made: Records) -> None:
    assert differences(made) == []


def test_fields_that_are_not_named_are_averaged_over() -> None:
    part = Part(measure="value", contrast=CONTRAST, direction="higher")
    effect = found(FACTORIAL(), part)
    assert effect.values == pytest.approx([0.025, 0.025])
    assert effect.means == "91.50 % → 94.00 %"


@pytest.mark.parametrize(("batch", "expected"), [(32, 0.01), (512, 0.04)])
def test_a_contrast_may_be_at_levels_of_other_fields(batch: int, expected: float) -> None:
    part = Part(measure="value", contrast=CONTRAST, direction="higher", at={"batch_size": batch})
    effect = found(FACTORIAL(), part)
    assert effect.values == pytest.approx([expected] * 2)
    assert effect.name == f"validation accuracy with dropout 0.5 against 0 at batch_size {batch}"


def test_a_seed_that_lacks_one_cell_is_not_averaged_over_the_others() -> None:
    made = FACTORIAL()
    made.trials.loc[0, "outcome"] = "diverged"
    part = Part(measure="value", contrast=CONTRAST, direction="higher")
    assert len(found(made, part).values) == 1


def test_a_relative_contrast_is_a_share_of_its_first_side() -> None:
    part = Part(measure="ece", contrast=CONTRAST, direction="lower", relative=True)
    assert found(table((0.0, 0, 2.0), (0.5, 0, 1.5)), part).values.tolist() == [-0.25]


def test_an_interaction_is_a_difference_of_differences() -> None:
    part = Part(
        measure="value", interaction=(CONTRAST, ("batch_size", 32, 512)), direction="higher"
    )
    effect = found(FACTORIAL(), part)
    assert effect.values == pytest.approx([0.03, 0.03])  # 0.04 - 0.01
    assert effect.means == "effect +1 points → +4 points"
    swapped = Part(
        measure="value", interaction=(("batch_size", 32, 512), CONTRAST), direction="higher"
    )
    assert found(FACTORIAL(), swapped).values == pytest.approx([0.03, 0.03])


@pytest.mark.parametrize(
    ("best", "at", "expected"),
    [
        ({"dropout": 0.5, "batch_size": 512}, {}, [0.06, 0.04, 0.05]),
        ({"dropout": 0.0, "batch_size": 512}, {}, [0.02, -0.04, 0.01]),
        ({"dropout": 0.5}, {}, [0.025]),
        ({"dropout": 0.5}, {"batch_size": 512}, [0.04]),
    ],
)
def test_the_best_is_compared_with_each_rival(
    best: dict[str, Any], at: dict[str, Any], expected: list[float]
) -> None:
    effects = all_found(FACTORIAL(), Part(measure="value", best=best, at=at, direction="higher"))
    assert sorted(effect.values[0] for effect in effects) == pytest.approx(sorted(expected))
    assert all(effect.values == pytest.approx([effect.values[0]] * 2) for effect in effects)


def test_a_rival_is_compared_as_a_contrast_is() -> None:
    """So the noise of the images is in its interval too, and no seed's luckiest rival is taken."""
    made = table(
        (0.0, 0, 5.0), (0.25, 0, 1.0), (0.5, 0, 2.0), (0.0, 1, 5.0), (0.25, 1, 2.0), (0.5, 1, 0.5)
    )
    effects = all_found(made, Part(measure="ece", best={"dropout": 0.0}, direction="higher"))
    assert [effect.values.tolist() for effect in effects] == [[4.0, 3.0], [3.0, 4.5]]
    assert effects[0].means == "1.5 → 5"
    assert effects[0].name == "calibration error with dropout 0 against dropout 0.25"
    assert all(effect.shares is not None for effect in effects)


def test_a_figure_has_the_measure_itself() -> None:
    part = Part(measure="value", figure=0.95, at={"dropout": 0.5}, direction="higher")
    assert found(FACTORIAL(), part).values == pytest.approx([0.935, 0.945])


def test_shares_of_variance_add_up_without_an_interaction() -> None:
    made = factorial(lambda dropout, batch, seed: 6 * dropout + batch / 480 + seed)()
    part = Part(measure="value", influence="dropout", direction="higher")
    effect = found(made, part)
    assert effect.values == pytest.approx([0.8] * 3)  # 3² and 1² of 10
    assert effect.means == "dropout 90.0 %, batch_size 10.0 %"


def test_an_interactions_share_is_no_fields() -> None:
    sign = {0.0: -1, 0.5: 1, 32: -1, 512: 1}
    made = factorial(lambda dropout, batch, seed: 2 * sign[dropout] + sign[dropout] * sign[batch])()
    part = Part(measure="value", influence="dropout", direction="higher")
    assert found(made, part).values == pytest.approx([0.8] * 3)


def test_where_nothing_varies_nothing_has_influence() -> None:
    made = factorial(lambda dropout, batch, seed: 0.9)()
    part = Part(measure="value", influence="dropout", direction="higher")
    assert len(found(made, part).values) == 0


def test_a_curve_may_be_taken_at_an_epoch() -> None:
    made = FACTORIAL()
    epochs = pd.DataFrame(
        [
            {"trial": trial, "epoch": epoch, "val_accuracy": 0.1 * epoch + 0.01 * trial}
            for trial in made.trials["trial"]
            for epoch in (1, 2)
        ]
    )
    made = Records(made.plan, "", "", "", made.trials, epochs, 0)
    part = Part(measure="val_accuracy", contrast=CONTRAST, direction="higher", epoch=2)
    effect = found(made, part)
    assert effect.values == pytest.approx([0.02, 0.02])
    assert effect.name.startswith("validation accuracy at epoch 2 with ")
    assert cells_of(made, Part(measure="val_accuracy", contrast=CONTRAST, epoch=3)) is None


def test_levels_may_be_words() -> None:
    rows = [
        {"outcome": "complete", "architecture": name, "seed_index": 0, "value": value}
        for name, value in (("cnn", 0.5), ("simple_cnn", 0.75))
    ]
    part = Part(measure="value", contrast=("architecture", "cnn", "simple_cnn"), direction="higher")
    effect = found(records(plan(field="architecture"), rows), part)
    assert effect.values.tolist() == [0.25]
    assert isinstance(effect.values, np.ndarray)


def test_a_part_may_be_judged_at_the_bases_own_nuisance_values() -> None:
    """At 1e-3 the levels differ by 0.1; at the rate that is best for each, they do not."""
    accuracy = {(0.0, 1e-3): 0.9, (0.0, 1e-2): 0.8, (0.5, 1e-3): 0.8, (0.5, 1e-2): 0.9}
    rows = [
        {"trial": 0, "outcome": "complete", "dropout": dropout, "learning_rate": rate,
         "seed_index": seed, "value": value}
        for (dropout, rate), value in accuracy.items()
        for seed in range(2)
    ]  # fmt: skip
    spec = StudySpec(
        base=TrainConfig(learning_rate=1e-3),
        scientific={"dropout": (0.0, 0.5)},
        nuisance={"learning_rate": FloatDistribution(1e-4, 1e-1, log=True)},
        nuisance_points=2,
        nuisance_base=True,
        budgets={"standard": Budget()},
    )
    made = records(make_plan("tiny", "Does it?", spec, "standard"), rows)
    tuned = Part(measure="value", contrast=CONTRAST, direction="lower")
    assert found(made, tuned).values == pytest.approx([0.0, 0.0])
    untuned = Part(measure="value", contrast=CONTRAST, direction="lower", untuned=True)
    assert found(made, untuned).values == pytest.approx([-0.1, -0.1])
