"""Data frames cut by level, and the words for levels and fields that figures and tables share."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.spec import Level

LONGEST_LABEL = 60  # characters
LEVEL_LABEL = 26  # where several stand side by side


@dataclass(frozen=True)
class LevelRows:
    """The trials that are compared at one level, and the epochs of these trials."""

    label: str
    fields: tuple[str, ...]
    values: tuple[Level, ...]
    trials: pd.DataFrame
    epochs: pd.DataFrame

    @property
    def levels(self) -> dict[str, Level]:
        """Its values by field."""
        return dict(zip(self.fields, self.values, strict=True))

    @property
    def short(self) -> str:
        """For legends, where several fields' names would leave no room for their values."""
        named = self.label if len(self.values) == 1 else ", ".join(map(level_text, self.values))
        return plot_text(named, LEVEL_LABEL)


def by_level(records: Records) -> list[LevelRows]:
    """Every level, in the study's order, that has a complete trial."""
    scientific = records.plan.scientific
    every = [level_rows(records, values) for values in product(*scientific.values())]
    return [rows for rows in every if scientific and len(rows.trials)]


def level_rows(records: Records, values: tuple[Level, ...]) -> LevelRows:
    """The rows at these values of the first scientific fields; later fields are left open."""
    names = tuple(records.plan.scientific)[: len(values)]
    trials = records.tuned
    for name, value in zip(names, values, strict=True):
        trials = trials[trials[name] == value] if name in trials else trials.head(0)
    epochs = records.epochs[records.epochs["trial"].isin(trials["trial"])]
    return LevelRows(level_label(names, values), names, values, trials, epochs)


def numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    """A column as finite floats, NaN for everything else, also where the frame lacks it."""
    if column not in frame:
        return pd.Series(np.nan, index=frame.index, dtype=float)
    values = pd.to_numeric(frame[column], errors="coerce").astype(float)
    return values.where(np.isfinite(values))


def left_out(records: Records) -> str:
    """How many trials have no place in a figure of complete ones, by outcome."""
    outcomes = records.trials["outcome"]
    counts = outcomes[outcomes != "complete"].value_counts()
    named = ", ".join(f"{count} {plot_text(outcome)}" for outcome, count in counts.items())
    return f"; left out: {named}" if named else ""


def plot_text(value: object, longest: int = LONGEST_LABEL) -> str:
    """Text for a figure, in one line, where plotly would otherwise read tags."""
    line = " ".join(str(value).split())
    shortened = line if len(line) <= longest else f"{line[: longest - 1]}…"
    return html.escape(shortened, quote=False)


def level_label(names: Sequence[str], values: Sequence[object]) -> str:
    """`dropout 0.25`; a level that is a name speaks for itself."""
    parts = [
        value if isinstance(value, str) else f"{name} {level_text(value)}"
        for name, value in zip(names, values, strict=True)
    ]
    return ", ".join(parts)


def trial_groups(records: Records) -> list[tuple[str, pd.DataFrame]]:
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
