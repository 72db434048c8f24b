"""The kept curves of replayed searches, and which search they say something about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.expected_regret import (
    Curve,
    Curves,
    of_search,
    read,
    sentence,
    write,
)
from tests.analysis.made import records
from tests.plans import TINY, search

FALLING = [0.05, 0.03, 0.02, 0.01]


def curve(sampler: str, pruner: str, startup: int = 0, repeats: int = 9) -> Curve:
    low, high = ([value + change for value in FALLING] for change in (-0.01, 0.01))
    return Curve(sampler, pruner, startup, repeats, FALLING, low, high)


def kept(*curves: Curve, configs: int = 304) -> Curves:
    fields = ["batch_size", "dropout", "learning_rate"]
    return Curves("search_table", configs, 5, 1_500, fields, 3, list(curves))


BOTH = kept(curve("random", "none"), curve("tpe", "hyperband", 10))


def searched(epochs_done: list[int], **options: Any) -> Records:
    rows: list[dict[str, Any]] = [
        {"trial": number, "outcome": "complete", "value": 0.9, "epochs_done": epochs}
        for number, epochs in enumerate(epochs_done)
    ]
    return records(search(**options), rows)


def test_a_search_is_judged_by_the_image_passes_that_it_spent() -> None:
    assert TINY.epochs == 3
    expected = of_search(searched([3, 1, 1, 3]), BOTH)
    assert expected is not None
    assert (expected.own, expected.random) == (BOTH.curves[1], BOTH.curves[0])
    assert (expected.spent, expected.trials) == (8 / 3, 2)
    assert sentence(expected) == (
        "tpe with pruner hyperband, replayed 9 times on the 304 configs of search_table (5 epochs "
        "of 1,500 images): after the image passes of 2 complete trials (this search: 2.7) its best "
        "config is on average 3.00 points (95 % interval 2.00 to 4.00) below the table's best; a "
        "guide, because those networks are small"
    )


@pytest.mark.parametrize(("epochs_done", "trials"), [([1], 1), ([3] * 9, 4)])
def test_less_than_a_trial_and_more_than_the_curve_have_the_nearest_place(
    epochs_done: list[int], trials: int
) -> None:
    expected = of_search(searched(epochs_done), BOTH)
    assert expected is not None
    assert expected.trials == trials
    assert f"of {trials} complete trial{'s' * (trials > 1)} (" in sentence(expected)


def test_random_search_is_not_compared_with_itself() -> None:
    expected = of_search(searched([3], sampler="random", pruner="none"), BOTH)
    assert expected is not None
    assert (expected.own, expected.random) == (BOTH.curves[0], None)


@pytest.mark.parametrize(
    "options",
    [
        {"pruner": "median"},
        {"sampler": "gp"},
        {"startup_trials": 4},
        {"resume_pruned": 1},
        {"constraints": {"parameters": 1_000}},
        {"objectives": ("val_accuracy", "flops"), "pruner": "none"},
        {"when": {"dropout": {"batch_size": 25}}},
    ],
)
def test_nothing_is_said_of_a_search_that_was_not_replayed(options: dict[str, Any]) -> None:
    more = kept(*BOTH.curves, curve("tpe", "none", 10))
    assert of_search(searched([3]), more) is not None
    assert of_search(searched([3], **options), more) is None


def test_nothing_is_said_of_other_fields_or_without_a_file(tmp_path: Path) -> None:
    assert of_search(searched([3]), replace(BOTH, fields=["dropout", "learning_rate"])) is None
    assert read(tmp_path / "absent.json") is None
    assert of_search(searched([3]), None) is None


def test_one_epoch_is_replayed_with_as_many_completed_trials() -> None:
    once = kept(curve("random", "one_epoch"))
    options = {"sampler": "random", "pruner": "one_epoch"}
    assert of_search(searched([1] * 5, resume_pruned=3, **options), once) is not None
    assert of_search(searched([1] * 5, resume_pruned=2, **options), once) is None


def test_a_file_keeps_the_curves_of_other_searches_on_the_same_table(tmp_path: Path) -> None:
    path = tmp_path / "curves.json"
    write(BOTH.with_curves(read(path)), path)
    assert read(path) == BOTH
    longer = kept(curve("tpe", "hyperband", 10, repeats=99), curve("tpe", "hyperband", 5))
    write(longer.with_curves(read(path)), path)
    united = read(path)
    assert united is not None
    assert {(*each.replayed, each.repeats) for each in united.curves} == {
        ("random", "none", 0, 9), ("tpe", "hyperband", 5, 9), ("tpe", "hyperband", 10, 99),
    }  # fmt: skip
    larger = kept(curve("gp", "none", 10), configs=400)
    assert larger.with_curves(united) == larger, "another table"
