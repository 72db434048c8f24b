"""What the trials cost: training time, images, speed and device."""

import pandas as pd
import plotly.graph_objects as go

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.figures.theme import ACCURACY, level_look, new_figure, say_empty
from fashion_hpo.reporting.levels import LEVEL_LABEL, level_label, numbers, plot_text
from fashion_hpo.reporting.page.tables import NONE, Table

MOST_GROUPS = 12
COUNTED = (
    "Energy is what the processor's or the GPU's own counters took while a trial trained and was "
    "evaluated: all that ran beside it is in it, so trials at the same time each count the other."
)


def groups(records: Records) -> list[tuple[str, pd.DataFrame]]:
    """All trials with an outcome: of a design by level, of a search by outcome."""
    if records.trials.empty:
        return []
    names = list(records.plan.scientific) or ["outcome"]
    labelled = []
    for values, rows in records.trials.groupby(names, sort=False):
        assert isinstance(values, tuple)  # what grouping by a list gives
        label = level_label(names, values) if records.plan.scientific else str(values[0])
        labelled.append((label, rows))
    return labelled


def accuracy_against_time(records: Records) -> go.Figure:
    """Every trial that has a value: what it cost and what it reached."""
    figure = new_figure(
        "Accuracy against training time",
        "every trial with a value, evaluation included; up and to the left is better",
        x="training time of a trial (s)",
        y=ACCURACY,
    )
    for index, (label, rows) in enumerate(groups(records)[:MOST_GROUPS]):
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


def cost_table(records: Records) -> Table:
    """For each level or outcome and in all: trials, time, images, speed, device and, where a
    trial's energy is known, energy."""
    known = bool(numbers(records.trials, "energy_joules").notna().any())
    rows = [_row(label, trials, energy=known) for label, trials in groups(records)]
    if len(rows) > 1:
        rows.append(_row("all", records.trials, energy=known))
    first = "level" if records.plan.scientific else "outcome"
    headings = [first, "trials", "minutes", "seconds a trial", "images", "images/s", "device"]
    caption = "Cost; an image counts each time it is trained on"
    if not known:
        return Table(caption, headings, rows)
    return Table(caption, [*headings, "kJ"], rows, note=COUNTED)


def _row(label: str, trials: pd.DataFrame, *, energy: bool) -> list[str]:
    seconds = float(numbers(trials, "seconds").sum())
    images = float((numbers(trials, "epochs_done") * numbers(trials, "train_images")).sum())
    devices = trials["device_name"].dropna() if "device_name" in trials else pd.Series(dtype=str)
    named = sorted({str(name) for name in devices if name})
    cells = [
        label,
        str(len(trials)),
        f"{seconds / 60:,.1f}",
        f"{seconds / len(trials):,.1f}",
        f"{images:,.0f}",
        f"{images / seconds:,.0f}" if seconds > 0 and images > 0 else NONE,
        ", ".join(named) or NONE,
    ]
    return [*cells, _energy(trials)] if energy else cells


def _energy(trials: pd.DataFrame) -> str:
    """In kilojoules, and of how many trials if not of all."""
    joules = numbers(trials, "energy_joules").dropna()
    if joules.empty:
        return NONE
    of = "" if len(joules) == len(trials) else f" (of {len(joules)})"
    return f"{joules.sum() / 1000:,.1f}{of}"
