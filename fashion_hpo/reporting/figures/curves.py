"""Figures of a design: losses and accuracy by epoch.  Records in, plotly figures out."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.reporting.figures.theme import (
    ACCURACY,
    BLUE,
    GREY,
    HEIGHT,
    LOSS,
    VERMILLION,
    LevelLook,
    faint,
    level_look,
    new_figure,
    say_empty,
)
from fashion_hpo.reporting.levels import (
    LevelRows,
    by_level,
    left_out,
    level_rows,
    numbers,
    plot_text,
)

EPOCH = "epoch"
LEGEND_ROW = 20  # pixels
FEW_EPOCHS = 10
VALIDATION, TRAINING = "validation", "training, in evaluation mode"


def loss_curves(records: Records) -> go.Figure:
    """Validation loss (solid) and training loss in evaluation mode (dashed) at every level."""
    groups = by_level(records)
    figure = new_figure(
        "Loss by epoch", _curve_note(records, groups), x=EPOCH, y=LOSS, height=_height(groups)
    )
    for index, rows in enumerate(groups):
        look, label = level_look(index), rows.short
        _add_curve(figure, curve(rows.epochs, "val_loss"), label, look, "solid")
        _add_curve(figure, curve(rows.epochs, "train_eval_loss"), label, look, "dash", listed=False)
    if groups:
        for name, dash in ((VALIDATION, "solid"), (TRAINING, "dash")):
            figure.add_scatter(
                x=[None], y=[None], mode="lines", name=name, line={"color": GREY, "dash": dash}
            )
    return say_empty(_whole_epochs(figure, records))


def accuracy_curves(records: Records) -> go.Figure:
    """Validation accuracy at every level."""
    groups = by_level(records)
    note = _curve_note(records, groups)
    figure = new_figure(
        "Validation accuracy by epoch", note, x=EPOCH, y=ACCURACY, height=_height(groups)
    )
    for index, rows in enumerate(groups):
        spread = curve(rows.epochs, "val_accuracy", scale=100)
        _add_curve(figure, spread, rows.short, level_look(index), "solid")
    return say_empty(_whole_epochs(figure, records))


def captioned_levels(records: Records) -> list[go.Figure]:
    """A figure for each level with a caption in the study; all have the same axis ranges.

    Losses on the left axis, validation accuracy on the right, means over trials.
    """
    captions = records.plan.spec.captions
    levels = [(caption, level_rows(records, (level,))) for level, caption in captions.items()]
    levels = [(caption, rows) for caption, rows in levels if len(rows.epochs)]
    losses = _range(
        [
            curve(rows.epochs, name).mean
            for _, rows in levels
            for name in ("val_loss", "train_eval_loss")
        ]
    )
    shares = _range([curve(rows.epochs, "val_accuracy", scale=100).mean for _, rows in levels])
    figures = [_captioned(caption, rows, losses, shares) for caption, rows in levels]
    return [_whole_epochs(figure, records) for figure in figures]


@dataclass(frozen=True)
class Curve:
    """Mean, lowest and highest value of a metric over trials, indexed by epoch."""

    mean: pd.Series
    low: pd.Series
    high: pd.Series
    trials: int


def curve(epochs: pd.DataFrame, metric: str, *, scale: float = 1) -> Curve:
    """The curve of a metric over trials; epochs without a number are left out."""
    if "epoch" not in epochs or epochs.empty:
        empty = pd.Series(dtype=float)
        return Curve(empty, empty, empty, 0)
    groups = (numbers(epochs, metric) * scale).groupby(epochs["epoch"])
    mean, low, high = (values.dropna() for values in (groups.mean(), groups.min(), groups.max()))
    return Curve(mean, low, high, epochs["trial"].nunique())


def _add_curve(
    figure: go.Figure,
    drawn: Curve,
    label: str,
    look: LevelLook,
    dash: str,
    *,
    listed: bool = True,
) -> None:
    """Add a mean line and its band, which the level's entry in the legend shows and hides."""
    if drawn.trials > 1:
        outline = [*drawn.high.tolist(), *drawn.low[::-1].tolist()]
        epochs = [*drawn.high.index.tolist(), *drawn.low.index[::-1].tolist()]
        figure.add_scatter(
            x=epochs,
            y=outline,
            fill="toself",
            fillcolor=faint(look.colour),
            mode="none",
            name=label,
            legendgroup=label,
            showlegend=False,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=drawn.mean.index.tolist(),
        y=drawn.mean.tolist(),
        mode="lines+markers",
        name=label,
        legendgroup=label,
        showlegend=listed,
        line={"color": look.colour, "dash": dash},
        marker={"size": 5, "symbol": look.symbol},
        hovertemplate="%{fullData.name}<br>epoch %{x}: %{y:.4g}<extra></extra>",
    )


def _whole_epochs(figure: go.Figure, records: Records) -> go.Figure:
    """The figure without ticks between epochs, if there are few epochs."""
    if records.plan.base.epochs <= FEW_EPOCHS:
        figure.update_xaxes(dtick=1)
    return figure


def _height(groups: Sequence[LevelRows]) -> int:
    """The height, with room for a legend whose entries are stacked on a narrow screen."""
    return HEIGHT + LEGEND_ROW * max(0, len(groups) - 3)


def _curve_note(records: Records, groups: Sequence[LevelRows]) -> str:
    """The note that explains line and band, and which trials are left out."""
    most = max((len(rows.trials) for rows in groups), default=0)
    note = f"line: mean of up to {most} trials a level; band: lowest to highest of them"
    if most == 1:
        note = "one trial a level: no spread to show"
    if any(rows.epochs.groupby("trial")["epoch"].max().nunique() > 1 for rows in groups):
        note += "; some stopped early, so that later means are of fewer"
    return note + left_out(records)


def _captioned(
    caption: str, rows: LevelRows, losses: list[float] | None, shares: list[float] | None
) -> go.Figure:
    count = len(rows.trials)
    note = f"mean of {count} trials" if count > 1 else "one trial"
    figure = new_figure(
        plot_text(caption),
        f"losses on the left axis, accuracy on the right; {note}",
        x=EPOCH,
        y=LOSS,
    )
    lines = (
        ("val_loss", MEASURES["val_loss"].title, BLUE, "solid", "y", 1),
        (
            "train_eval_loss",
            f"{MEASURES['train_eval_loss'].title}, in evaluation mode",
            BLUE,
            "dash",
            "y",
            1,
        ),
        ("val_accuracy", MEASURES["val_accuracy"].title, VERMILLION, "solid", "y2", 100),
    )
    for metric, name, colour, dash, axis, scale in lines:
        mean = curve(rows.epochs, metric, scale=scale).mean
        figure.add_scatter(
            x=mean.index.tolist(),
            y=mean.tolist(),
            name=name,
            yaxis=axis,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            marker={"size": 4},
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )
    figure.update_layout(
        yaxis={"range": losses},
        yaxis2={
            "title": {"text": ACCURACY},
            "range": shares,
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "automargin": True,
            "tickmode": "auto",
        },
    )
    return figure


def _range(curves: Sequence[pd.Series]) -> list[float] | None:
    """From the lowest to the highest value of all curves, with a margin; None without a number."""
    values = pd.concat(curves).dropna() if curves else pd.Series(dtype=float)
    if values.empty:
        return None
    room = 0.05 * (values.max() - values.min()) or 0.5
    return [float(values.min() - room), float(values.max() + room)]
