"""The lines that a study prints before and after its training."""

from collections.abc import Iterable

from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.wording import startup
from fashion_hpo.design import coupling
from fashion_hpo.design.constraints import in_words
from fashion_hpo.design.plan import Plan
from fashion_hpo.design.search import Search


def plan_lines(plan: Plan) -> list[str]:
    """The study's question, the trials that answer it, and which values bring others along."""
    return [
        f"{plan.name}, budget {plan.budget}: {plan.question}",
        f"{_trials(plan)}, {plan.length} of {plan.base.train_images:,} images "
        f"each: {plan.image_passes:,} image passes at most{_confirmation(plan)}",
        *(f"coupled   {line}" for line in coupling.in_words(plan.coupled)),
    ]


def check_lines(checks: Iterable[Check]) -> list[str]:
    """A line for each check that warns: what was seen, and what to do."""
    return [f"check     {check.sentence} {check.advice}" for check in checks if check.is_warning]


def _trials(plan: Plan) -> str:
    if plan.search is not None:
        return _search(plan, plan.search)
    if plan.confirmation is not None:
        best, audited = len(plan.confirmation.finalists), len(plan.confirmation.audited)
        trials = f"the best {best} on {plan.seeds} fresh seed(s) each"
        return trials + (f", {audited} pruned trials to their end" if audited else "")
    levels = " x ".join(f"{len(values)} {name}" for name, values in plan.scientific.items())
    nuisance = f" x {plan.nuisance_points} nuisance points" if plan.nuisance_points > 1 else ""
    return f"{levels}{nuisance} x {plan.seeds} seed(s) = {plan.trials} trials"


def _search(plan: Plan, search: Search) -> str:
    trials = f"{plan.trials} trials of {search.sampler} over {', '.join(search.space)}"
    if search.defaults:
        trials += ", the first with the base config's own values"
    if plan.warm_start is not None:
        then = "then" if search.defaults else "first"
        trials += f", {then} the best {len(plan.warm_start.points)} of {plan.warm_start.of}"
    if search.plateau:
        trials += f", fewer if {search.plateau} bring nothing better"
    if plan.constraints:
        trials += f", {in_words(plan.constraints)}"
    if search.resume_pruned:
        trials += f", the best {search.resume_pruned} of the pruned ones to their end"
    random = startup(plan, search.trials)
    return trials + (f" ({random})" if random else "")


def _confirmation(plan: Plan) -> str:
    """The trials on fresh seeds after a search, as the end of a sentence; "" if there are none."""
    search = plan.search
    if search is None or not search.finalists:
        return ""
    best = min(search.finalists, search.trials)
    passes = best * search.fresh_seeds * plan.base.epochs * plan.base.train_images
    return f"; then the best {best} on {search.fresh_seeds} fresh seed(s) each, {passes:,} more"
