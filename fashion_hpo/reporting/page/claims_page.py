"""All claims: for the terminal, as a Markdown table and as one HTML page."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from fashion_hpo.analysis.findings import Finding, tally
from fashion_hpo.design.reports import reports
from fashion_hpo.design.sentences import with_store
from fashion_hpo.reporting.page import document
from fashion_hpo.reporting.page.tables import NONE, Cell, Table, claim_cells

TITLE = "The reports' claims"
OWN = "Other studies' claims"
DECLARED = "Declared before the studies ran"
HEADINGS = ["claim", "verdict", "what it says", "measured here", "why"]


def on_store(findings: Sequence[Finding], where: str) -> list[Finding]:
    """The findings, with the commands they tell for a store named by these arguments."""
    sentences = [with_store(finding.verdict.sentence, where) for finding in findings]
    return [
        replace(finding, verdict=replace(finding.verdict, sentence=sentence))
        for finding, sentence in zip(findings, sentences, strict=True)
    ]


def title(finding: Finding) -> str:
    """`R2.a  REPRODUCED  Dropout lowers the loss.`."""
    verdict = finding.verdict
    return f"{verdict.claim_id}  {verdict.word.upper()}  {verdict.text}"


def facts(finding: Finding) -> dict[str, str]:
    """What the terminal says below a claim's title; empty where there is nothing to say."""
    return {
        "reported": finding.verdict.reported,
        "measured": "\n".join(finding.verdict.ours),
        "rests on": _basis(finding),
        "why": finding.verdict.sentence,
    }


def summary(findings: Sequence[Finding]) -> str:
    """`31 claims: 4 reproduced, 1 not reproduced, …`."""
    counts = ", ".join(f"{count} {word}" for word, count in tally(list(findings)).items())
    return f"{len(findings)} claims: {counts}"


def markdown(findings: Sequence[Finding]) -> str:
    """A table for a document; what is measured is in the cells, why in the page."""
    columns = ["claim", "what it says", "it reports", "measured here", "rests on", "verdict"]
    rows = [
        [
            finding.verdict.claim_id,
            finding.verdict.text,
            finding.verdict.reported or NONE,
            "<br>".join(finding.verdict.ours) or NONE,
            _basis(finding) or NONE,
            finding.verdict.word,
        ]
        for finding in findings
    ]
    lines = [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "\n".join([*lines, "", f"{summary(findings)}."])


def page(findings: Sequence[Finding], unreadable: Sequence[str], where: str = "") -> str:
    """The whole page, a table for each report; `where` are the arguments that name the store."""
    return document.render(
        "claims.html",
        title=TITLE,
        summary=summary(findings),
        unreadable=left_out(unreadable),
        where=where,
        reports=[(_heading(name), _table(part)) for name, part in groupby(findings, _report)],
    )


def _heading(report: str) -> str:
    titles = reports().titles
    return f"{report} · {titles[report]}" if report in titles else report


def _table(findings: Iterable[Finding]) -> Table:
    rows = [
        [
            *claim_cells(finding.verdict),
            Cell("\n".join(finding.verdict.ours), "figures", _basis(finding)),
            Cell(finding.verdict.sentence, "text"),
        ]
        for finding in findings
    ]
    return Table(DECLARED, HEADINGS, rows)


def _report(finding: Finding) -> str:
    report = finding.verdict.claim_id.partition(".")[0]
    return report if report in reports().titles else OWN


def _basis(finding: Finding) -> str:
    return f"{finding.study}, {finding.basis}" if finding.basis else ""


def left_out(reasons: Iterable[str]) -> list[str]:
    """A sentence for each study that cannot be read."""
    return [f"a study cannot be read, and its claims are left out: {reason}" for reason in reasons]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
