"""Figures of a search: history, importance, parallel coordinates, slices."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.figures.axes import FieldAxis, field_axis
from fashion_hpo.reporting.figures.theme import (
    ACCURACY,
    BLUE,
    GREY,
    HEIGHT,
    LOW_TO_HIGH,
    PURPLE,
    VERMILLION,
    faint,
    new_figure,
    say_empty,
)
from fashion_hpo.reporting.levels import numbers, plot_text

FIRST_SLICES = ("dropout", "batch_size", "learning_rate")  # what the reports vary
WITH_VALUE = {
    "pruned": {"color": faint(GREY, 0.75), "size": 8, "symbol": "circle-open"},
    "complete": {"color": BLUE, "size": 8, "symbol": "circle"},
}
WITHOUT_VALUE = {
    "diverged": {"color": VERMILLION, "size": 9, "symbol": "x"},
    "failed": {"color": PURPLE, "size": 9, "symbol": "triangle-down"},
}
BAR_HEIGHT = 42  # pixels
STRIP = 0.06  # distance between dots of one choice; choices are 1 apart


def optimisation_history(records: Records) -> go.Figure:
    """The value of each trial in the order of the search, and the best complete value so far."""
    note = "filled: complete trials; hollow: pruned; trials without a value are at the bottom"
    figure = new_figure("Optimisation history", note, x="trial number", y=ACCURACY)
    trials = records.trials.sort_values("trial")
    values = 100 * numbers(trials, "value")
    can_be_best = (trials["outcome"] == "complete") & _feasible(trials)
    best = values.where(can_be_best).cummax().ffill()
    if best.notna().any():
        line = {"shape": "hv", "color": VERMILLION}
        x, y = trials["trial"].tolist(), best.tolist()
        figure.add_scatter(x=x, y=y, mode="lines", name="best so far", line=line)
    for outcome, marker in WITH_VALUE.items():
        chosen = (trials["outcome"] == outcome) & values.notna()
        _add_dots(figure, trials[chosen]["trial"], values[chosen], outcome, marker)
    for outcome, marker in WITHOUT_VALUE.items():
        numbered = trials[trials["outcome"] == outcome]["trial"]
        foot = pd.Series(_foot(values), index=numbered.index)
        hover = f"trial %{{x}} {outcome}: no value<extra></extra>"
        _add_dots(figure, numbered, foot, outcome, marker, hover=hover)
    return say_empty(figure)


def _feasible(trials: pd.DataFrame) -> "pd.Series[bool]":
    if "feasible" not in trials:
        return pd.Series(True, index=trials.index)
    return trials["feasible"].astype(bool)


def importance_bars(importances: Mapping[str, float]) -> go.Figure:
    """The importance of each searched field, the most important on top."""
    names = list(importances)[::-1]
    figure = new_figure(
        "Importance of the searched fields",
        "share of what sets the best trials apart (PED-ANOVA); the shares add up to 1",
        x="importance (share, 0 to 1)",
        y="searched field",
        height=150 + BAR_HEIGHT * max(len(names), 2),
    )
    if names:
        shares = [importances[name] for name in names]
        figure.add_bar(
            x=shares,
            y=[plot_text(name) for name in names],
            orientation="h",
            marker={"color": BLUE, "line": {"width": 0}},
            text=[f"{share:.2f}" for share in shares],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
        figure.update_xaxes(range=[0, 1.12 * max(shares) or 1])
    return say_empty(figure)


def parallel_coordinates(records: Records) -> go.Figure:
    """A line for each complete trial through its values, coloured by accuracy."""
    values = 100 * numbers(records.complete, "value").dropna()
    trials = records.complete.loc[values.index]
    note = "each line is a complete trial; drag along an axis to pick a range"
    figure = new_figure("Parallel coordinates", note, x="searched field", y=ACCURACY)
    if trials.empty:
        return say_empty(figure)
    dimensions = [_dimension(trials[name], axis) for name, axis in _axes(records).items()]
    dimensions.append({"label": ACCURACY, "values": values.tolist()})
    figure.add_parcoords(
        dimensions=dimensions,
        labelangle=-12,
        rangefont={"color": "rgba(0, 0, 0, 0)"},  # the ticks show the range
        line={
            "color": values.tolist(),
            "colorscale": LOW_TO_HIGH,
            "showscale": True,
            "colorbar": {"title": {"text": ACCURACY, "side": "right"}, "thickness": 12},
        },
    )
    figure.update_layout(margin={"l": 70, "r": 30, "t": 110, "b": 30}, height=HEIGHT + 40)
    return figure


def slices(records: Records) -> dict[str, go.Figure]:
    """For each searched field, values against the objective; the reports' three fields first."""
    return {name: _slice(records, name, axis) for name, axis in _axes(records).items()}


def _slice(records: Records, name: str, axis: FieldAxis) -> go.Figure:
    note = "filled: complete trials; light and hollow: pruned, with the value they had"
    figure = new_figure(f"{plot_text(name)} against the objective", note, x=axis.title, y=ACCURACY)
    values = 100 * numbers(records.trials, "value")
    for outcome, marker in WITH_VALUE.items():
        chosen = (records.trials["outcome"] == outcome) & values.notna()
        if not chosen.any():
            continue
        column, reached = records.trials[chosen][name], values[chosen]
        if axis.kind == "choices":
            column = column.map(axis.place)
            if outcome == "complete":
                _add_boxes(figure, column, reached)
            column = column + STRIP * (records.trials[chosen]["trial"] % 7 - 3)
        _add_dots(figure, column, reached, outcome, marker)
    figure.update_xaxes(type="log" if axis.kind == "log" else "linear", range=axis.ends)
    if axis.ticks is not None:
        figure.update_xaxes(tickvals=list(axis.ticks), ticktext=list(axis.ticks.values()))
    return say_empty(figure)


def _add_dots(
    figure: go.Figure,
    x: pd.Series,
    y: pd.Series,
    name: str,
    marker: Mapping[str, Any],
    *,
    hover: str = "%{x}: %{y:.2f} %",
) -> None:
    if len(x):
        figure.add_scatter(
            x=x.tolist(),
            y=y.tolist(),
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate=hover,
        )


def _add_boxes(figure: go.Figure, places: pd.Series, values: pd.Series) -> None:
    """Add the quartiles of the complete trials at each choice, below the dots."""
    figure.add_box(
        x=places.tolist(),
        y=values.tolist(),
        name="quartiles",
        line={"color": faint(BLUE, 0.6), "width": 1},
        fillcolor="rgba(0, 0, 0, 0)",
        boxpoints=False,
        hoverinfo="skip",
        showlegend=False,
    )


def _dimension(column: pd.Series, axis: FieldAxis) -> dict[str, Any]:
    """An axis of the parallel coordinates over the whole searched range."""
    ends = axis.ends
    dimension = {
        "label": axis.title,
        "values": [axis.place(value) for value in column],
        "range": ends,
    }
    if axis.ticks is None:
        return dimension
    at = list(axis.ticks) if axis.kind == "choices" else [axis.place(tick) for tick in axis.ticks]
    return {**dimension, "tickvals": at, "ticktext": list(axis.ticks.values())}


def _axes(records: Records) -> dict[str, FieldAxis]:
    """The axes of the fields: first those in the reports, then the others in the study's order."""
    ranges = records.plan.ranges
    order = dict.fromkeys([*(name for name in FIRST_SLICES if name in ranges), *ranges])
    return {name: field_axis(name, ranges[name]) for name in order}


def _foot(values: pd.Series) -> float:
    """The height of trials without a value: a little below the lowest value."""
    known = values.dropna()
    if known.empty:
        return 0.0
    return float(known.min() - 0.06 * (known.max() - known.min() or 1))
