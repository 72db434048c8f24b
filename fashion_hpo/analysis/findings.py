"""All claims in order, each with its verdict from the store."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fashion_hpo.analysis.records import command_for, look_up_ledger, of_ledger
from fashion_hpo.analysis.statistics.verdicts import (
    NO_VERDICT,
    NOT_ASKED,
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    UNTESTABLE,
    Verdict,
    untestable,
    verdict_of,
)
from fashion_hpo.design.claims import Claim
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.reports import reports
from fashion_hpo.design.spec import StudySpec
from fashion_hpo.design.study_file import list_studies, load_study
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger

NOT_RUN, NO_STUDY = "not run here", "no study yet"


@dataclass(frozen=True)
class Finding:
    """The verdict on one claim, the study that tests the claim ("": none), and what was trained."""

    verdict: Verdict
    study: str = ""
    basis: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding for JSON."""
        return {**self.verdict.as_dict(), "study": self.study, "rests_on": self.basis}


def gather(store: Store, budget: str | None = None) -> tuple[list[Finding], list[str]]:
    """The findings on the reports' claims, then on other claims; and an error for each bad study.

    A study counts with its largest complete budget, or with the budget that is named.
    """
    by_claim: dict[str, list[Finding]] = {claim_id: [] for claim_id in reports().claims}
    unreadable = []
    for name in list_studies():
        try:
            findings = list(_of_study(store, name, *load_study(name), budget))
        except ValueError as error:
            unreadable.append(str(error))
            continue
        for finding in findings:
            by_claim.setdefault(finding.verdict.claim_id, []).append(finding)
    for claim_id, known in reports().claims.items():
        if not by_claim[claim_id]:
            sentence = "no study here asks about it."
            verdict = Verdict(claim_id, known.text, NO_STUDY, sentence, known.figure)
            by_claim[claim_id] = [Finding(verdict)]
    ordered = sorted(by_claim, key=_place)
    return [finding for claim_id in ordered for finding in by_claim[claim_id]], unreadable


def plans_of_claims(budget: str) -> list[Plan]:
    """The plans of the studies that ask a testable claim of the reports under a budget."""
    studies = ((name, *load_study(name)) for name in list_studies())
    return [
        make_plan(name, question, spec, budget)
        for name, question, spec in studies
        if budget in spec.budgets
        and any(
            claim.id.partition("-")[0] in reports().claims
            and not claim.untestable
            and not claim.small_scale
            for claim in spec.claims
        )
    ]


def _place(claim_id: str) -> int:
    """A sort key: the order of the reports; a variant of a claim (R2.c-tuned) follows the claim."""
    first = claim_id.partition("-")[0]
    ids = list(reports().claims)
    return ids.index(first) if first in ids else len(ids)


def _of_study(
    store: Store, name: str, question: str, spec: StudySpec, budget: str | None
) -> Iterator[Finding]:
    testable = any(not claim.untestable for claim in spec.claims)
    has_budget = budget is None or budget in spec.budgets
    ledger = (
        look_up_ledger(store, name, question, spec, budget) if testable and has_budget else None
    )
    records = None if ledger is None else of_ledger(ledger, store)
    for claim in spec.claims:
        if claim.untestable:
            yield Finding(untestable(claim), name)
        elif ledger is None or records is None:
            command = command_for(name, spec, budget if has_budget else None)
            yield Finding(_not_run(claim, command), name)
        else:
            yield Finding(verdict_of(claim, records), name, _basis(ledger, claim))


def _not_run(claim: Claim, command: str) -> Verdict:
    sentence = f"its study has no results in this store; {command} makes them."
    return Verdict(claim.id, claim.text, NOT_RUN, sentence, claim.reported)


def _basis(ledger: Ledger, claim: Claim) -> str:
    """The budget, and the images, epochs, settings and trials that were trained."""
    plan, remaining = ledger.plan, ledger.remaining()
    size = f"{plan.base.train_images:,} images × {plan.length}"
    settings = 1 if all(part.untuned for part in claim.all_parts) else plan.nuisance_points
    tuned = f", best of {settings} settings" if settings > 1 else ""
    part = f", {plan.trials - remaining} of {plan.trials} trials" if remaining else ""
    return f"{plan.budget}: {size}{tuned}{part}"


def tally(findings: list[Finding]) -> dict[str, int]:
    """The number of claims by verdict, decided verdicts first."""
    order = (REPRODUCED, REFUTED, UNDECIDED, NO_VERDICT, NOT_ASKED, UNTESTABLE, NOT_RUN, NO_STUDY)
    counts = {word: sum(finding.verdict.word == word for finding in findings) for word in order}
    return {word: count for word, count in counts.items() if count}
