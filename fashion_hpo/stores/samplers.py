"""Optuna's samplers and pruners, and one of our own, by the names that study files give them."""

from collections.abc import Callable

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from fashion_hpo.design.search import STARTUP_TRIALS, Pruner, Sampler


class OneEpochPruner(BasePruner):
    """Ends every trial after its first epoch, one that has no other excepted.

    To be used with the best of them resumed (Egele et al. 2023, "Is one epoch all you need for
    multi-fidelity hyperparameter optimization?", arXiv 2307.15422).
    """

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether a trial of the ledger has epochs left after those it reported."""
        done = trial.last_step
        return done is not None and done < trial.user_attrs["config"]["epochs"]


SAMPLERS: dict[Sampler, Callable[[int], BaseSampler]] = {
    "gp": lambda seed: GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS),
    "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS),
    "random": lambda seed: RandomSampler(seed=seed),  # where another's draws make no config
}
"""Name to a sampler with this seed.  The points of a drawn search wait in the ledger."""


def make_sampler(name: Sampler, seed: int) -> BaseSampler:
    """A sampler that proposes by what came before.

    Each proposal needs a new one with another seed: the same seed repeats the suggestions.
    """
    return SAMPLERS[name](seed)


def make_pruner(name: Pruner, epochs: int) -> BasePruner:
    """A pruner of trials that take so many epochs."""
    if name == "hyperband":
        return HyperbandPruner(max_resource=epochs, reduction_factor=3)
    if name == "successive_halving":
        return SuccessiveHalvingPruner()
    if name == "one_epoch":
        return OneEpochPruner()
    return MedianPruner() if name == "median" else NopPruner()
