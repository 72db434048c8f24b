"""What a study's page says apart from its results: warnings, checks, figures, source."""

import json
from collections.abc import Sequence
from html import unescape
from typing import Any, NamedTuple

import plotly.graph_objects as go

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import Comparison
from fashion_hpo.analysis.statistics.verdicts import REFUTED, REPRODUCED, Verdict
from fashion_hpo.design.coupling import coupled_fields, in_words
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.reporting.levels import numbers
from fashion_hpo.reporting.page.sections import Section
from fashion_hpo.reporting.page.tables import Cell, Table, css_class

WIDE = ("parallel",)  # figures that scroll in their own box rather than shrink
SMALL = "The quick budget is small: it answers {} alone."
QUICK = "This budget proves the wiring; it is no evidence."


def warnings_of(records: Records) -> list[str]:
    """Why the answer may not be one."""
    plan = records.plan
    warnings = []
    if plan.budget == "quick":
        small = [claim.id for claim in plan.spec.claims if claim.small_scale and not plan.changed]
        warnings.append(SMALL.format(", ".join(small)) if small else QUICK)
    if records.remaining:
        trials = "trial has" if records.remaining == 1 else "trials have"
        warnings.append(f"{records.remaining} {trials} no outcome yet; the answer may change.")
    if (confirming := records.confirmation) is not None and confirming.remaining:
        warnings.append(
            f"{confirming.remaining} of {confirming.plan.trials} trainings that confirm the best "
            "trials have no outcome yet; the answer may change."
        )
    if lacked_memory := records.not_comparable:
        trials = "1 trial was" if lacked_memory == 1 else f"{lacked_memory} trials were"
        warnings.append(
            f"{trials} trained in pieces for want of memory, and left out of the answer."
        )
    if not len(records.complete):
        warnings.append("No trial is complete yet; there is nothing to compare.")
    return warnings


def badges(verdicts: Sequence[Verdict]) -> list[Cell]:
    """The verdict of each claim in a word, for the top of the page: decided claims first."""
    decided_first = sorted(verdicts, key=lambda verdict: verdict.word not in (REPRODUCED, REFUTED))
    return [Cell(f"{each.claim_id}: {each.word}", css_class(each)) for each in decided_first]


def command_of(records: Records, where: str) -> str:
    """What makes the page and its figures again; `where` are the arguments that name the store."""
    plan = records.plan
    return f"python -m fashion_hpo.report {plan.name} --budget {plan.budget}{where}"


def comparisons_table(compared: Sequence[Comparison]) -> Table | None:
    """A row for each level against its field's reference; None where nothing can be compared."""
    if not compared:
        return None
    rows: list[list[Cell | str]] = [
        [
            f"{comparison.field} {level_text(comparison.level)} against "
            f"{level_text(comparison.reference)}",
            Cell(comparison.word, "word"),
            f"{comparison.corrected:.2g}",
            "{:.0%} ({:.0%} to {:.0%})".format(*comparison.chance_above),
            Cell(comparison.sentence, "text"),
        ]
        for comparison in compared
    ]
    by = MEASURES["value"].title
    caption = (
        f"By {by}; p corrected for the number of comparisons (Holm 1979); P(A > B): the chance "
        "that a seed's first level is above its second (Bouthillier et al. 2021)"
    )
    return Table(caption, ["levels", "verdict", "p", "P(A > B)", "what was seen"], rows)


def checks_table(checks: Sequence[Check]) -> Table | None:
    """Every check, warnings first, each with what was seen and what to do; None without checks."""
    if not checks:
        return None
    ranked = sorted(checks, key=lambda check: not check.is_warning)
    rows: list[list[Cell | str]] = [
        [
            check.name.replace("_", " "),
            Cell(check.level, f"word check-{check.level}"),
            Cell(check.sentence, "text"),
            Cell(check.advice, "text"),
        ]
        for check in ranked
    ]
    warnings = sum(check.is_warning for check in checks)
    caption = f"{warnings} of {len(checks)} checks warn (after the deep-learning tuning playbook)"
    return Table(caption, ["check", "result", "what was seen", "what to do"], rows)


class Drawn(NamedTuple):
    """A figure for plotly's JavaScript, and its title as text of the page: that wraps."""

    name: str
    title: str
    note: str
    wide: bool
    data: dict[str, Any]


def drawn(figures: Section) -> list[Drawn]:
    """The figures of one section."""
    return [_drawn(*item) for item in figures.items()]


def _drawn(name: str, figure: go.Figure) -> Drawn:
    data: dict[str, Any] = json.loads(figure.to_json())
    title = data["layout"].pop("title", {})
    note = title.get("subtitle", {}).get("text", "")
    wide = name in WIDE
    data["layout"].setdefault("margin", {})["t"] = 70 if wide else 20
    # The texts of a figure are escaped for plotly, those of the page by its template.
    return Drawn(name, unescape(title.get("text", "")), unescape(note), wide, data)


def source(records: Records) -> dict[str, str]:
    """Where the numbers come from."""
    plan = records.plan
    known = "device_name" in records.trials
    devices = set(records.trials["device_name"].dropna()) if known else set()
    seconds = float(numbers(records.trials, "seconds").sum())
    return {
        "ledger": f"{records.ledger_name} ({records.ledger_uid})",
        "budget": f"{plan.budget}: {plan.trials} trials of up to {plan.length} over "
        f"{plan.base.train_images:,} images",
        "data (sha256)": f"{records.info.name}, {records.data_hash}",
        "devices": ", ".join(sorted(str(name) for name in devices if name)) or "none yet",
        "hours of training": f"{seconds / 3600:.2f}",
        **({"coupled": "; ".join(in_words(plan.coupled))} if plan.coupled else {}),
    }


def fixed(records: Records) -> dict[str, str]:
    """The fields of the config that no trial varies, with their values."""
    varied = (*records.varied, *coupled_fields(records.plan.coupled), "seed")
    values = records.plan.base.to_dict().items()
    return {name: level_text(value) for name, value in values if name not in varied}
