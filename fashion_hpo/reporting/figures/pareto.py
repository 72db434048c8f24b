"""Figures of the Pareto front: the first objective against each of the others."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.pareto import front, objective_values
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.objectives import OBJECTIVES, VALUE
from fashion_hpo.reporting.figures.theme import (
    ACCURACY,
    BLUE,
    GREY,
    VERMILLION,
    faint,
    new_figure,
    say_empty,
)
from fashion_hpo.reporting.levels import left_out, plot_text

LONGEST_TEXT = 200  # characters
DOMINATED = {"color": faint(GREY, 0.75), "size": 8, "symbol": "circle-open"}
ON_FRONT = {"color": BLUE, "size": 9, "symbol": "circle"}


def pareto_fronts(records: Records) -> dict[str, go.Figure]:
    """A figure for each objective other than the accuracy, by name."""
    values = objective_values(records)
    return {name: _front(records, values, name) for name in records.plan.objectives[1:]}


def _front(records: Records, values: pd.DataFrame, cost: str) -> go.Figure:
    """A dot for each complete trial, and the front of these two objectives as a step line."""
    objective = OBJECTIVES[cost]
    note = f"filled: no trial is better in both; hollow: one is{left_out(records)}"
    title = f"{objective.title} ({objective.unit.symbol}, log scale)"
    figure = new_figure(f"Accuracy against {objective.title}", note, x=title, y=ACCURACY)
    if values.empty:
        return say_empty(figure)
    best = front(values[[VALUE, cost]])
    steps = best.sort_values([cost, VALUE])
    figure.add_scatter(
        x=steps[cost].tolist(),
        y=(100 * steps[VALUE]).tolist(),
        mode="lines",
        name="Pareto front",
        line={"shape": "hv", "color": VERMILLION},
        hoverinfo="skip",
    )
    texts = _texts(records)
    _add_dots(figure, texts, values.drop(best.index), cost, "other trials", DOMINATED)
    _add_dots(figure, texts, best, cost, "on the front", ON_FRONT)
    figure.update_xaxes(type="log")
    return figure


def _add_dots(
    figure: go.Figure,
    texts: Mapping[str, str],
    values: pd.DataFrame,
    cost: str,
    name: str,
    marker: dict[str, object],
) -> None:
    if values.empty:
        return
    figure.add_scatter(
        x=values[cost].tolist(),
        y=(100 * values[VALUE]).tolist(),
        mode="markers",
        name=name,
        marker=marker,
        text=[texts[str(uid)] for uid in values.index],
        hovertemplate="%{text}<br>%{x:,.4g}: %{y:.2f} %<extra></extra>",
    )


def _texts(records: Records) -> dict[str, str]:
    """The hover text of each trial, by uid."""
    texts = {}
    for row in records.complete.to_dict("records"):
        fields = ", ".join(f"{name} {level_text(row[name])}" for name in records.varied)
        texts[str(row["uid"])] = plot_text(f"trial {row['trial']}: {fields}", LONGEST_TEXT)
    return texts
