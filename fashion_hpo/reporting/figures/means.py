"""Means over seeds with their intervals, drawn from three seeds on."""

from collections.abc import Sequence

import plotly.graph_objects as go

from fashion_hpo.analysis.intervals import Interval
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, interval_note
from fashion_hpo.reporting.figures.theme import VERMILLION

FEWEST_SEEDS = 3
"""The interval of two seeds is 13 standard errors to each side: it would squeeze the dots."""


def has_mean(statistic: MeasuredEffect | None) -> bool:
    """Whether a figure shows the mean and its interval, or the dots alone."""
    return statistic is not None and len(statistic.effect.values) >= FEWEST_SEEDS


def means_note(records: Records, statistics: Sequence[MeasuredEffect | None]) -> str:
    """What the diamonds of a figure are; says so if there are none."""
    drawn = [statistic for statistic in statistics if statistic and has_mean(statistic)]
    if not drawn:
        return f"an interval needs {FEWEST_SEEDS} seeds"
    return f"diamond: mean over seeds, with its {interval_note(records, drawn)}"


def add_means(
    figure: go.Figure, places: Sequence[float], intervals: Sequence[Interval], hover: str
) -> None:
    """Add a diamond with its interval at each place of the vertical axis."""
    if not intervals:
        return
    figure.add_scatter(
        x=[interval.mean for interval in intervals],
        y=list(places),
        mode="markers",
        name="mean, 95 % interval",
        marker={"color": VERMILLION, "size": 11, "symbol": "diamond"},
        error_x={
            "type": "data",
            "array": [interval.high - interval.mean for interval in intervals],
            "arrayminus": [interval.mean - interval.low for interval in intervals],
            "color": VERMILLION,
            "thickness": 2,
        },
        hovertemplate=f"mean %{{x:{hover}}}<extra></extra>",
    )
