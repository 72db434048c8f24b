"""The checks of a study that the tuning playbook recommends, with advice.

Source: Godbole, Dahl, Gilmer, Shallue, Nado, "Deep Learning Tuning Playbook" (2023), on search
space boundaries, training curves and trial variance.  The thresholds are ours.
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
    """The results of all checks that apply to the study, in a fixed order."""
    return [result for run in CHECKS if (result := run(records)) is not None]
