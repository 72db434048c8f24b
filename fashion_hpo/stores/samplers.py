"""Optuna's samplers and pruners, by the names that study files give them."""

from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler

from fashion_hpo.design.spec import Pruner, Sampler


def make_sampler(name: Sampler, seed: int) -> BaseSampler:
    """A sampler that proposes by what came before: to be made anew, with another seed, for each
    proposal, because one that is made again with the same seed repeats its suggestions."""
    if name == "gp":
        return GPSampler(seed=seed)
    assert name == "tpe"  # the points of others wait in the ledger
    return TPESampler(seed=seed)


def make_pruner(name: Pruner, epochs: int) -> BasePruner:
    """A pruner of trials that take so many epochs."""
    if name == "hyperband":
        return HyperbandPruner(max_resource=epochs, reduction_factor=3)
    if name == "successive_halving":
        return SuccessiveHalvingPruner()
    return MedianPruner() if name == "median" else NopPruner()
