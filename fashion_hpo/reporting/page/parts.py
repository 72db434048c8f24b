"""The parts of a study's page that are not tables: head, figures, checks, how it was made."""

import json
from collections.abc import Mapping, Sequence
from html import escape, unescape
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.comparisons import Comparison
from fashion_hpo.reporting.levels import numbers, shown
from fashion_hpo.reporting.page.sections import Section
from fashion_hpo.reporting.page.tables import Cell, table

WIDE = ("parallel",)  # figures that scroll in their own box rather than shrink
QUICK = "This budget proves the wiring; it is no evidence."


def head(records: Records, answer: Sequence[str]) -> str:
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


def command_of(records: Records, where: str) -> str:
    """What makes the page and its figures again; `where` are the arguments that name the store."""
    plan = records.plan
    return f"python -m fashion_hpo.report {plan.name} --budget {plan.budget}{where}"


def comparisons_table(compared: Sequence[Comparison]) -> str:
    """A row for each level against its field's reference; "" where nothing can be compared."""
    if not compared:
        return ""
    rows: list[list[Cell]] = [
        [
            f"{each.field} {shown(each.level)} against {shown(each.reference)}",
            (each.word, "word"),
            f"{each.corrected:.2g}",
            (each.sentence, "text"),
        ]
        for each in compared
    ]
    caption = "By validation accuracy; p corrected for the number of comparisons (Holm 1979)"
    headings = ["levels", "verdict", "p", "what was seen"]
    return f'<div class="compared">{table(caption, headings, rows, whole=True)}</div>'


def checks_table(checks: Sequence[Check]) -> str:
    """Every check, warnings first, each with what was seen and what to do."""
    ranked = sorted(checks, key=lambda check: not check.is_warning)
    rows: list[list[Cell]] = [
        [
            check.name.replace("_", " "),
            (check.level, f"word check-{check.level}"),
            (check.sentence, "text"),
            (check.advice, "text"),
        ]
        for check in ranked
    ]
    warnings = sum(check.is_warning for check in checks)
    caption = f"{warnings} of {len(checks)} checks warn (after the deep-learning tuning playbook)"
    headings = ["check", "result", "what was seen", "what to do"]
    return f'<div class="checks">{table(caption, headings, rows, whole=True)}</div>'


def figures(drawn: Section, command: str) -> str:
    """Figures side by side where there is room, each with the command that makes it again."""
    noscript = "<noscript><p>The figures need JavaScript; the tables do not.</p></noscript>"
    each = "".join(_figure(*item, command) for item in drawn.items())
    return f'<div class="grid">{each}</div>{noscript}'


def _figure(name: str, figure: go.Figure, command: str) -> str:
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
        f'<script type="application/json" id="{escape(name)}-data">{data}</script>'
        f'<p class="command"><code>{escape(command)}</code></p></figure>'
    )


def _plain(text: str) -> str:
    """A figure's text, which is escaped for plotly, as HTML; safe also where it is not."""
    return escape(unescape(text))


def making(records: Records, command: str) -> str:
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


def links(exports: Sequence[str]) -> str:
    """A list of files beside the page."""
    items = (f'<li><a href="./{escape(quote(path))}">{escape(path)}</a></li>' for path in exports)
    return f"<ul>{''.join(items)}</ul>"
