"""What the trials cost: training time, images, speed and device."""

import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.reporting.levels import numbers, trial_groups
from fashion_hpo.reporting.page.tables import NONE, Table

COUNTED = (
    "Energy is what the processor's or the GPU's own counters took while a trial trained and was "
    "evaluated: all that ran beside it is in it, so trials at the same time each count the other."
)


def cost_table(records: Records) -> Table:
    """For each level or outcome and in all: trials, time, images, speed, device and, where a
    trial's energy is known, energy."""
    known = bool(numbers(records.trials, "energy_joules").notna().any())
    rows = [_row(label, trials, energy=known) for label, trials in trial_groups(records)]
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
