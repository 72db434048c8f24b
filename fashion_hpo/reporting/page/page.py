"""The report: one HTML page that needs no network, and the figures beside it as plotly JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from plotly.offline import get_plotlyjs

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import compare
from fashion_hpo.analysis.statistics.predictions import Predictions
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.reporting.levels import shown
from fashion_hpo.reporting.page import parts as parts
from fashion_hpo.reporting.page import sections
from fashion_hpo.reporting.page.cost import cost_table
from fashion_hpo.reporting.page.document import document, section
from fashion_hpo.reporting.page.finalists import finalists_table
from fashion_hpo.reporting.page.gallery import gallery
from fashion_hpo.reporting.page.sections import Section
from fashion_hpo.reporting.page.style import SCRIPT
from fashion_hpo.reporting.page.tables import (
    claims_table,
    levels_table,
    measures_list,
    trials_table,
)

MODEL, COST = "The best trial's model", "Cost"


@dataclass(frozen=True)
class Extras:
    """What a page shows beside the records.

    best: the best trial's predictions; images: uint8 (N, 28, 28), the validation split, for the
    gallery; absent: sentences that say why one of the two is not there; where: the arguments that
    name the store, for commands to be pasted.
    """

    checks: Sequence[Check] = ()
    best: Predictions | None = None
    images: np.ndarray | None = None
    absent: Sequence[str] = ()
    where: str = ""


NO_EXTRAS = Extras()


def write(
    records: Records,
    verdicts: Sequence[Verdict],
    answer: Sequence[str],
    folder: Path,
    extras: Extras = NO_EXTRAS,
) -> Path:
    """Write report.html and figures/*.json into the folder; returns the page's path.

    The page links to the figures and to CSV files that are there.  Each file is replaced as a
    whole: a reader never meets half a page.
    """
    drawn = _drawn(records, extras)
    figures = {name: figure for part in drawn.values() for name, figure in part.items()}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        write_atomically(folder / "figures" / f"{name}.json", figure.to_json().encode())
    for old in (folder / "figures").glob("*.json"):
        if old.stem not in figures:  # of an earlier report
            old.unlink()
    beside = [path.name for path in sorted(folder.glob("*.csv"))]
    exports = [*beside, *(f"figures/{name}.json" for name in figures)]
    html = _page(records, verdicts, answer, exports, drawn, extras)
    write_atomically(folder / "report.html", html.encode())
    return folder / "report.html"


def render(
    records: Records,
    verdicts: Sequence[Verdict],
    answer: Sequence[str],
    exports: Sequence[str] = (),
    extras: Extras = NO_EXTRAS,
) -> str:
    """The whole page.  `exports` are paths, relative to the page, of files it links to."""
    return _page(records, verdicts, answer, exports, _drawn(records, extras), extras)


def _drawn(records: Records, extras: Extras) -> dict[str, Section]:
    """Every figure, by the heading under which it stands."""
    found = sections.sections(records)
    if extras.best is not None:
        found[MODEL] = sections.of_model(extras.best)
    if costs := sections.of_cost(records):
        found[COST] = costs
    return found


def _page(
    records: Records,
    verdicts: Sequence[Verdict],
    answer: Sequence[str],
    exports: Sequence[str],
    drawn: Mapping[str, Section],
    extras: Extras,
) -> str:
    confirmed, compared = finalists_table(records), parts.comparisons_table(compare(records))
    command = parts.command_of(records, extras.where)
    found = {heading: parts.figures(figures, command) for heading, figures in drawn.items()}
    model, cost = found.pop(MODEL, ""), found.pop(COST, "")
    shown_parts = [
        parts.head(records, answer),
        section("Claims", claims_table(verdicts)) if verdicts else "",
        section("Finalists on fresh seeds", confirmed) if confirmed else "",
        section("Every level compared", compared) if compared else "",
        section("Checks", parts.checks_table(extras.checks)) if extras.checks else "",
        *(section(heading, figures) for heading, figures in found.items()),
        _levels(records),
        _model(records, model, extras),
        section(COST, cost + cost_table(records)) if len(records.trials) else "",
        section("Trials", trials_table(records)) if len(records.trials) else "",
        section("How it was made", parts.making(records, command)),
        section("Files beside this page", parts.links(exports)) if exports else "",
    ]
    scripts = [get_plotlyjs(), SCRIPT] if drawn else []
    return document(records.plan.name, [part for part in shown_parts if part], scripts)


def _levels(records: Records) -> str:
    if records.plan.search is not None or not len(records.complete):
        return ""
    explained = f"<details><summary>What is measured</summary>{measures_list()}</details>"
    return section("Levels", levels_table(records) + explained)


def _model(records: Records, figures: str, extras: Extras) -> str:
    """One trial's model: which, its figures, and its confident mistakes."""
    absent = "".join(f"<p>{escape(sentence)}</p>" for sentence in extras.absent)
    if extras.best is None:
        return section(MODEL, absent) if absent else ""
    told = f"<p>{escape(_which(records, extras.best))}</p>"
    mistakes = ""
    if extras.images is not None:
        mistakes = f"<h3>Confident mistakes</h3>{gallery(extras.best, extras.images)}"
    return section(MODEL, told + figures + mistakes + absent)


def _which(records: Records, best: Predictions) -> str:
    row = records.trials[records.trials["trial"] == best.trial].iloc[0]
    varied = ", ".join(f"{name} {shown(row[name])}" for name in records.varied)
    accuracy = f"{best.correct.mean():.2%}".replace("%", " %")
    luck = "; chosen as the best, it is a little luckier than it is good"
    return (
        f"Of one trial, the best by value: trial {best.trial} ({varied}, seed "
        f"{row['seed_index']}). "
        f"Its model is right on {accuracy} of {len(best.labels):,} validation images"
        f"{luck if len(records.complete) > 1 else ''}."
    )
