"""The note of a study's run: its answer in Markdown, for MLflow's page of the run."""

from collections.abc import Sequence

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.design.sentences import study_command, with_store

LONGEST = 8_000  # characters of a tag in MLflow


def note(
    records: Records, verdicts: Sequence[Verdict], answer: Sequence[str], where: str = ""
) -> str:
    """Question, answer, verdicts, and where the report is; `where` names the store in commands."""
    plan = records.plan
    claims = [
        f"| {verdict.claim_id} | {_cell(verdict.text)} | **{verdict.word}** |"
        for verdict in verdicts
    ]
    table = ["| claim | what is claimed | verdict |", "|---|---|---|", *claims] if claims else []
    ended = len(records.trials)
    parts = [
        f"**{plan.question}**",
        "\n".join(f"* {sentence}" for sentence in answer if sentence),
        "\n".join(table),
        f"Budget {plan.budget}: {ended} of {ended + records.remaining} trials have ended. The "
        "report with all figures is the artifact `report/report.html`; the trials are the runs "
        "below this one.",
        f"Its command: {with_store(study_command(plan.name, plan.budget), where)}",
    ]
    text = "\n\n".join(filter(None, parts))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
