"""Numbers in a study: numpy's are plain ones, and what is none is refused by the field's name."""

import dataclasses
import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import canonical_json, make_plan, point_id, points
from fashion_hpo.design.spec import Budget, Claim, Search, StudySpec, levels

WRONG: list[Any] = [math.nan, math.inf, -math.inf, np.nan, np.float32("inf"), "0.1", "1", 1j, None,
                    [1], np.array([1.0, 2.0]), np.datetime64("2020-01-01")]  # fmt: skip
NO_COUNTS: list[Any] = [*WRONG, True, np.True_, 2.0, 2.5, np.float64(2.0), -1, np.int64(-1)]
NO_FLAGS: list[Any] = [*WRONG, 0, 1, np.int64(1), "yes"]
BASE = TrainConfig(schedule="constant")
RATES = FloatDistribution(1e-4, 1e-2, log=True)


def fields(kind: type, *types: Any) -> list[str]:
    """Names of the fields that are annotated with one of these types."""
    return [f.name for f in dataclasses.fields(kind) if f.type in types]


def default(kind: type, name: str) -> Any:
    return inspect.signature(kind).parameters[name].default


NUMPYS: dict[Any, list[Any]] = {
    int: [np.int64, np.int32, np.uint16, np.array, torch.tensor],
    float: [np.float64, np.array],
    bool: [np.bool_, np.array, torch.tensor],
}
VALUES = {"train_images": 1000, "batch_size": 64, "seed": 3, "final_learning_rate": 1e-4}
NUMBERS = [(f.name, f.type) for f in dataclasses.fields(TrainConfig) if f.type in NUMPYS]


@pytest.mark.parametrize(("name", "kind"), NUMBERS)
def test_a_config_of_numpys_numbers_is_that_of_plain_ones(name: str, kind: type) -> None:
    value = VALUES.get(name, default(TrainConfig, name))
    given = TrainConfig(**{name: value})
    for numpys in NUMPYS[kind]:
        config = TrainConfig(**{name: numpys(value)})
        assert type(getattr(config, name)) is kind
        assert config == given
        assert point_id(config) == point_id(given)


def refusal(make: Any) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]+\.$") as error:
        make()
    return str(error.value)


@pytest.mark.parametrize(("name", "kind"), NUMBERS)
def test_a_config_refuses_what_is_no_number_by_name(name: str, kind: type) -> None:
    for wrong in {int: NO_COUNTS, float: [*WRONG, True, np.True_], bool: NO_FLAGS}[kind]:
        said = refusal(lambda wrong=wrong: TrainConfig(**{name: wrong}))
        assert said.startswith(f"{name} is ")


@pytest.mark.parametrize("name", ["optimizer", "schedule", "pixel_range", "precision"])
def test_a_config_refuses_what_is_no_text_by_name(name: str) -> None:
    for wrong in (*WRONG, np.array(["adam", "sgd"]), True):
        said = refusal(lambda wrong=wrong: TrainConfig(**{name: wrong}))
        assert said.startswith(f"{name} is ")


def test_an_architectures_options_are_plain_and_finite() -> None:
    numpys = {"channels": np.int64(8), "dropout": np.float64(0.5), "norm": np.True_, "a": "b"}
    config = TrainConfig(architecture_options=numpys)
    plain = TrainConfig(
        architecture_options={"channels": 8, "dropout": 0.5, "norm": True, "a": "b"}
    )
    assert point_id(config) == point_id(plain)
    for wrong in (math.nan, np.inf, None, [1], 1j):
        said = refusal(lambda wrong=wrong: TrainConfig(architecture_options={"a": wrong}))
        assert said.startswith("architecture_options['a'] is ")


def design(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {"base": BASE, "scientific": {"dropout": levels(0.0, 0.5)}}
    return StudySpec(**{**values, **changes})


def search(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {"space": {"learning_rate": RATES}, "trials": 5}
    return StudySpec(base=BASE, search=Search(**{**values, **changes}))


def budget(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {"space": {"learning_rate": RATES}, "trials": 5}
    return StudySpec(base=BASE, search=Search(**values), budgets={"quick": Budget(**changes)})


def claim(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "id": "T.a", "text": "Dropout helps.", "measure": "val_loss", "direction": "lower",
        "contrast": ("dropout", 0.0, 0.5),
    }  # fmt: skip
    return design(claims=[Claim(**{**values, **changes})])


COUNTS = [
    *((design, StudySpec, name) for name in fields(StudySpec, int)),
    *((search, Search, name) for name in fields(Search, int, int | None)),
    *((budget, Budget, name) for name in fields(Budget, int | None)),
    *((claim, Part, name) for name in fields(Part, int | None)),
]
FLAGS = [
    *((design, StudySpec, name) for name in fields(StudySpec, bool)),
    *((search, Search, name) for name in fields(Search, bool)),
    *((claim, Part, name) for name in fields(Part, bool)),
]


def test_the_walk_meets_the_numbers_of_every_kind() -> None:
    assert {name for _, kind, name in COUNTS if kind is Budget} >= {"seeds", "trials", "epochs"}
    assert {name for _, kind, name in COUNTS if kind is Search} >= {"trials", "plateau", "audit"}
    assert {(kind, name) for _, kind, name in FLAGS} >= {(Part, "relative"), (Search, "defaults")}


@pytest.mark.parametrize(("make", "kind", "name"), COUNTS)
def test_a_count_may_be_numpys_and_nothing_else_than_a_whole_number(
    make: Any, kind: type, name: str
) -> None:
    assert make(**{name: np.int64(3)}) == make(**{name: 3})
    for wrong in NO_COUNTS:
        if wrong is not None or default(kind, name) is not None:
            said = refusal(lambda wrong=wrong: make(**{name: wrong}))
            assert f"{name} is " in said


@pytest.mark.parametrize(("make", "kind", "name"), FLAGS)
def test_a_flag_is_true_or_false(make: Any, kind: type, name: str) -> None:
    assert make(**{name: np.False_}) == make(**{name: False})
    for wrong in NO_FLAGS:
        assert f"{name} is " in refusal(lambda wrong=wrong: make(**{name: wrong}))


def test_a_claims_margin_and_figure_are_finite_numbers() -> None:
    assert claim(margin=np.float64(0.5)) == claim(margin=0.5)
    numpys = {"contrast": ("dropout", np.float64(0.0), np.float64(0.5))}
    assert claim(**numpys) == claim()
    figure = {"contrast": None, "figure": 0.5}
    assert claim(**{**figure, "figure": np.float64(0.5)}) == claim(**figure)
    for wrong in (*WRONG, True, np.True_):
        assert "margin is " in refusal(lambda wrong=wrong: claim(margin=wrong))
        if wrong is not None and not isinstance(wrong, np.ndarray):
            said = refusal(lambda wrong=wrong: claim(**{**figure, "figure": wrong}))
            assert "figure is " in said


def test_a_constraint_is_a_finite_number() -> None:
    bounded = search(constraints={"parameters": np.int64(50_000), "ece": np.float64(0.05)})
    assert bounded == search(constraints={"parameters": 50_000, "ece": 0.05})
    for wrong in (*WRONG, True):
        said = refusal(lambda wrong=wrong: search(constraints={"ece": wrong}))
        assert "search.constraints['ece'] is " in said


@pytest.mark.parametrize("name", ["dropout", "batch_size", "mixup_per_image", "optimizer"])
def test_levels_are_of_the_fields_type(name: str) -> None:
    for wrong in WRONG:
        if not (name == "optimizer" and isinstance(wrong, str)):
            said = refusal(lambda wrong=wrong: design(scientific={name: levels(wrong)}))
            assert said.startswith(f"{name} is ")
    said = refusal(lambda: design(scientific={name: np.array([0.1, 0.2])}))
    assert said.startswith(f"scientific[{name!r}] is ")


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("role", ["nuisance", "search"])
def test_a_range_ends_at_finite_numbers(role: str, wrong: float) -> None:
    for distribution in (FloatDistribution(wrong, wrong), CategoricalDistribution([0.1, wrong])):
        if role == "nuisance":
            said = refusal(lambda d=distribution: design(nuisance={"weight_decay": d}))
        else:
            said = refusal(lambda d=distribution: search(space={"weight_decay": d}))
        assert said.startswith("weight_decay is ")


def number(value: Any, numpys: bool) -> Any:
    return np.asarray(value)[()] if numpys else value


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_a_study_of_numpys_numbers_is_that_of_plain_ones_to_its_last_byte() -> None:
    """Its ledger is told from others by its identity and extent, its points by their ids."""

    def studies(numpys: bool) -> list[StudySpec]:
        def n(value: Any) -> Any:
            return number(value, numpys)

        ranges = {
            "learning_rate": FloatDistribution(n(1e-4), n(1e-2), log=True),
            "batch_size": CategoricalDistribution([n(32), n(64)]),
            "accumulation": IntDistribution(n(1), n(4), step=n(1)),
            "weight_decay": FloatDistribution(n(0.0), n(0.5), step=n(0.1)),
        }
        budgets = {"quick": Budget(epochs=n(2), scientific={"dropout": [n(0.25)]})}
        return [
            StudySpec(
                base=BASE.replace(dropout=n(0.1)), nuisance=ranges, nuisance_points=n(3),
                seeds=n(2), seed=n(5), budgets=budgets,
                scientific={
                    "dropout": levels(n(0.0), n(0.25)), "mixup_per_image": (n(True), n(False)),
                },
            ),
            StudySpec(
                base=BASE, budgets={"quick": Budget(trials=n(4))},
                search=Search(
                    space=ranges, trials=n(9), sampler="random", constraints={"ece": n(0.1)}
                ),
            ),
        ]  # fmt: skip

    for numpys, plain in zip(studies(True), studies(False), strict=True):
        given, expected = (make_plan("a", "Why?", spec, "quick") for spec in (numpys, plain))
        assert canonical_json(given.identity()) == canonical_json(expected.identity())
        assert canonical_json(given.extent()) == canonical_json(expected.extent())
        assert [p.id for p in points(given)] == [p.id for p in points(expected)]
