"""The Pareto front of a search with several objectives: trials that no other beats in all."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.formats import level_text, number_text
from fashion_hpo.design.objectives import OBJECTIVES, VALUE

MOST_TOLD = 6  # trials of a front, in an answer
VALIDATION_IMAGES = 5_000
NOUNS = {"latency": "ms", "flops": "FLOPs"}


def objective_values(records: Records) -> pd.DataFrame:
    """A row for each feasible trial that has them all, by its uid; a column for each objective."""
    sources = {name: "value" if name == VALUE else name for name in records.plan.objectives}
    rows = {
        str(row["uid"]): [float(row.get(source, math.nan)) for source in sources.values()]
        for row in records.feasible.to_dict("records")
    }
    rows_with_gaps = pd.DataFrame.from_dict(
        rows, orient="index", columns=list(sources), dtype=float
    )
    whole: pd.DataFrame = rows_with_gaps.loc[np.isfinite(rows_with_gaps.to_numpy()).all(axis=1)]
    return whole


def front(values: pd.DataFrame) -> pd.DataFrame:
    """The rows that no other dominates, which would be as good in all objectives, better in one.

    Columns are objectives by name.  Best first in the first objective; equal rows all stay.
    """
    falling = [OBJECTIVES[str(name)].better == "lower" for name in values.columns]
    costs = values.to_numpy() * np.where(falling, 1, -1)
    undominated = [
        not ((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any() for row in costs
    ]
    return values.loc[np.array(undominated, dtype=bool)].sort_values(
        list(values.columns), ascending=falling
    )


def places(records: Records) -> dict[str, str]:
    """Whether each complete trial, by its uid, is on the front, dominated or infeasible."""
    values = objective_values(records)
    best = front(values).index
    left_out = records.complete.drop(index=records.feasible.index)
    return {
        **{str(uid): "front" if uid in best else "dominated" for uid in values.index},
        **{str(uid): "infeasible" for uid in left_out.get("uid", ())},
    }


def answer_of_front(records: Records) -> list[str]:
    """The front's trials, best first, and how far they can be told apart."""
    values = objective_values(records)
    best = front(values)
    rows = {str(row["uid"]): row for row in records.trials.to_dict("records")}
    titles = " against ".join(OBJECTIVES[name].title for name in records.plan.objectives)
    kind = "feasible" if records.infeasible else "complete"
    are = "trial is" if len(best) == 1 else "trials are"
    lines = [
        f"{titles.capitalize()}: of {len(values)} {kind} trials, {len(best)} {are} on the "
        "Pareto front."
    ]
    for uid, objectives in best.head(MOST_TOLD).to_dict("index").items():
        row = rows[str(uid)]
        fields = ", ".join(f"{name} {level_text(row[name])}" for name in records.varied)
        lines.append(f"{_written(objectives)}: trial {row['trial']}, {fields}.")
    if len(best) > MOST_TOLD:
        lines.append(f"{len(best) - MOST_TOLD} more are in the report.")
    return [*lines, _caution(rows[str(best.index[0])])]


def _caution(best: Mapping[Any, Any]) -> str:
    error = 196 * math.sqrt(best["value"] * (1 - best["value"]) / VALIDATION_IMAGES)
    return (
        f"One seed each, and {VALIDATION_IMAGES:,} validation images alone leave ±{error:.1f} "
        "points: neighbours on the front may change places. What is best and registered is trial "
        f"{best['trial']}, by {OBJECTIVES[VALUE].title} alone."
    )


def _written(objectives: Mapping[Any, float]) -> str:
    return ", ".join(
        f"{value:.2%}" if name == VALUE else f"{number_text(value)} {NOUNS.get(name, name)}"
        for name, value in objectives.items()
    )
