"""All claims in one table: for the terminal, as Markdown and as one HTML page."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from itertools import groupby
from textwrap import indent

from fashion_hpo.analysis.findings import Finding, tally
from fashion_hpo.design.reports import REPORTS
from fashion_hpo.design.sentences import with_store
from fashion_hpo.reporting.page.document import document, section
from fashion_hpo.reporting.page.tables import NONE, Cell, claim_cells, table

TITLE = "The reports' claims"
HOW = (
    "Every verdict rests on a 95 % interval of its own over seeds, on validation images. The "
    "intervals are not widened for the number of claims, each of which was declared before its "
    "study ran: where the truth lies just at a margin, one verdict in 40 is wrong."
)
MARGIN = "      "  # of the lines about one claim
OWN = "Other studies' claims"
DECLARED = "Declared before the studies ran"
HEADINGS = ["claim", "verdict", "what it says", "measured here", "why"]


def on_store(findings: Sequence[Finding], where: str) -> list[Finding]:
    """The findings, with the commands they tell for a store named by these arguments."""
    told = [with_store(finding.verdict.sentence, where) for finding in findings]
    return [
        replace(finding, verdict=replace(finding.verdict, sentence=sentence))
        for finding, sentence in zip(findings, told, strict=True)
    ]


def text(findings: Sequence[Finding], unreadable: Sequence[str]) -> str:
    """A few lines for each claim, and how many have which verdict."""
    blocks = []
    for finding in findings:
        verdict = finding.verdict
        told = {
            "reported": verdict.reported,
            "measured": "\n          ".join(verdict.ours),
            "rests on": _basis(finding),
            "why": verdict.sentence,
        }
        column = max(map(len, told))
        lines = [f"{name:{column}}  {what}" for name, what in told.items() if what]
        head = f"{verdict.claim_id}  {verdict.word.upper()}  {verdict.text}"
        blocks.append(f"{head}\n{indent(chr(10).join(lines), MARGIN)}")
    return "\n".join([*blocks, "", *_unreadable(unreadable), summary(findings)])


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
    head = (
        f'<header><h1>{escape(TITLE)}</h1><p class="budget">{escape(summary(findings))}</p>'
        f'<p class="question">{escape(HOW)}</p>'
    )
    if unreadable:
        warnings = "".join(f"<p>{escape(line)}</p>" for line in _unreadable(unreadable))
        head += f'<div class="warning" role="note">{warnings}</div>'
    made = "<p>This page is made from the stores by</p>"
    command = f"<pre><code>python -m fashion_hpo.claims{escape(where)}</code></pre>"
    return document(
        TITLE,
        [
            f"{head}</header>",
            *(_part(name, list(part)) for name, part in groupby(findings, _report)),
            section("How it was made", made + command),
        ],
    )


def _part(report: str, findings: Iterable[Finding]) -> str:
    rows: list[list[Cell]] = [
        [
            *claim_cells(finding.verdict),
            ("\n".join(finding.verdict.ours), "figures", _basis(finding)),
            (finding.verdict.sentence, "text"),
        ]
        for finding in findings
    ]
    title = f"{report} · {REPORTS[report]}" if report in REPORTS else report
    return section(title, table(DECLARED, HEADINGS, rows, whole=True))


def _report(finding: Finding) -> str:
    report = finding.verdict.claim_id.partition(".")[0]
    return report if report in REPORTS else OWN


def _basis(finding: Finding) -> str:
    return f"{finding.study}, {finding.basis}" if finding.basis else ""


def _unreadable(reasons: Iterable[str]) -> list[str]:
    return [f"a study cannot be read, and its claims are left out: {reason}" for reason in reasons]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
