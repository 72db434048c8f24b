import math
from dataclasses import replace

import pytest

from fashion_hpo.design.config import Epoch
from fashion_hpo.design.curves import (
    accuracy_fall,
    area_above_curve,
    parting_epoch,
    roughness,
    smoothed,
)
from fashion_hpo.design.summaries import curve_summaries, energy_summary, finite

EPOCH = Epoch(
    epoch=1, train_loss=1, train_eval_loss=1, train_eval_accuracy=0.5, val_loss=1,
    val_accuracy=0.5, learning_rate=0.1, seconds=1, images_per_second=1, timestamp=1,
)  # fmt: skip


def curves(val: list[float], train: list[float]) -> list[Epoch]:
    return [
        replace(EPOCH, epoch=number, val_loss=v, train_eval_loss=t)
        for number, (v, t) in enumerate(zip(val, train, strict=True), start=1)
    ]


def accuracies(*values: float) -> list[Epoch]:
    return [replace(EPOCH, epoch=number, val_accuracy=v) for number, v in enumerate(values, 1)]


FALLING = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]


@pytest.mark.parametrize(
    ("val", "train", "expected"),
    [
        ([1.0, 0.8, 0.6, 0.8, 1.0, 1.2], FALLING, 3),
        (FALLING, FALLING, 7),  # never parts
        ([1.0, 0.8, 0.6, 0.8, 1.0, 1.2], FALLING[::-1], 7),  # both rise: not parted
        ([0.6, 0.601, 0.602, 0.603, 0.604, 0.605], FALLING, 7),  # rises by less than 2 %
        ([0.6, 0.7, 0.8, 0.9, 1.0, 1.1], FALLING, 1),
        ([1.0, 2.0], [0.9, 0.8], 3),  # smoothed, both epochs are the same
        ([1.0], [1.0], 2),
        ([math.nan, math.nan], [math.nan, math.nan], 3),
    ],
)
def test_parting_epoch(val: list[float], train: list[float], expected: int) -> None:
    assert parting_epoch(curves(val, train)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], [5.0]),
        ([1.0, 3.0], [2.0, 2.0]),
        ([1.0, 2.0, 6.0], [1.5, 3.0, 4.0]),
        ([0.0, 3.0, 6.0, 0.0], [1.5, 3.0, 3.0, 3.0]),
    ],
)
def test_smoothed_is_the_mean_with_the_neighbours_there_are(
    values: list[float], expected: list[float]
) -> None:
    assert smoothed(values).tolist() == pytest.approx(expected)


def test_roughness_is_of_the_last_half_and_blind_to_slope() -> None:
    assert roughness(accuracies(9, -9, 9, -9, 0.1, 0.2, 0.3, 0.4)) == pytest.approx(0)
    assert roughness(accuracies(0, 0, 0, 0, 0, 1, 0, 1)) == pytest.approx(2)  # differences -2 and 2
    assert math.isnan(
        roughness(accuracies(0.1, 0.9, 0.2, 0.8, 0.3))
    )  # one difference has no spread


def test_curve_summaries() -> None:
    history = curves([1.0, 0.7, 0.9], [0.9, 0.8, 0.6])
    history[1] = replace(history[1], val_accuracy=0.8)
    assert finite(curve_summaries(history)) == {
        "best_val_accuracy": 0.8,
        "best_epoch": 2.0,
        "accuracy_fall": pytest.approx(0.0),
        "generalization_gap": pytest.approx(0.3),
        "parting_epoch": 4.0,
        "area_above_curve": pytest.approx((0.5 + 0.2 + 0.5) / 3),
    }


def test_the_area_above_a_curve_is_small_where_it_is_soon_and_lastingly_high() -> None:
    assert area_above_curve(accuracies(1.0, 1.0)) == 0
    assert area_above_curve(accuracies(0.6, 0.8)) == pytest.approx(0.3)
    soon, late = accuracies(0.8, 0.9, 0.9), accuracies(0.4, 0.9, 0.9)
    assert area_above_curve(soon) < area_above_curve(late)


def test_the_accuracy_falls_from_its_peak_not_from_one_lucky_epoch() -> None:
    assert accuracy_fall(accuracies(0.6, 0.9, 0.9, 0.9, 0.7, 0.7, 0.7)) == pytest.approx(0.2)
    assert accuracy_fall(accuracies(0.6, 0.7, 0.8, 0.9)) == 0
    assert accuracy_fall(accuracies(0.7, 0.7, 0.85, 0.7, 0.7)) == pytest.approx(0.05)


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match=r"history is empty"):
        curve_summaries([])


def test_energy_that_is_not_known_is_left_out() -> None:
    assert energy_summary(12.5) == {"energy_joules": 12.5}
    assert energy_summary(None) == {}


def test_only_finite_summaries_are_kept() -> None:
    assert finite({"a": 1.0, "b": math.nan, "c": -math.inf}) == {"a": 1.0}
