"""The report: one HTML page that needs no network, and the figures beside it as plotly JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import compare
from fashion_hpo.analysis.statistics.predictions import Predictions
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.design.formats import level_text
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.reporting.page import document, parts, sections
from fashion_hpo.reporting.page.cost import cost_table
from fashion_hpo.reporting.page.finalists import finalists_table
from fashion_hpo.reporting.page.gallery import mistakes
from fashion_hpo.reporting.page.sections import Section
from fashion_hpo.reporting.page.tables import (
    LEVEL_MEASURES,
    claims_table,
    levels_table,
    trials_table,
)

MODEL, COST = "model", "cost"  # sections that hold more than figures


@dataclass(frozen=True)
class Extras:
    """What a page shows beside the records.

    best: the best trial's predictions; images: uint8 (N, 28, 28), the validation split, for the
    gallery; overlays: uint8 (M, 28, 28, 3), the gallery's images under their heat maps; absent:
    sentences that say why one of these is not there; where: the arguments that name the store, for
    commands to be pasted; runs: the pages of the trials' MLflow runs, by uid; ui: the command that
    serves these pages, if a person has to type one.
    """

    checks: Sequence[Check] = ()
    best: Predictions | None = None
    images: np.ndarray | None = None
    overlays: np.ndarray | None = None
    absent: Sequence[str] = ()
    where: str = ""
    runs: Mapping[str, str] = field(default_factory=dict)
    ui: str = ""


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
    by_heading = sections.sections(records)
    if extras.best is not None:
        by_heading[MODEL] = sections.of_model(extras.best)
    if costs := sections.of_cost(records):
        by_heading[COST] = costs
    return by_heading


def _page(
    records: Records,
    verdicts: Sequence[Verdict],
    answer: Sequence[str],
    exports: Sequence[str],
    drawn: Mapping[str, Section],
    extras: Extras,
) -> str:
    plan, best, images = records.plan, extras.best, extras.images
    figures = {heading: parts.drawn(section) for heading, section in drawn.items()}
    model_figures, cost_figures = figures.pop(MODEL, []), figures.pop(COST, [])
    main_figures = figures.pop(next(iter(figures)), []) if figures else []
    has_trials, has_levels = len(records.trials) > 0, plan.search is None and len(records.complete)
    return document.render(
        "report.html",
        title=plan.name,
        budget=plan.budget,
        ended=len(records.trials),
        planned=len(records.trials) + records.remaining,
        question=plan.question,
        warnings=parts.warnings_of(records),
        answer=[sentence for sentence in answer if sentence],
        badges=parts.badges(verdicts),
        claims=claims_table(verdicts) if verdicts else None,
        finalists=finalists_table(records),
        compared=parts.comparisons_table(compare(records)),
        checks=parts.checks_table(extras.checks),
        main_figures=main_figures,
        model_figures=model_figures,
        cost_figures=cost_figures,
        figures=figures,
        levels=levels_table(records) if has_levels else None,
        measures={measure.at(None): measure.what for measure in LEVEL_MEASURES},
        model="" if best is None else _which(records, best),
        wrong=0 if best is None else int((~best.correct).sum()),
        mistakes=(
            None if best is None or images is None else mistakes(best, images, extras.overlays)
        ),
        has_heat=extras.overlays is not None,
        absent=extras.absent,
        cost=cost_table(records) if has_trials else None,
        trials=trials_table(records, extras.runs) if has_trials else None,
        ui=extras.ui if extras.runs else "",
        source=parts.source(records),
        fixed=parts.fixed(records),
        command=parts.command_of(records, extras.where),
        exports=exports,
        plotly=Markup(get_plotlyjs()) if drawn else "",
    )


def _which(records: Records, best: Predictions) -> str:
    row = records.trials[records.trials["trial"] == best.trial].iloc[0]
    varied = ", ".join(f"{name} {level_text(row[name])}" for name in records.varied)
    accuracy = f"{best.correct.mean():.2%}".replace("%", " %")
    luck = "; this is a little too high on average, because the best trial was chosen by it"
    return (
        f"Of one trial, the best by value: trial {best.trial} ({varied}, seed "
        f"{row['seed_index']}). "
        f"Its model is right on {accuracy} of {len(best.labels):,} validation images"
        f"{luck if len(records.complete) > 1 else ''}."
    )
