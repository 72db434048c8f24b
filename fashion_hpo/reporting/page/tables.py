"""The tables of the report page, as texts; the templates lay them out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, at_level, interval_note
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES, Measure
from fashion_hpo.reporting.levels import by_level, numbers

NONE = "–"


class Cell(NamedTuple):
    """A text, the CSS classes of its cell, a note in smaller print under it, and where it leads."""

    text: str
    kind: str = ""
    note: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table and the note under it; a cell that is a text alone has no class."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    note: str = ""


LEVEL_MEASURES = [measure for measure in MEASURES.values() if measure.in_levels_table]
percent = MEASURES["value"].unit.cell


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """What the study set out to check, and how each claim fared."""
    rows = [[*claim_cells(verdict), Cell(verdict.sentence, "text")] for verdict in verdicts]
    headings = ["claim", "verdict", "what it says", "measured"]
    return Table("Declared before the study ran", headings, rows)


def claim_cells(verdict: Verdict) -> list[Cell | str]:
    """The id, the verdict in its colour, and what is claimed, with the report's own figure."""
    reported = f"reported: {verdict.reported}" if verdict.reported else ""
    return [
        verdict.claim_id,
        Cell(verdict.word, f"word {css_class(verdict)}"),
        Cell(verdict.text, "text", reported),
    ]


def css_class(verdict: Verdict) -> str:
    """The class that gives a verdict its colour."""
    return verdict.word.replace(" ", "-")


def levels_table(records: Records) -> Table:
    """Mean and 95 % interval of every measure, at every level."""
    levels = by_level(records)
    statistics = [
        [at_level(records, measure.name, level.levels) for measure in LEVEL_MEASURES]
        for level in levels
    ]
    rows = [
        [
            level.label,
            str(level.trials["seed_index"].nunique()),
            *(
                _interval(statistic, measure)
                for statistic, measure in zip(row, LEVEL_MEASURES, strict=True)
            ),
        ]
        for level, row in zip(levels, statistics, strict=True)
    ]
    measured = [statistic for row in statistics for statistic in row if statistic is not None]
    source = f"mean and {interval_note(records, measured)}"
    if all(len(statistic.effect.values) < 2 for statistic in measured):
        source = "values of one seed, which has no interval"
    titles = [measure.at(None) for measure in LEVEL_MEASURES]
    return Table(f"Levels: {source}", ["level", "seeds", *titles], rows)


def trials_table(records: Records, runs: Mapping[str, str] = MappingProxyType({})) -> Table:
    """Every trial with an outcome; a search's best come first.

    `runs`: the pages to which the trials' numbers lead, by uid.
    """
    trials = records.trials.assign(value=numbers(records.trials, "value"))
    if records.plan.search is not None:
        best = records.ranked.index
        others = trials.drop(index=best).sort_values(["value", "trial"], ascending=[False, True])
        trials = pd.concat([trials.loc[best], others])
    fields = [name for name in records.varied if name in trials]
    headings = ["trial", *fields, "seed", "outcome", MEASURES["value"].title, "epochs", "seconds"]
    rows = [
        [_linked(str(row["trial"]), runs.get(str(row.get("uid")))), *_trial(row, fields)]
        for row in trials.to_dict("records")
    ]
    order = "order of claim" if records.plan.search is None else "best first"
    return Table(f"All trials, {order}", headings, rows)


def _linked(text: str, address: str | None) -> Cell | str:
    return Cell(text, link=address) if address else text


def _trial(row: Mapping[Any, object], fields: Sequence[str]) -> list[str]:
    value, reason = row["value"], row.get("reason")
    assert isinstance(value, float)
    outcome = str(row["outcome"]) + (f": {reason}" if isinstance(reason, str) and reason else "")
    if outcome == "complete" and not row.get("feasible", True):
        outcome += ", infeasible"
    return [
        *(level_text(row[name]) for name in fields),
        _number(row.get("seed_index"), "{:.0f}"),
        outcome,
        NONE if math.isnan(value) else percent(value),
        _number(row.get("epochs_done"), "{:.0f}"),
        _number(row.get("seconds"), "{:.1f}"),
    ]


def _interval(statistic: MeasuredEffect | None, measure: Measure) -> str:
    if statistic is None:
        return NONE
    interval, write = statistic.estimate.interval().within(measure.bounds), measure.unit.cell
    if math.isnan(interval.low):
        return write(interval.mean)
    return f"{write(interval.mean)} ({write(interval.low)} to {write(interval.high)})"


def _number(value: object, form: str) -> str:
    if isinstance(value, int | float) and not pd.isna(value):
        return form.format(value)
    return NONE
