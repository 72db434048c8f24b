"""Figures that compare levels: differences on shared seeds, and two fields at once."""

from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import t_interval
from fashion_hpo.reporting.axes import title_of
from fashion_hpo.reporting.levels import (
    LEVEL_LABEL,
    LevelRows,
    by_level,
    left_out,
    numbers,
    plot_text,
    shown,
)
from fashion_hpo.reporting.theme import (
    BLUE,
    GREY,
    VERMILLION,
    faint,
    new_figure,
    say_empty,
)

LEVEL_HEIGHT = 52  # pixels
CELL_HEIGHT = 58
MOST_PAIRS = 6  # of scientific fields
PALE_TO_BLUE = [[0.0, faint(BLUE, 0.05)], [1.0, faint(BLUE, 0.65)]]
OBJECTIVE = "validation accuracy"


def paired_differences(records: Records) -> go.Figure | None:
    """Each level less the study's first, seed by seed; None where no seed has both."""
    levels = by_level(records)
    if len(levels) < 2:
        return None
    first = levels[0]
    found = [(rows, differences(rows, first)) for rows in levels[1:]]
    found = [(rows, gains) for rows, gains in found if len(gains)]
    if not found:
        return None
    base = first.short
    figure = new_figure(
        f"Differences to {base}, on shared seeds",
        "dots: one seed each; diamond: mean, with its 95 % t interval; not corrected for several "
        "comparisons" + left_out(records),
        x=f"difference in {OBJECTIVE} (points)",
        y=", ".join(map(title_of, records.plan.scientific)),
        height=190 + LEVEL_HEIGHT * max(len(found), 2),
    )
    for index, (rows, gains) in enumerate(found):
        _add_seeds(figure, index, rows, gains)
    _add_means(figure, [gains for _, gains in found])
    figure.add_vline(x=0, line={"color": GREY, "dash": "dash", "width": 1.5})
    figure.update_yaxes(
        tickvals=list(range(len(found))),
        ticktext=[plot_text(", ".join(map(shown, r.values)), LEVEL_LABEL) for r, _ in found],
        showgrid=False,
        range=[len(found) - 0.5, -0.5],
    )
    return figure


def differences(rows: LevelRows, base: LevelRows) -> "pd.Series[float]":
    """In points of accuracy, by seed; seeds that one of the two lacks are left out."""
    own, other = (
        (100 * numbers(each.trials, "value")).groupby(each.trials["seed_index"]).mean()
        for each in (rows, base)
    )
    return (own - other).dropna()


def interactions(records: Records) -> dict[str, go.Figure]:
    """For two scientific fields at a time, the mean over all others; by the fields' names."""
    pairs = list(combinations(records.plan.scientific, 2))[:MOST_PAIRS]
    return {f"{first}_{second}": _interaction(records, first, second) for first, second in pairs}


def _interaction(records: Records, first: str, second: str) -> go.Figure:
    rows, columns = (records.plan.scientific[name] for name in (first, second))
    trials = records.tuned.assign(reached=100 * numbers(records.tuned, "value"))
    means = trials.groupby([first, second])["reached"].mean().to_dict()
    values = [[means.get((row, column), np.nan) for column in columns] for row in rows]
    figure = new_figure(
        f"{plot_text(first)} and {plot_text(second)}",
        f"mean {OBJECTIVE} (%) over seeds and other fields; where one field's effect is the same "
        "at every level of the other, rows differ by the same amount throughout",
        x=title_of(second),
        y=title_of(first),
        height=190 + CELL_HEIGHT * max(len(rows), 2),
    )
    if means:
        figure.add_heatmap(
            x=[plot_text(shown(level), LEVEL_LABEL) for level in columns],
            y=[plot_text(shown(level), LEVEL_LABEL) for level in rows],
            z=[[None if np.isnan(value) else value for value in row] for row in values],
            colorscale=PALE_TO_BLUE,
            showscale=False,
            xgap=2,
            ygap=2,
            texttemplate="%{z:.2f}",
            hovertemplate="%{y}, %{x}: %{z:.2f} %<extra></extra>",
            hoverongaps=False,
        )
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    return say_empty(figure)


def _add_seeds(figure: go.Figure, index: int, rows: LevelRows, gains: "pd.Series[float]") -> None:
    figure.add_scatter(
        x=gains.tolist(),
        y=[index - 0.12 + 0.05 * (int(seed) % 5 - 2) for seed in gains.index],
        text=[f"{plot_text(rows.label)}, seed {seed}" for seed in gains.index],
        mode="markers",
        name="seed",
        showlegend=index == 0,
        marker={"color": BLUE, "size": 9, "opacity": 0.8},
        hovertemplate="%{text}: %{x:+.2f} points<extra></extra>",
    )


def _add_means(figure: go.Figure, found: list["pd.Series[float]"]) -> None:
    intervals = [t_interval(gains.tolist()) for gains in found]
    halves = [interval.high - interval.mean for interval in intervals]
    figure.add_scatter(
        x=[interval.mean for interval in intervals],
        y=[index + 0.2 for index in range(len(intervals))],
        mode="markers",
        name="mean, 95 % interval",
        marker={"color": VERMILLION, "size": 11, "symbol": "diamond"},
        error_x={
            "type": "data",
            "array": [None if np.isnan(half) else half for half in halves],
            "color": VERMILLION,
            "thickness": 2,
        },
        hovertemplate="mean %{x:+.2f} points<extra></extra>",
    )
