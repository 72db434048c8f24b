"""Figures of a model's predictions on the validation images: its errors and its confidence."""

import numpy as np
import plotly.graph_objects as go

from fashion_hpo.analysis.statistics.predictions import (
    Predictions,
    confused_pairs,
    precision_recall,
    reliability,
)
from fashion_hpo.design.scores import confusion_matrix, expected_calibration_error
from fashion_hpo.reporting.figures.theme import (
    BLUE,
    COLOURS,
    GREY,
    VERMILLION,
    faint,
    new_figure,
    say_empty,
)

ROW_HEIGHT = 34  # pixels
CURVE_POINTS = 100  # of each precision-recall curve
WHISKERS = (5, 95)  # percentiles
DASHES = ("solid", "dash", "dot", "dashdot")  # for more classes than the eight colours
SEE_THROUGH = [[0.0, faint(BLUE, 0.0)], [1.0, faint(BLUE, 0.6)]]
MISTAKES = [[0.0, faint(VERMILLION, 0.0)], [1.0, faint(VERMILLION, 0.7)]]


def confusion_counts(of: Predictions) -> go.Figure:
    """Counts of true against predicted classes; hits are blue, mistakes are red."""
    matrix = confusion_matrix(of.predicted, of.labels, len(of.classes))
    figure = new_figure(
        "Confusion matrix",
        "number of validation images; blue: right, orange: mistakes; stronger: more",
        x="predicted class",
        y="true class",
        height=max(520, 150 + 24 * len(of.classes)),
    )
    hits = np.eye(len(of.classes), dtype=bool)
    for chosen, colours in ((hits, SEE_THROUGH), (~hits, MISTAKES)):
        figure.add_heatmap(
            x=list(of.classes),
            y=list(of.classes),
            z=[[int(n) if is_shown else None for n, is_shown in zip(*row, strict=True)]
               for row in zip(matrix, chosen, strict=True)],
            zmin=0,
            zmax=max(1, int(matrix[chosen].max())),
            colorscale=colours,
            showscale=False,
            xgap=1,
            ygap=1,
            texttemplate="%{z}",
            textfont={"size": 11},
            hovertemplate="%{y} taken for %{x}: %{z} images<extra></extra>",
            hoverongaps=False,
        )  # fmt: skip
    figure.update_xaxes(tickangle=-60, showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def most_confused(of: Predictions) -> go.Figure:
    """The most frequent mistakes, the most frequent on top."""
    pairs = confused_pairs(confusion_matrix(of.predicted, of.labels, len(of.classes)))[::-1]
    figure = new_figure(
        "Most-confused pairs",
        "share of the images of a class that were taken for another",
        x="share of the true class (%)",
        y="true class → predicted class",
        height=140 + ROW_HEIGHT * max(len(pairs), 2),
    )
    if pairs:
        shares = [100 * pair.mistakes / pair.images for pair in pairs]
        figure.add_bar(
            x=shares,
            y=[f"{of.classes[pair.true]} → {of.classes[pair.predicted]}" for pair in pairs],
            orientation="h",
            marker={"color": VERMILLION, "line": {"width": 0}},
            text=[str(pair.mistakes) for pair in pairs],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text} images, %{x:.1f} %<extra></extra>",
        )
        figure.update_xaxes(range=[0, 1.15 * max(shares)])
    return say_empty(figure)


def reliability_diagram(of: Predictions) -> go.Figure:
    """Accuracy against confidence; a calibrated model is on the diagonal."""
    bins = reliability(of)
    error = f"{100 * expected_calibration_error(of.probabilities, of.labels):.2f} %"
    figure = new_figure(
        "Reliability",
        f"{len(bins)} bins of equal mass, with 95 % Wilson intervals; calibration error {error}",
        x="confidence, mean of the bin (%)",
        y="accuracy in the bin (%)",
    )
    low = 100 * min(min(part.low, part.confidence) for part in bins)
    figure.add_scatter(
        x=[low, 100],
        y=[low, 100],
        mode="lines",
        name="perfect calibration",
        line={"color": GREY, "dash": "dash"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[100 * part.confidence for part in bins],
        y=[100 * part.accuracy for part in bins],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [100 * (part.high - part.accuracy) for part in bins],
            "arrayminus": [100 * (part.accuracy - part.low) for part in bins],
            "thickness": 1.5,
        },
        mode="markers",
        name="bin",
        marker={"color": BLUE, "size": 9},
        hovertemplate="confidence %{x:.1f} %: right %{y:.1f} %<extra></extra>",
    )
    return figure


def confidence_boxes(of: Predictions) -> go.Figure:
    """The confidence of the predictions of each class, separately for right and wrong ones."""
    figure = new_figure(
        "Confidence by predicted class",
        "box: quartiles; whiskers: 5th to 95th percentile; apart for right and wrong predictions",
        x="confidence (%)",
        y="predicted class",
        height=140 + 44 * len(of.classes),
    )
    for name, chosen, colour in (
        ("right", of.correct, BLUE),
        ("wrong", ~of.correct, VERMILLION),
    ):
        parts = [100 * of.confidence[chosen & (of.predicted == i)] for i in range(len(of.classes))]
        nonempty = [(of.classes[i], part) for i, part in enumerate(parts) if len(part)]
        if not nonempty:
            continue
        low, first, middle, third, high = (
            [float(np.percentile(part, at)) for _, part in nonempty]
            for at in (WHISKERS[0], 25, 50, 75, WHISKERS[1])
        )
        figure.add_box(
            y=[label for label, _ in nonempty],
            lowerfence=low,
            q1=first,
            median=middle,
            q3=third,
            upperfence=high,
            orientation="h",
            name=name,
            line={"color": colour, "width": 1.5},
            fillcolor=faint(colour, 0.3),
        )
    figure.update_layout(boxmode="group", boxgap=0.25)
    figure.update_yaxes(
        categoryorder="array", categoryarray=list(of.classes), autorange="reversed", showgrid=False
    )
    return figure


def precision_recall_curves(of: Predictions) -> go.Figure:
    """Precision against recall of each class against all others."""
    figure = new_figure(
        "Precision and recall by class",
        "each class against all others, at every threshold; AP: average precision",
        x="recall (share, 0 to 1)",
        y="precision (share, 0 to 1)",
        height=540,
    )
    for label, name in enumerate(of.classes):
        curve = precision_recall(of, label)
        if curve is None:
            continue
        at = np.unique(np.linspace(0, len(curve.recall) - 1, CURVE_POINTS).round().astype(int))
        figure.add_scatter(
            x=curve.recall[at].round(4).tolist(),
            y=curve.precision[at].round(4).tolist(),
            mode="lines",
            name=f"{name} (AP {curve.average:.3f})",
            line={
                "color": COLOURS[label % len(COLOURS)],
                "dash": DASHES[label // len(COLOURS) % len(DASHES)],
                "width": 1.75,
            },
            hovertemplate="%{fullData.name}<br>recall %{x:.3f}: precision %{y:.3f}<extra></extra>",
        )
    figure.update_xaxes(range=[0, 1.01])
    return say_empty(figure)
