"""What may be wrong with a study, and what to do: the checks of the tuning playbook.

Source: Godbole, Dahl, Gilmer, Shallue, Nado, "Deep Learning Tuning Playbook" (2023), its parts on
search space boundaries, training curves and trial variance.  Thresholds are ours, and stand where
they are used.
"""

from fashion_hpo.analysis import point_checks, training_checks
from fashion_hpo.analysis.check import Check as Check
from fashion_hpo.analysis.records import Records

CHECKS = (
    point_checks.boundary,
    training_checks.diverged,
    training_checks.still_improving,
    training_checks.over_fitting,
    training_checks.seed_noise,
    point_checks.too_few_points,
    point_checks.pruning,
    training_checks.unequal_budgets,
)


def check(records: Records) -> list[Check]:
    """Every check that applies to the study and has something to look at, in a fixed order."""
    return [found for each in CHECKS if (found := each(records)) is not None]
