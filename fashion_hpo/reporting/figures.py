"""Figures of a design: curves and final values at each level.  Records in, plotly figures out."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.levels import (
    LevelRows,
    by_level,
    level_rows,
    numbers,
    plot_text,
    seed_interval,
)
from fashion_hpo.reporting.theme import (
    BLUE,
    GREY,
    VERMILLION,
    faint,
    level_look,
    new_figure,
    say_empty,
)

EPOCH = "epoch"
LOSS = "cross-entropy loss (nats)"
ACCURACY = "validation accuracy (%)"
VALIDATION, TRAINING = "validation", "training, in evaluation mode"


def loss_curves(records: Records) -> go.Figure:
    """Validation loss (solid) and training loss in evaluation mode (dashed) at every level."""
    groups = by_level(records)
    figure = new_figure("Loss by epoch", _curve_note(records, groups), x=EPOCH, y=LOSS)
    for index, rows in enumerate(groups):
        colour, label = level_look(index)["color"], plot_text(rows.label)
        _add_curve(figure, curve(rows.epochs, "val_loss"), label, colour, "solid")
        _add_curve(
            figure, curve(rows.epochs, "train_eval_loss"), label, colour, "dash", listed=False
        )
    if groups:
        for name, dash in ((VALIDATION, "solid"), (TRAINING, "dash")):
            figure.add_scatter(
                x=[None], y=[None], mode="lines", name=name, line={"color": GREY, "dash": dash}
            )
    return say_empty(figure)


def accuracy_curves(records: Records) -> go.Figure:
    """Validation accuracy at every level."""
    groups = by_level(records)
    note = _curve_note(records, groups)
    figure = new_figure("Validation accuracy by epoch", note, x=EPOCH, y=ACCURACY)
    for index, rows in enumerate(groups):
        spread = curve(rows.epochs, "val_accuracy", scale=100)
        _add_curve(figure, spread, plot_text(rows.label), level_look(index)["color"], "solid")
    return say_empty(figure)


def final_accuracy(records: Records) -> go.Figure:
    """Validation accuracy after the last epoch, every trial a dot."""
    return _final(records, "last_val_accuracy", "Final validation accuracy", ACCURACY, scale=100)


def final_loss(records: Records) -> go.Figure:
    """Validation loss after the last epoch, every trial a dot."""
    return _final(records, "last_val_loss", "Final validation loss", f"validation {LOSS}")


def captioned_levels(records: Records) -> list[go.Figure]:
    """A figure for each level that the study gives a caption, all with the same axis ranges.

    Losses on the left axis, validation accuracy on the right, means over trials.
    """
    captions = records.plan.spec.captions
    found = [(caption, level_rows(records, (level,))) for level, caption in captions.items()]
    found = [(caption, rows) for caption, rows in found if len(rows.epochs)]
    losses = _range(
        [
            curve(rows.epochs, name).mean
            for _, rows in found
            for name in ("val_loss", "train_eval_loss")
        ]
    )
    shares = _range([curve(rows.epochs, "val_accuracy", scale=100).mean for _, rows in found])
    return [_captioned(caption, rows, losses, shares) for caption, rows in found]


@dataclass(frozen=True)
class Curve:
    """A metric by epoch over trials: its mean, lowest and highest value, indexed by epoch."""

    mean: pd.Series
    low: pd.Series
    high: pd.Series
    trials: int


def curve(epochs: pd.DataFrame, metric: str, *, scale: float = 1) -> Curve:
    """The curve of a metric over the trials that have these epochs."""
    if "epoch" not in epochs or epochs.empty:
        nothing = pd.Series(dtype=float)
        return Curve(nothing, nothing, nothing, 0)
    groups = (numbers(epochs, metric) * scale).groupby(epochs["epoch"])
    return Curve(groups.mean(), groups.min(), groups.max(), epochs["trial"].nunique())


def _add_curve(
    figure: go.Figure, drawn: Curve, label: str, colour: str, dash: str, *, listed: bool = True
) -> None:
    """A mean line over its band; both come and go with the level's entry in the legend."""
    if drawn.trials > 1:
        around = [*drawn.high.tolist(), *drawn.low[::-1].tolist()]
        epochs = [*drawn.high.index.tolist(), *drawn.low.index[::-1].tolist()]
        figure.add_scatter(
            x=epochs,
            y=around,
            fill="toself",
            fillcolor=faint(colour),
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
        line={"color": colour, "dash": dash},
        marker={"size": 4},
        hovertemplate=f"{label}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
    )


def _curve_note(records: Records, groups: Sequence[LevelRows]) -> str:
    """What line and band are, and which trials are not in them."""
    most = max((len(rows.trials) for rows in groups), default=0)
    note = f"line: mean of up to {most} trials a level; band: lowest to highest of them"
    if most == 1:
        note = "one trial a level: no spread to show"
    if any(rows.epochs.groupby("trial")["epoch"].max().nunique() > 1 for rows in groups):
        note += "; some stopped early, so that later means are of fewer"
    return note + _left_out(records)


def _left_out(records: Records) -> str:
    """How many trials have no place in a figure of complete ones, by outcome."""
    outcomes = records.trials["outcome"]
    counts = outcomes[outcomes != "complete"].value_counts()
    named = ", ".join(f"{count} {plot_text(outcome)}" for outcome, count in counts.items())
    return f"; left out: {named}" if named else ""


def _final(records: Records, column: str, title: str, y: str, *, scale: float = 1) -> go.Figure:
    groups = by_level(records)
    note = "dots: trials; diamond: mean over seeds, with its 95 % t interval" + _left_out(records)
    figure = new_figure(title, note, x=", ".join(records.plan.scientific) or "level", y=y)
    dots: dict[str, list[float | str]] = {"x": [], "y": [], "text": []}
    for index, rows in enumerate(groups):
        for seed, value in zip(
            rows.trials["seed_index"], numbers(rows.trials, column), strict=True
        ):
            dots["x"].append(index - 0.12 + 0.05 * (int(seed) % 5 - 2))  # seeds side by side
            dots["y"].append(scale * value)
            dots["text"].append(f"{plot_text(rows.label)}, seed {seed}")
    if groups:
        figure.add_scatter(
            **dots,
            mode="markers",
            name="trial",
            hovertemplate="%{text}: %{y:.4g}<extra></extra>",
            marker={"color": BLUE, "size": 9, "opacity": 0.8},
        )
        _add_means(figure, groups, column, scale)
    labels = [plot_text(rows.label) for rows in groups]
    figure.update_xaxes(
        tickvals=list(range(len(groups))),
        ticktext=labels,
        showgrid=False,
        range=[-0.5, max(len(groups), 1) - 0.5],
    )
    return say_empty(figure)


def _add_means(figure: go.Figure, groups: Sequence[LevelRows], column: str, scale: float) -> None:
    found = [(index, seed_interval(rows.trials, column)) for index, rows in enumerate(groups)]
    means = [(index + 0.15, interval) for index, interval in found if interval is not None]
    halves = [scale * (interval.high - interval.mean) for _, interval in means]
    figure.add_scatter(
        x=[x for x, _ in means],
        y=[scale * interval.mean for _, interval in means],
        mode="markers",
        name="mean, 95 % interval",
        hovertemplate="mean %{y:.4g}<extra></extra>",
        marker={"color": VERMILLION, "size": 11, "symbol": "diamond"},
        error_y={"type": "data", "array": halves, "color": VERMILLION, "thickness": 2},
    )


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
        ("val_loss", "validation loss", BLUE, "solid", "y", 1),
        ("train_eval_loss", "training loss, in evaluation mode", BLUE, "dash", "y", 1),
        ("val_accuracy", "validation accuracy", VERMILLION, "solid", "y2", 100),
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
    """From the lowest to the highest of all curves, with a little room; None for no number."""
    values = pd.concat(curves).dropna() if curves else pd.Series(dtype=float)
    if values.empty:
        return None
    room = 0.05 * (values.max() - values.min()) or 0.5
    return [float(values.min() - room), float(values.max() + room)]
