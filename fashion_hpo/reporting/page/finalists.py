"""What a search's report says of its winner: finalists on fresh seeds, and smaller budgets."""

import math

import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import budget_bootstrap
from fashion_hpo.analysis.statistics.selection import Finalist, finalists
from fashion_hpo.design.formats import level_text
from fashion_hpo.reporting.figures.theme import ACCURACY, BLUE, faint, new_figure
from fashion_hpo.reporting.page.tables import NONE, Cell, Table, percent


def finalists_table(records: Records) -> Table | None:
    """The winner first: what the search saw, what fresh seeds say; None before there are any."""
    ranked = finalists(records)
    if not ranked:
        return None
    headings = ["trial", *records.varied, "search score", "fresh-seed mean", "seeds", "bias"]
    caption = "The search's best trials, trained again on seeds that it never used; winner first"
    sources = "seeds and images" if any(finalist.images for finalist in ranked) else "seeds"
    note = (
        f"Intervals (95 %) are from the noise of {sources}."
        if any(finalist.seeds > 1 for finalist in ranked)
        else "One fresh seed has no interval."
    )
    note += " Bias is the search score minus the fresh-seed mean, in points."
    if len(ranked) > 1:
        note += " The mean that decided is that of the best of a few, and a little too good still."
    return Table(caption, headings, [_row(finalist) for finalist in ranked], note)


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


def _row(finalist: Finalist) -> list[Cell | str]:
    mean, low, high = finalist.fresh
    spread = "" if math.isnan(low) else f"{percent(low)} to {percent(high)}"
    bias = NONE if math.isnan(mean) else f"{100 * finalist.bias:+.2f}"
    return [
        str(finalist.trial),
        *(level_text(value) for value in finalist.values.values()),
        percent(finalist.score),
        Cell(percent(mean), note=spread),
        str(finalist.seeds),
        bias,
    ]
