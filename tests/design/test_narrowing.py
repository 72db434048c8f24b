"""Ranges lose the values that no config has, and no others."""

from typing import Any

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.design.narrowing import narrowed
from fashion_hpo.design.sequences import sobol_values
from fashion_hpo.design.warm_start import contains
from tests.plans import TINY

COSINE = {"schedule": "cosine", "final_learning_rate": 0.001}


@pytest.mark.parametrize(
    ("field", "wide", "narrow", "changes"),
    [
        ("batch_size", IntDistribution(10, 400, log=True), IntDistribution(10, 100, log=True), {}),
        ("batch_size", IntDistribution(10, 400, step=30), IntDistribution(10, 100, step=30), {}),
        ("batch_size", CategoricalDistribution((64, 512)), CategoricalDistribution((64,)), {}),
        ("train_images", IntDistribution(20, 400), IntDistribution(50, 400), {}),
        ("train_images", IntDistribution(20, 420, step=40), IntDistribution(60, 420, step=40), {}),
        ("learning_rate", FloatDistribution(1e-4, 0.1), FloatDistribution(0.001, 0.1), COSINE),
        ("learning_rate", FloatDistribution(1e-4, 0.1), FloatDistribution(1e-4, 0.1),
         {**COSINE, "schedule": "constant"}),
        ("final_learning_rate", FloatDistribution(0, 0.1), FloatDistribution(0, 0.01), COSINE),
        ("warmup_epochs", FloatDistribution(0, 9), FloatDistribution(0, 3), {}),
        ("epochs", IntDistribution(1, 9), IntDistribution(2, 9), {"warmup_epochs": 1.5}),
        ("dropout", FloatDistribution(0, 0.5), FloatDistribution(0, 0.5), {}),
    ],
)  # fmt: skip
def test_a_range_is_narrowed_by_the_field_that_bounds_it(
    field: str, wide: BaseDistribution, narrow: BaseDistribution, changes: dict[str, Any]
) -> None:
    base = TINY.replace(**{"schedule": "constant", **changes})
    found = narrowed({field: wide}, base)
    assert found == {field: narrow}
    for values in sobol_values({field: wide}, 64, seed=1):
        if not contains(narrow, values[field]):
            with pytest.raises(ValueError, match=field):
                base.replace(**values)


def test_two_searched_fields_bound_each_other() -> None:
    space: dict[str, BaseDistribution] = {
        "batch_size": IntDistribution(40, 900), "train_images": IntDistribution(10, 500)
    }  # fmt: skip
    assert narrowed(space, TINY) == {
        "batch_size": IntDistribution(40, 500), "train_images": IntDistribution(40, 500)
    }  # fmt: skip


def test_a_range_without_a_value_left_is_refused_by_both_fields() -> None:
    space: dict[str, BaseDistribution] = {"batch_size": CategoricalDistribution((512, 1024))}
    with pytest.raises(ValueError, match="batch_size is 512 or more, but train_images is 100 or"):
        narrowed(space, TINY)
