"""Records made by hand: complete trials of small designs."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.spec import Budget, Claim, Level, StudySpec, levels

Table = Mapping[Level, Sequence[float]]
CLEAR: Table = {0.0: [0.30, 0.31, 0.29], 0.5: [0.20, 0.22, 0.19]}  # lower by 0.097 +- 0.014


def claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": "T.a",
        "text": "Dropout narrows the gap.",
        "measure": "generalization_gap",
        "contrast": ("dropout", 0.0, 0.5),
        "direction": "lower",
    }
    return Claim(**{**values, **changes})


def plan(*claims: Claim, budget: str = "standard", field: str = "dropout", seeds: int = 3) -> Plan:
    scientific = {
        "dropout": levels(0.0, 0.25, 0.5),
        "architecture": levels("cnn", "simple_cnn"),
    }
    spec = StudySpec(
        base=TrainConfig(),
        scientific={field: scientific[field]},
        claims=claims,
        seeds=seeds,
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
    seeds = max(1, *map(len, table.values()))
    return records(plan(*claims, budget=budget, seeds=seeds), rows)


def factorial(value: Callable[[float, int, int], float], seeds: int = 3) -> Callable[..., Records]:
    """A 2x2 design of dropout and batch size; its values are a function of both and the seed."""
    scientific = {"dropout": levels(0.0, 0.5), "batch_size": levels(32, 512)}
    rows = [
        {
            "trial": number, "outcome": "complete", "dropout": dropout, "batch_size": batch,
            "seed_index": seed, "value": value(dropout, batch, seed),
        }
        for number, (seed, dropout, batch) in enumerate(
            product(range(seeds), *scientific.values())  # type: ignore[arg-type]
        )
    ]  # fmt: skip

    def made(*claims: Claim) -> Records:
        spec = StudySpec(
            base=TrainConfig(),
            scientific=scientific,
            claims=claims,
            budgets={"standard": Budget()},
        )
        return records(make_plan("tiny", "Does it?", spec, "standard"), rows)

    return made
