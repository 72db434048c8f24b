"""The objective over the two most important numeric fields of a search."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.formats import level_text
from fashion_hpo.reporting.figures.axes import FieldAxis, field_axis
from fashion_hpo.reporting.figures.theme import ACCURACY, HEIGHT, LOW_TO_HIGH, new_figure
from fashion_hpo.reporting.levels import numbers, plot_text

CELLS = 48  # of the grid along each axis
BANDWIDTH = 0.1  # of the Gaussian kernel, as a share of an axis
FARTHEST = 0.25  # share of an axis; the grid is empty where no trial is nearer


def contour(records: Records, importances: Mapping[str, float]) -> go.Figure | None:
    """Complete trials as dots, and their smoothed objective; None without two numeric fields.

    `importances`: the fields, the most important first.
    """
    axes = {name: field_axis(name, records.plan.ranges[name]) for name in importances}
    numeric = [name for name, axis in axes.items() if axis.kind != "choices"]
    if len(numeric) < 2:
        return None
    first, second = numeric[:2]
    values = 100 * numbers(records.complete, "value").dropna()
    trials = records.complete.loc[values.index]
    x, y = ([axes[name].place(value) for value in trials[name]] for name in (first, second))
    figure = new_figure(
        f"{plot_text(first)} and {plot_text(second)}",
        "the two most important numeric fields; dots: complete trials; colour between them: a "
        f"weighted mean of trials nearby (Gaussian, {BANDWIDTH:.0%} of each axis), a guide only",
        x=axes[first].title,
        y=axes[second].title,
        height=HEIGHT + 20,
    )
    grid_x, grid_y = (
        np.linspace(axes[name].ends[0], axes[name].ends[1], CELLS) for name in (first, second)
    )
    smooth = _smoothed(np.array([x, y]).T, values.to_numpy(), grid_x, grid_y)
    figure.add_contour(
        x=grid_x.tolist(),
        y=grid_y.tolist(),
        z=[[None if np.isnan(z) else z for z in row] for row in smooth.tolist()],
        zmin=values.min(),
        zmax=values.max(),
        colorscale=LOW_TO_HIGH,  # a contour hangs plotly's JavaScript where it shares a colour axis
        showscale=False,
        opacity=0.55,
        line={"width": 0.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        showlegend=False,
        marker={
            "color": values.tolist(),
            "cmin": values.min(),
            "cmax": values.max(),
            "colorscale": LOW_TO_HIGH,
            "colorbar": {"title": {"text": ACCURACY, "side": "right"}, "thickness": 12},
            "size": 10,
            "line": {"width": 1.5, "color": "rgba(128, 128, 128, 0.9)"},
        },
        text=[
            f"{plot_text(first)} {level_text(a)}, {plot_text(second)} {level_text(b)}"
            for a, b in zip(trials[first], trials[second], strict=True)
        ],
        hovertemplate="%{text}: %{marker.color:.2f} %<extra></extra>",
    )
    figure.update_xaxes(range=axes[first].ends, showgrid=False, **_ticks(axes[first]))
    figure.update_yaxes(range=axes[second].ends, showgrid=False, **_ticks(axes[second]))
    return figure


def _smoothed(
    places: np.ndarray, values: np.ndarray, grid_x: np.ndarray, grid_y: np.ndarray
) -> np.ndarray:
    """The kernel mean of the values (N,) at places (N, 2), (rows, columns); NaN far from all."""
    spans = np.array([np.ptp(grid_x), np.ptp(grid_y)])
    cells = np.stack(np.meshgrid(grid_x, grid_y), -1)
    squares = (((cells[:, :, None] - places) / spans) ** 2).sum(-1)  # squared distances
    nearest = squares.min(-1, keepdims=True)
    weights = np.exp((nearest - squares) / (2 * BANDWIDTH**2))  # 1 for the nearest place
    means = (weights * values).sum(-1) / weights.sum(-1)
    return np.where(nearest[..., 0] <= FARTHEST**2, means, np.nan)


def _ticks(axis: FieldAxis) -> dict[str, list[float] | list[str]]:
    if axis.ticks is None:
        return {}
    at = [axis.place(tick) for tick in axis.ticks]
    return {"tickvals": at, "ticktext": list(axis.ticks.values())}
