"""The tables of the report page, as HTML; every text is escaped here."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import Found, at_level, interval_note
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.reporting.levels import by_level, numbers, shown

NONE = "–"
Cell = str | tuple[str, str] | tuple[str, str, str]
"""Text; with the class of its cell; with a note in smaller print under it."""


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{value:.2%}".replace("%", " %")


def decimals(value: float) -> str:
    """Four decimals, as losses are compared."""
    return f"{value:.4f}"


def epochs(value: float) -> str:
    """A count of epochs or a mean of such counts."""
    return f"{value:.1f}".removesuffix(".0")


MEASURES: dict[str, tuple[Callable[[float], str], str]] = {
    "val_accuracy": (percent, "after the last epoch"),
    "val_loss": (decimals, "after the last epoch, in nats"),
    "generalization_gap": (decimals, "val_loss − train_eval_loss after the last epoch, in nats"),
    "parting_epoch": (
        epochs,
        "epoch of the lowest smoothed validation loss, if it then rises by more than 2 % while "
        "the training loss falls; the number of epochs + 1 where the losses do not part",
    ),
    "roughness": (
        decimals,
        "standard deviation of the second differences of the validation accuracy, last half",
    ),
    "ece": (decimals, "expected calibration error, 15 bins of equal mass"),
}


def claims_table(verdicts: Sequence[Verdict]) -> str:
    """What the study set out to check, and how each claim fared."""
    rows = [[*claim_cells(verdict), (verdict.sentence, "text")] for verdict in verdicts]
    headings = ["claim", "verdict", "what it says", "measured"]
    return table("Declared before the study ran", headings, rows, whole=True)


def claim_cells(verdict: Verdict) -> list[Cell]:
    """The id, the verdict in its colour, and what is claimed, with the report's own figure."""
    reported = f"reported: {verdict.reported}" if verdict.reported else ""
    return [
        verdict.claim_id,
        (verdict.word, f"word {verdict.word.replace(' ', '-')}"),
        (verdict.text, "text", reported),
    ]


def levels_table(records: Records) -> str:
    """Mean and 95 % interval of every measure, at every level."""
    levels = by_level(records)
    found = [[at_level(records, measure, each.levels) for measure in MEASURES] for each in levels]
    rows: list[list[Cell]] = []
    for level, row in zip(levels, found, strict=True):
        cells: list[Cell] = [level.label, str(level.trials["seed_index"].nunique())]
        for each, (write, _) in zip(row, MEASURES.values(), strict=True):
            cells.append((_interval(each, write), "number"))
        rows.append(cells)
    measured = [each for row in found for each in row if each is not None]
    told = f"mean and {interval_note(records, measured)}"
    if all(len(each.effect.values) < 2 for each in measured):
        told = "values of one seed, which has no interval"
    return table(f"Levels: {told}", ["level", "seeds", *MEASURES], rows)


def measures_list() -> str:
    """What each measure of the levels' table is."""
    items = (
        f"<dt>{escape(name)}</dt><dd>{escape(what)}</dd>" for name, (_, what) in MEASURES.items()
    )
    return f"<dl>{''.join(items)}</dl>"


def trials_table(records: Records) -> str:
    """Every trial with an outcome; a search's best come first."""
    trials = records.trials.assign(value=numbers(records.trials, "value"))
    if records.plan.search is not None:
        best = records.ranked.index
        others = trials.drop(index=best).sort_values(["value", "trial"], ascending=[False, True])
        trials = pd.concat([trials.loc[best], others])
    fields = [name for name in records.varied if name in trials]
    headings = ["trial", *fields, "seed", "outcome", "validation accuracy", "epochs", "seconds"]
    rows = [_trial(row, fields) for row in trials.to_dict("records")]
    order = "order of claim" if records.plan.search is None else "best first"
    return table(f"All trials, {order}", headings, rows)


def table(
    caption: str,
    headings: Iterable[str],
    rows: Iterable[Sequence[Cell]],
    *,
    whole: bool = False,
) -> str:
    """A table in a box of its own that scrolls where it is too long, or the page too narrow.

    A `whole` one does not: where the page is narrow its cells stand one under another.
    """
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    box = 'class="whole"' if whole else 'class="scroll" tabindex="0"'
    return (
        f'<div {box} role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _trial(row: Mapping[Any, object], fields: Sequence[str]) -> list[Cell]:
    value, reason = row["value"], row.get("reason")
    assert isinstance(value, float)
    outcome = str(row["outcome"]) + (f": {reason}" if isinstance(reason, str) and reason else "")
    if outcome == "complete" and not row.get("feasible", True):
        outcome += ", infeasible"
    return [
        str(row["trial"]),
        *(shown(row[name]) for name in fields),
        _number(row.get("seed_index"), "{:.0f}"),
        outcome,
        (NONE if math.isnan(value) else percent(value), "number"),
        (_number(row.get("epochs_done"), "{:.0f}"), "number"),
        (_number(row.get("seconds"), "{:.1f}"), "number"),
    ]


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    content, kind, *notes = cell
    note = "".join(f'<span class="note">{escape(each)}</span>' for each in notes if each)
    return f'<td class="{escape(kind)}">{escape(content)}{note}</td>'


def _interval(found: Found | None, write: Callable[[float], str]) -> str:
    if found is None:
        return NONE
    interval = found.estimate.interval()
    if math.isnan(interval.low):
        return write(interval.mean)
    return f"{write(interval.mean)} ({write(interval.low)} to {write(interval.high)})"


def _number(value: object, form: str) -> str:
    if isinstance(value, int | float) and not pd.isna(value):
        return form.format(value)
    return NONE
