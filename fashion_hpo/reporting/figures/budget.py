"""What a search would have found with fewer trials, and what it could be expected to find."""

import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import budget_bootstrap
from fashion_hpo.analysis.statistics.expected_regret import Curve, Curves, of_search, sentence
from fashion_hpo.reporting.figures.theme import (
    ACCURACY,
    BLUE,
    GREY,
    VERMILLION,
    faint,
    new_figure,
)


def budget_curve(records: Records) -> go.Figure | None:
    """The expected best of n trials with the band of 90 % of orders; None with too few trials."""
    best_of = budget_bootstrap.of_search(records)
    if best_of is None:
        return None
    note = "the best of n trials in random order; band: 90 % of orders"
    if not budget_bootstrap.is_exact(records):
        note += "; a guide only, as later trials depended on earlier ones"
    figure = new_figure("What fewer trials would have found", note, x="trials (n)", y=ACCURACY)
    numbers = list(range(1, len(best_of.expected) + 1))
    low, high = (100 * best_of.low).tolist(), (100 * best_of.high).tolist()
    _add_band(figure, numbers, low, high, "90 % of orders")
    figure.add_scatter(
        x=numbers,
        y=(100 * best_of.expected).tolist(),
        mode="lines",
        line={"color": BLUE},
        name="expected best",
        hovertemplate="best of %{x}: %{y:.2f} %<extra></extra>",
    )
    floor, top = min(low), max(high)
    if len(low) > 2:  # the first few trials would squeeze what matters to the top
        floor = min(low[len(low) // 4 :])
    margin = 0.06 * (top - floor) or 0.5
    figure.update_yaxes(range=[floor - margin, top + margin])
    return figure


def expected_regret(records: Records, kept: Curves | None) -> go.Figure | None:
    """What a search can be expected to find for its image passes; None if no table says so."""
    expected = of_search(records, kept)
    if expected is None:
        return None
    figure = new_figure(
        "What this budget can be expected to find",
        sentence(expected),
        x="image passes, in complete trials",
        y="expected regret (percentage points)",
    )
    own = expected.own
    trials = list(range(1, len(own.mean) + 1))
    low, high = ([100 * value for value in bound] for bound in (own.low, own.high))
    _add_band(figure, trials, low, high, "95 % interval")
    if expected.random is not None:
        _add_curve(figure, expected.random, GREY, "dash")
    _add_curve(figure, own, BLUE, "solid")
    figure.add_vline(
        x=expected.spent,
        line={"color": VERMILLION, "dash": "dot"},
        annotation_text="this search",
        annotation_font_color=VERMILLION,
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def _add_curve(figure: go.Figure, curve: Curve, colour: str, dash: str) -> None:
    figure.add_scatter(
        x=list(range(1, len(curve.mean) + 1)),
        y=[100 * value for value in curve.mean],
        mode="lines",
        line={"color": colour, "dash": dash},
        name=f"{curve.sampler}, pruner {curve.pruner}",
        hovertemplate="%{x} trials: %{y:.2f} points<extra></extra>",
    )


def _add_band(
    figure: go.Figure, x: list[int], low: list[float], high: list[float], name: str
) -> None:
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*high, *reversed(low)],
        mode="lines",
        fill="toself",
        fillcolor=faint(BLUE),
        line={"width": 0},
        hoverinfo="skip",
        name=name,
    )
