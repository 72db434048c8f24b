"""The report: one HTML page that needs no network, and the figures beside it as plotly JSON."""

import json
from collections.abc import Mapping, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.verdicts import Verdict
from fashion_hpo.reporting.document import document, replace, section
from fashion_hpo.reporting.levels import numbers, shown
from fashion_hpo.reporting.page_style import SCRIPT
from fashion_hpo.reporting.sections import Section, sections
from fashion_hpo.reporting.selection_figures import finalists_table
from fashion_hpo.reporting.tables import claims_table, levels_table, measures_list, trials_table

WIDE = ("parallel",)  # figures that scroll in their own box rather than shrink
QUICK = "This budget proves the wiring; it is no evidence."


def write(
    records: Records, verdicts: Sequence[Verdict], answer: Sequence[str], folder: Path
) -> Path:
    """Write report.html and figures/*.json into the folder; returns the page's path.

    The page links to the figures and to CSV files that are there.  Each file is replaced as a
    whole: a reader never meets half a page.
    """
    shown_sections = sections(records)
    drawn = {name: figure for part in shown_sections.values() for name, figure in part.items()}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        replace(folder / "figures" / f"{name}.json", figure.to_json())
    for old in (folder / "figures").glob("*.json"):
        if old.stem not in drawn:  # of an earlier report
            old.unlink()
    beside = [path.name for path in sorted(folder.glob("*.csv"))]
    exports = [*beside, *(f"figures/{name}.json" for name in drawn)]
    page = _page(records, verdicts, answer, exports, shown_sections)
    replace(folder / "report.html", page)
    return folder / "report.html"


def render(
    records: Records,
    verdicts: Sequence[Verdict],
    answer: Sequence[str],
    exports: Sequence[str] = (),
) -> str:
    """The whole page.  `exports` are paths, relative to the page, of files it links to."""
    return _page(records, verdicts, answer, exports, sections(records))


def _page(
    records: Records,
    verdicts: Sequence[Verdict],
    answer: Sequence[str],
    exports: Sequence[str],
    drawn: Mapping[str, Section],
) -> str:
    confirmed = finalists_table(records)
    parts = [
        _head(records, answer),
        section("Claims", claims_table(verdicts)) if verdicts else "",
        section("Finalists on fresh seeds", confirmed) if confirmed else "",
        *(section(heading, _figures(figures)) for heading, figures in drawn.items()),
        _levels(records),
        section("Trials", trials_table(records)) if len(records.trials) else "",
        section("How it was made", _making(records)),
        section("Files beside this page", _links(exports)) if exports else "",
    ]
    scripts = [get_plotlyjs(), SCRIPT] if drawn else []
    return document(records.plan.name, [part for part in parts if part], scripts)


def _head(records: Records, answer: Sequence[str]) -> str:
    """Name, question, warnings and answer: what a reader in a hurry needs."""
    plan = records.plan
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in answer if sentence)
    warnings = "".join(f"<p>{escape(warning)}</p>" for warning in warnings_of(records))
    return "\n".join(
        [
            "<header>",
            f"<h1>{escape(plan.name)}</h1>",
            f'<p class="budget">{escape(plan.budget)} budget, {len(records.trials)} of '
            f"{len(records.trials) + records.remaining} trials</p>",
            f'<p class="question">{escape(plan.question)}</p>',
            f'<div class="warning" role="note">{warnings}</div>' if warnings else "",
            f'<div class="answer">{sentences}</div>' if sentences else "",
            "</header>",
        ]
    )


def warnings_of(records: Records) -> list[str]:
    """Why the answer may not be one."""
    found = [QUICK] if records.plan.budget == "quick" else []
    if records.remaining:
        trials = "trial has" if records.remaining == 1 else "trials have"
        found.append(f"{records.remaining} {trials} no outcome yet; the answer may change.")
    if (confirming := records.confirmation) is not None and confirming.remaining:
        found.append(
            f"{confirming.remaining} of {confirming.plan.trials} trainings that confirm the best "
            "trials have no outcome yet; the answer may change."
        )
    if lacked_memory := records.not_comparable:
        trials = "1 trial was" if lacked_memory == 1 else f"{lacked_memory} trials were"
        found.append(f"{trials} trained in pieces for want of memory, and left out of the answer.")
    if not len(records.complete):
        found.append("No trial is complete yet; there is nothing to compare.")
    return found


def _levels(records: Records) -> str:
    if records.plan.search is not None or not len(records.complete):
        return ""
    explained = f"<details><summary>What is measured</summary>{measures_list()}</details>"
    return section("Levels", levels_table(records) + explained)


def _figures(figures: Section) -> str:
    noscript = "<noscript><p>The figures need JavaScript; the tables do not.</p></noscript>"
    return (
        f'<div class="grid">{"".join(_figure(*item) for item in figures.items())}</div>{noscript}'
    )


def _figure(name: str, figure: go.Figure) -> str:
    """A figure whose title is text of the page, where it wraps on a narrow screen."""
    drawn: dict[str, Any] = json.loads(figure.to_json())
    title = drawn["layout"].pop("title", {})
    heading = _plain(title.get("text", ""))
    note = _plain(title.get("subtitle", {}).get("text", ""))
    drawn["layout"].setdefault("margin", {})["t"] = 70 if name in WIDE else 20
    data = json.dumps(drawn, separators=(",", ":")).replace("<", "\\u003c")
    kind = "plot wide" if name in WIDE else "plot"
    return (
        f"<figure><figcaption><h3>{heading}</h3><p>{note}</p></figcaption>"
        f'<div class="scroll"><div class="{kind}" id="{escape(name)}" role="img" '
        f'aria-label="{heading}"></div></div>'
        f'<script type="application/json" id="{escape(name)}-data">{data}</script></figure>'
    )


def _plain(text: str) -> str:
    """A figure's text, which is escaped for plotly, as HTML; safe also where it is not."""
    return escape(unescape(text))


def _making(records: Records) -> str:
    """All that is needed to know where the numbers come from, and to make the page again."""
    plan = records.plan
    known = "device_name" in records.trials
    devices = set(records.trials["device_name"].dropna()) if known else set()
    seconds = float(numbers(records.trials, "seconds").sum())
    facts = {
        "ledger": f"{records.ledger_name} ({records.ledger_uid})",
        "budget": f"{plan.budget}: {plan.trials} trials of up to {plan.base.epochs} epochs over "
        f"{plan.base.train_images} images",
        "data (sha256)": records.data_hash,
        "devices": ", ".join(sorted(str(name) for name in devices if name)) or "none yet",
        "hours of training": f"{seconds / 3600:.2f}",
    }
    command = f"python -m fashion_hpo.report {plan.name} --budget {plan.budget}"
    fixed = {
        name: value
        for name, value in plan.base.to_dict().items()
        if name not in (*records.varied, "seed")
    }
    return (
        f"{_facts(facts)}<p>This page is rebuilt from the stores by</p>"
        f"<pre><code>{escape(command)}</code></pre>"
        f"<details><summary>Fixed values</summary>{_facts(fixed)}</details>"
    )


def _facts(facts: Mapping[str, object]) -> str:
    items = (
        f"<dt>{escape(name)}</dt><dd>{escape(shown(value))}</dd>" for name, value in facts.items()
    )
    return f"<dl>{''.join(items)}</dl>"


def _links(exports: Sequence[str]) -> str:
    items = (f'<li><a href="./{escape(quote(path))}">{escape(path)}</a></li>' for path in exports)
    return f"<ul>{''.join(items)}</ul>"
