"""Figures of a design: the final values of the trials of each level."""

from collections.abc import Sequence

import plotly.graph_objects as go

from fashion_hpo.analysis.intervals import Interval
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import column_of
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, at_level
from fashion_hpo.design.budgets import QUICK
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES, Measure
from fashion_hpo.reporting.figures.axes import title_of
from fashion_hpo.reporting.figures.means import add_means, has_mean, means_note
from fashion_hpo.reporting.figures.theme import (
    BLUE,
    GREY,
    new_figure,
    say_empty,
)
from fashion_hpo.reporting.levels import (
    LEVEL_LABEL,
    LevelRows,
    by_level,
    left_out,
    numbers,
    plot_text,
)

LEVEL_HEIGHT = 52  # pixels
FILES = {"val_accuracy": "isolation", "val_loss": "final_loss"}


def final_values(records: Records) -> dict[str, go.Figure]:
    """A figure of each measure that a claim is about, then of accuracy and loss, by file name.

    The first is of the claim that this budget asks.
    """
    measures = dict.fromkeys([*_claimed(records), *FILES])
    return {FILES.get(name, f"final_{name}"): final_value(records, name) for name in measures}


def _claimed(records: Records) -> list[str]:
    """The measures of the claims that a trial has, those of claims that the budget asks first."""
    is_quick = records.plan.budget == QUICK
    claims = sorted(records.plan.spec.claims, key=lambda claim: claim.small_scale != is_quick)
    measures = [part.measure for claim in claims for part in claim.all_parts]
    return [name for name in measures if numbers(records.complete, column_of(name)).notna().any()]


def final_value(records: Records, name: str) -> go.Figure:
    """A measure after the last epoch, every trial a dot, and each level's mean.

    Of the accuracy it is the isolation plot of the tuning playbook: trials at other than the best
    nuisance values of their level are hollow.  Levels stand from top to bottom, so that long names
    are readable on a narrow screen.
    """
    measure, groups, column = MEASURES[name], by_level(records), column_of(name)
    scale = 100 if measure.is_share else 1
    means = [at_level(records, name, rows.levels) for rows in groups]
    note = f"dots: trials; {means_note(records, means)}"
    if len(records.complete) > len(records.tuned):
        note = f"hollow: trials at other nuisance values; {note}"
    note += left_out(records)
    fields = ", ".join(map(title_of, records.plan.scientific))
    height = 180 + LEVEL_HEIGHT * max(len(groups), 2)
    is_tuned = records.plan.spec.nuisance and name == "val_accuracy"
    title = measure.at(None).capitalize() + (", each level at its best" if is_tuned else "")
    figure = new_figure(title, note, x=measure.axis, y=fields or "level", height=height)
    if groups:
        _add_others(figure, records, groups, column, scale)
        _add_dots(figure, groups, column, scale)
        _add_means(figure, means, measure)
    labels = [plot_text(", ".join(map(level_text, rows.values)), LEVEL_LABEL) for rows in groups]
    figure.update_yaxes(
        tickvals=list(range(len(groups))),
        ticktext=labels,
        showgrid=False,
        range=[max(len(groups), 1) - 0.5, -0.5],
    )
    return say_empty(figure)


def _add_dots(figure: go.Figure, groups: Sequence[LevelRows], column: str, scale: float) -> None:
    """Add every trial; the seeds of a level are one below the other."""
    places: list[float] = []
    values: list[float] = []
    names: list[str] = []
    for index, rows in enumerate(groups):
        seeds = rows.trials["seed_index"].astype(int)
        places += (index - 0.12 + 0.05 * (seeds % 5 - 2)).tolist()
        values += (scale * numbers(rows.trials, column)).tolist()
        names += [f"{plot_text(rows.label)}, seed {seed}" for seed in seeds]
    figure.add_scatter(
        x=values,
        y=places,
        text=names,
        mode="markers",
        name="trial",
        marker={"color": BLUE, "size": 9, "opacity": 0.8},
        hovertemplate="%{text}: %{x:.4g}<extra></extra>",
    )


def _add_others(
    figure: go.Figure, records: Records, groups: Sequence[LevelRows], column: str, scale: float
) -> None:
    """Add the complete trials at other than the best nuisance values of their level."""
    others = records.complete.drop(index=records.tuned.index)
    if others.empty:
        return
    places = {rows.values: float(index) - 0.3 for index, rows in enumerate(groups)}
    levels = others[list(records.plan.scientific)].itertuples(index=False, name=None)
    figure.add_scatter(
        x=(scale * numbers(others, column)).tolist(),
        y=[places.get(level) for level in levels],
        mode="markers",
        name="other nuisance values",
        marker={"color": GREY, "size": 7, "symbol": "circle-open"},
        hovertemplate="%{x:.4g}<extra></extra>",
    )


def _add_means(figure: go.Figure, means: Sequence[MeasuredEffect | None], measure: Measure) -> None:
    drawn = [(index, mean) for index, mean in enumerate(means) if mean and has_mean(mean)]
    scale = 100 if measure.is_share else 1
    intervals = [mean.estimate.interval().within(measure.bounds) for _, mean in drawn]
    scaled = [Interval(*(scale * end for end in interval)) for interval in intervals]
    add_means(figure, [index + 0.2 for index, _ in drawn], scaled, ".4g")
