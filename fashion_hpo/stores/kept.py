"""Rebuild a plan from its ledger's attributes, or raise an error that names the ledger.

Values are not checked against ranges again: the base config of another budget, under which they are
out of range, must not hide stored results.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.distributions import json_to_distribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.confirmation import SUFFIX, Confirmation
from fashion_hpo.design.coupling import from_extent
from fashion_hpo.design.plan import Plan, confirmation_plan
from fashion_hpo.design.sentences import shortened
from fashion_hpo.design.spec import Budget, KeptSpec, Search
from fashion_hpo.design.warm_start import kept_warm_start
from fashion_hpo.stores.layout import ID, StoreError

LONGEST_REASON = 200  # characters
FAILURES = (ValueError, TypeError, LookupError, AttributeError)
"""Raised while reading values of another form than this version writes."""


class UnreadableLedgerError(StoreError):
    """Ledger `name` is damaged or from another version; `uid` is None if it is unreadable too."""

    def __init__(self, name: str, uid: str | None, reason: str) -> None:
        super().__init__(
            f"ledger {name} cannot be read by this version ({reason}); use the version that wrote "
            "it, or a copy of the store from before it was damaged."
        )
        self.name, self.uid, self.reason = name, uid, reason


@contextmanager
def readable(name: str, uid: str | None = None, trial: int | None = None) -> Iterator[None]:
    """Within, a ledger or trial that cannot be read raises UnreadableLedgerError."""
    try:
        yield
    except UnreadableLedgerError:
        raise
    except FAILURES as error:
        reason = shortened(error, LONGEST_REASON).rstrip(".")
        if not isinstance(error, ValueError):
            reason = f"{type(error).__name__}: {reason}"
        where = "" if trial is None else f"trial {trial}: "
        raise UnreadableLedgerError(name, uid, f"{where}{reason}") from None


def kept_base(attributes: Mapping[str, Any]) -> TrainConfig:
    """The base config of a ledger, from its attributes."""
    return TrainConfig.from_dict(json.loads(attributes["identity"])["base"])


def kept_plan(name: str, attributes: Mapping[str, Any]) -> Plan:
    """The plan of a ledger, from its name and attributes, without claims and captions, which only
    the study file has.  Raises UnreadableLedgerError."""
    uid = attributes.get("uid")
    if not isinstance(uid, str) or not ID.fullmatch(uid):
        raise UnreadableLedgerError(name, None, f"its id is {uid!r}")
    with readable(name, uid):
        return _plan(name, attributes)


def _plan(ledger: str, attributes: Mapping[str, Any]) -> Plan:
    identity, extent = json.loads(attributes["identity"]), attributes["extent"]
    name, budget, _ = ledger.removesuffix(SUFFIX).rsplit("/", 2)
    spec = _spec(identity, extent, budget)
    plan = Plan(
        name=name,
        question=attributes["question"],
        budget=budget,
        spec=spec,
        base=spec.base,
        scientific=spec.scientific,
        seeds=spec.seeds,
        nuisance_points=spec.nuisance_points if spec.nuisance else 1,
        search=spec.search,
        warm_start=kept_warm_start(extent),
        coupled=from_extent(extent),
    )
    if identity["kind"] != "confirmation":
        return plan
    empty = Confirmation(of=ledger.removesuffix(SUFFIX), uid=identity["confirms"], finalists=())
    return confirmation_plan(plan, empty.grown(extent), extent["seeds"])


def _spec(identity: Mapping[str, Any], extent: Mapping[str, Any], budget: str) -> KeptSpec:
    ranges = {
        field: json_to_distribution(json.dumps(distribution))
        for field, distribution in identity["ranges"].items()
    }
    search = None
    if identity["kind"] != "design":
        search = Search(
            space=ranges,
            trials=extent["trials"],
            sampler=identity["sampler"],
            startup_trials=identity.get("startup_trials"),
            pruner=identity["pruner"],
            defaults=bool(extent.get("defaults", False)),
            plateau=extent.get("plateau", 0),
            # A confirmation does not store the number, and the one_epoch pruner needs at least 1.
            resume_pruned=extent.get("resume_pruned", int(identity["pruner"] == "one_epoch")),
            constraints=identity.get("constraints", {}),
            when=identity.get("when", {}),
            objectives=tuple(identity.get("objectives", (identity["objective"],))),
        )
    return KeptSpec(
        base=TrainConfig.from_dict(identity["base"]),
        scientific={field: tuple(levels) for field, levels in extent["scientific"].items()},
        nuisance={} if search else ranges,
        nuisance_points=extent["nuisance_points"],
        nuisance_base=extent.get("nuisance_base", False),
        seeds=extent["seeds"],
        folds=identity.get("folds", False),
        equal_steps=identity.get("equal_steps", False),
        search=search,
        budgets={budget: Budget()},
        seed=identity["study_seed"],
    )
