"""The table of a search's finalists on fresh seeds."""

import math

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.selection import Finalist, finalists
from fashion_hpo.design.formats import level_text
from fashion_hpo.reporting.page.tables import NONE, Cell, Table, percent


def finalists_table(records: Records) -> Table | None:
    """The winner first: what the search saw, what fresh seeds say; None before there are any."""
    ranked = finalists(records)
    if not ranked:
        return None
    headings = ["trial", *records.varied, "search score", "fresh-seed mean", "seeds", "bias"]
    caption = "The search's best trials, trained again on seeds that it never used; winner first"
    sources = "seeds and images" if any(finalist.images for finalist in ranked) else "seeds"
    note = (
        f"Intervals (95 %) are from the noise of {sources}."
        if any(finalist.seeds > 1 for finalist in ranked)
        else "One fresh seed has no interval."
    )
    note += " Bias is the search score minus the fresh-seed mean, in points."
    if len(ranked) > 1:
        note += " The mean that decided is that of the best of a few, and a little too good still."
    return Table(caption, headings, [_row(finalist) for finalist in ranked], note)


def _row(finalist: Finalist) -> list[Cell | str]:
    mean, low, high = finalist.fresh
    spread = "" if math.isnan(low) else f"{percent(low)} to {percent(high)}"
    bias = NONE if math.isnan(mean) else f"{100 * finalist.bias:+.2f}"
    return [
        str(finalist.trial),
        *(level_text(value) for value in finalist.values.values()),
        percent(finalist.score),
        Cell(percent(mean), note=spread),
        str(finalist.seeds),
        bias,
    ]
