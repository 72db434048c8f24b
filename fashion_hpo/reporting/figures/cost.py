"""What each trial cost and what it reached."""

import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.figures.theme import ACCURACY, level_look, new_figure, say_empty
from fashion_hpo.reporting.levels import LEVEL_LABEL, numbers, plot_text, trial_groups

MOST_GROUPS = 12


def accuracy_against_time(records: Records) -> go.Figure:
    """Every trial that has a value: what it cost and what it reached."""
    figure = new_figure(
        "Accuracy against training time",
        "every trial with a value, evaluation included; up and to the left is better",
        x="training time of a trial (s)",
        y=ACCURACY,
    )
    for index, (label, rows) in enumerate(trial_groups(records)[:MOST_GROUPS]):
        values, look = 100 * numbers(rows, "value"), level_look(index)
        known = values.notna() & (numbers(rows, "seconds") > 0)
        if known.any():
            figure.add_scatter(
                x=rows["seconds"][known].tolist(),
                y=values[known].tolist(),
                mode="markers",
                name=plot_text(label, LEVEL_LABEL),
                marker={"color": look.colour, "symbol": look.symbol, "size": 9, "opacity": 0.8},
                hovertemplate="%{fullData.name}: %{y:.2f} % in %{x:.0f} s<extra></extra>",
            )
    return say_empty(figure)
