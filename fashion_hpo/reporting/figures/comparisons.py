"""Figures that compare levels: differences on shared seeds, and two fields at once."""

from collections.abc import Mapping
from itertools import combinations

import plotly.graph_objects as go

from fashion_hpo.analysis.intervals import Interval
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import references_of
from fashion_hpo.analysis.statistics.estimates import (
    MeasuredEffect,
    at_level,
    between,
)
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.spec import Level
from fashion_hpo.reporting.figures.axes import title_of
from fashion_hpo.reporting.figures.means import add_means, has_mean, means_note
from fashion_hpo.reporting.figures.theme import BLUE, GREY, faint, new_figure, say_empty
from fashion_hpo.reporting.levels import LEVEL_LABEL, LevelRows, by_level, left_out, plot_text

LEVEL_HEIGHT = 52  # pixels
CELL_HEIGHT = 58
MOST_PAIRS = 6  # of scientific fields
PALE_TO_BLUE = [[0.0, faint(BLUE, 0.05)], [1.0, faint(BLUE, 0.65)]]
OBJECTIVE = MEASURES["value"].title


def paired_differences(records: Records) -> go.Figure | None:
    """The difference of each level to the base config's level on shared seeds; None without any.

    In points of accuracy; the intervals are those of the sentences on the same differences.
    """
    levels = by_level(records)
    if len(levels) < 2:
        return None
    reference = references_of(records.plan)
    first = next((rows for rows in levels if rows.levels == reference), levels[0])
    others = [rows for rows in levels if rows is not first]
    pairs = [(rows, between(records, "value", first.levels, rows.levels)) for rows in others]
    gains = [(rows, gain) for rows, gain in pairs if gain is not None]
    if not gains:
        return None
    figure = new_figure(
        f"Differences to {first.short}, on shared seeds",
        f"dots: one seed each; {means_note(records, [gain for _, gain in gains])}; not corrected "
        "for several comparisons" + left_out(records),
        x=f"difference in {OBJECTIVE} (points)",
        y=", ".join(map(title_of, records.plan.scientific)),
        height=190 + LEVEL_HEIGHT * max(len(gains), 2),
    )
    for index, (rows, gain) in enumerate(gains):
        _add_seeds(figure, index, rows, gain)
    drawn = [(index, gain) for index, (_, gain) in enumerate(gains) if has_mean(gain)]
    intervals = [Interval(*(100 * end for end in g.estimate.interval())) for _, g in drawn]
    add_means(figure, [index + 0.2 for index, _ in drawn], intervals, "+.2f")
    figure.add_vline(x=0, line={"color": GREY, "dash": "dash", "width": 1.5})
    figure.update_yaxes(
        tickvals=list(range(len(gains))),
        ticktext=[plot_text(", ".join(map(level_text, r.values)), LEVEL_LABEL) for r, _ in gains],
        showgrid=False,
        range=[len(gains) - 0.5, -0.5],
    )
    return figure


def interactions(records: Records) -> dict[str, go.Figure]:
    """A figure for each pair of scientific fields, the mean over all others; by the two names."""
    pairs = list(combinations(records.plan.scientific, 2))[:MOST_PAIRS]
    return {f"{first}_{second}": _interaction(records, first, second) for first, second in pairs}


def _interaction(records: Records, first: str, second: str) -> go.Figure:
    rows, columns = (records.plan.scientific[name] for name in (first, second))
    values = [[_mean(records, {first: row, second: column}) for column in columns] for row in rows]
    figure = new_figure(
        f"{plot_text(first)} and {plot_text(second)}",
        f"mean {OBJECTIVE} (%) over seeds and other fields; without an interaction, two rows "
        "differ by the same amount in every column",
        x=title_of(second),
        y=title_of(first),
        height=190 + CELL_HEIGHT * max(len(rows), 2),
    )
    if any(value is not None for row in values for value in row):
        figure.add_heatmap(
            x=[plot_text(level_text(level), LEVEL_LABEL) for level in columns],
            y=[plot_text(level_text(level), LEVEL_LABEL) for level in rows],
            z=values,
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


def _mean(records: Records, levels: Mapping[str, Level]) -> float | None:
    """Accuracy in percent; None unless a seed has every level of the other fields."""
    mean = at_level(records, "value", levels)
    return None if mean is None else 100 * mean.estimate.mean


def _add_seeds(figure: go.Figure, index: int, rows: LevelRows, gain: MeasuredEffect) -> None:
    figure.add_scatter(
        x=(100 * gain.effect.values).tolist(),
        y=[index - 0.12 + 0.05 * (int(seed) % 5 - 2) for seed in gain.effect.seeds],
        text=[f"{plot_text(rows.label)}, seed {seed}" for seed in gain.effect.seeds],
        mode="markers",
        name="seed",
        showlegend=index == 0,
        marker={"color": BLUE, "size": 9, "opacity": 0.8},
        hovertemplate="%{text}: %{x:+.2f} points<extra></extra>",
    )
