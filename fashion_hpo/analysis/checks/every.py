"""What may be wrong with a study, and what to do: the checks of the tuning playbook.

Source: Godbole, Dahl, Gilmer, Shallue, Nado, "Deep Learning Tuning Playbook" (2023), its parts on
search space boundaries, training curves and trial variance.  Thresholds are ours, and stand where
they are used.
"""

from fashion_hpo.analysis.checks import points, training
from fashion_hpo.analysis.checks.check import Check as Check
from fashion_hpo.analysis.records import Records

CHECKS = (
    points.boundary,
    training.diverged,
    training.still_improving,
    training.over_fitting,
    training.seed_noise,
    points.too_few_points,
    points.pruning,
    training.unequal_budgets,
)


def check(records: Records) -> list[Check]:
    """Every check that applies to the study and has something to look at, in a fixed order."""
    return [found for each in CHECKS if (found := each(records)) is not None]
