"""Whether a study's results are in the regime that a report's claim is about."""

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import at_level
from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.claim_kinds.kind import levels_text
from fashion_hpo.design.claims import Claim, Regime
from fashion_hpo.design.formats import number_text
from fashion_hpo.design.plan import Plan
from fashion_hpo.design.reports import reports
from fashion_hpo.design.sentences import study_command

QUICK = "the quick budget asks no report's claim"


def not_asked(claim: Claim, records: Records) -> str:
    """Why this budget does not ask the claim, and the command that does; "" if it is asked."""
    plan = records.plan
    if not records.info.is_default and claim.id.partition("-")[0] in reports().claims:
        return f"the claim is about Fashion-MNIST, and the study was run on {records.info.name}."
    if claim.small_scale and plan.budget != "quick":
        return f"the claim is about the quick budget; {study_command(plan.name, 'quick')} asks."
    if claim.small_scale and plan.changed:
        return (
            f"the claim is about the quick budget without changes to {', '.join(plan.changed)}; "
            f"{study_command(plan.name, 'quick', '--revise')} asks."
        )
    return outside(claim.regime, records) if claim.regime is not None else ""


def outside(regime: Regime, records: Records) -> str:
    """Why the claim is not asked, and the command that asks; "" within the regime."""
    reason = _reason(regime, records)
    return f"{reason}; {_asking(records)}." if reason else ""


def too_small(regime: Regime, plan: Plan) -> str:
    """Why a plan cannot ask the claim, whatever its results; "" if it can."""
    if plan.budget == "quick":
        return QUICK
    if any(level not in plan.scientific[name] for name, level in regime.at.items()):
        return f"this budget leaves the reference ({levels_text(regime.at)}) out"
    steps = (plan.base if plan.spec.equal_steps else plan.config_at(regime.at)).steps
    if steps < regime.steps:
        return (
            f"the reference is trained for {steps:,} optimizer steps, and the report's regime "
            f"begins at {regime.steps:,}"
        )
    return ""


def _reason(regime: Regime, records: Records) -> str:
    if why := too_small(regime, records.plan):
        return why
    reference = at_level(records, "value", regime.at)
    if reference is None or reference.estimate.mean >= regime.reaches:
        return ""
    return (
        f"the reference ({levels_text(regime.at)}) has {_percent(reference.estimate.mean)} "
        f"validation accuracy, and the report's regime begins at {_percent(regime.reaches)}"
    )


def _asking(records: Records) -> str:
    """The command of the largest budget, unless that is the one."""
    plan = records.plan
    largest = [name for name in BUDGETS if name in plan.spec.budgets][-1]
    if largest == plan.budget:
        return "no budget of the study is larger"
    return f"{study_command(plan.name, largest)} asks"


def _percent(share: float) -> str:
    return f"{number_text(100 * share)} %"
