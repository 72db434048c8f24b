"""What a search would have found with fewer trials."""

import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import budget_bootstrap
from fashion_hpo.reporting.figures.theme import ACCURACY, BLUE, faint, new_figure


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
    figure.add_scatter(
        x=[*numbers, *reversed(numbers)],
        y=[*high, *reversed(low)],
        mode="lines",
        fill="toself",
        fillcolor=faint(BLUE),
        line={"width": 0},
        hoverinfo="skip",
        name="90 % of orders",
    )
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
