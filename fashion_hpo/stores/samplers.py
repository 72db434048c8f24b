"""Optuna's samplers and pruners, and one pruner of ours, by their names in study files."""

import warnings
from collections.abc import Callable

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from fashion_hpo.design.search import STARTUP_TRIALS, Pruner, Sampler


class OneEpochPruner(BasePruner):
    """Ends every trial after its first epoch.

    Use it with `resume_pruned`, which trains the best trials to completion (Egele et al. 2023, "Is
    one epoch all you need for multi-fidelity hyperparameter optimization?", arXiv 2307.15422).
    """

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether an epoch was reported; a ledger does not ask after a trial's last epoch."""
        return trial.last_step is not None


SAMPLERS: dict[Sampler, Callable[[int, int], BaseSampler]] = {
    "gp": lambda seed, startup: GPSampler(seed=seed, n_startup_trials=startup),
    "tpe": lambda seed, startup: TPESampler(seed=seed, n_startup_trials=startup),
    "random": lambda seed, _: RandomSampler(seed=seed),  # if those draws stay invalid
}
"""A sampler with this seed and so many random start-up trials, by name.  A drawn search needs none:
its points are enqueued."""


def make_sampler(
    name: Sampler, seed: int, grouped: bool = False, startup: int = STARTUP_TRIALS
) -> BaseSampler:
    """A sampler for one proposal; each proposal needs another seed, else suggestions repeat.

    grouped: whether fields have conditions: TPE then models the fields of each case together.
    """
    if grouped and name == "tpe":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # `group` is, since Optuna 2.8
            return TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, group=True)
    return SAMPLERS[name](seed, startup)


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> None:
    """Sample one more field of a proposal."""
    if isinstance(distribution, CategoricalDistribution):
        trial.suggest_categorical(name, distribution.choices)
        return
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, log = distribution.low, distribution.high, distribution.log
    if isinstance(distribution, IntDistribution):
        trial.suggest_int(name, int(low), int(high), step=distribution.step, log=log)
    else:
        trial.suggest_float(name, low, high, step=distribution.step, log=log)


def make_pruner(name: Pruner, epochs: int) -> BasePruner:
    """A pruner of trials that are `epochs` long."""
    if name == "hyperband":
        return HyperbandPruner(max_resource=epochs, reduction_factor=3)
    if name == "successive_halving":
        return SuccessiveHalvingPruner()
    if name == "one_epoch":
        return OneEpochPruner()
    return MedianPruner() if name == "median" else NopPruner()
