"""After a search: train its finalists on fresh seeds, in a ledger that no sampler sees.

The finalists follow from the search's ledger alone, so that all processes agree, and are written
into the confirmation's ledger under the store's lock.  A search that is extended later may have
new finalists: they are added, on the same seeds, and the earlier finalists stay.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fashion_hpo.design.confirmation import Confirmation, Values
from fashion_hpo.design.data_set import DataSet
from fashion_hpo.design.plan import Plan, confirmation_plan, digest
from fashion_hpo.design.sentences import study_command
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.opening import confirmation_of


def is_due(ledger: Ledger) -> bool:
    """Whether the ledger is a search's and every trial has an outcome."""
    return ledger.plan.search is not None and ledger.remaining() == 0


def open_confirmation(
    search: Session, *, data: Path | DataSet | None = None, device: str = "auto"
) -> Session | None:
    """The session that confirms a finished search; None if there is nothing to confirm.

    Its trials have the search's threads, precision, step and memory format of exported models.
    Raises as `open_session` does.
    """
    plan = plan_of(search.ledger)
    if plan is None:
        return None
    session = open_session(
        search.store,
        plan,
        data=data,
        device=device,
        threads=search.ledger.threads,
        precision=search.ledger.precision,
        step=search.ledger.step,
        served_channels_last=search.ledger.served_channels_last,
        splits=search.splits,
    )
    return replace(session, signals=search.signals)


def deciding(store: Store, ledger: Ledger) -> Ledger:
    """The ledger whose trials decide the best config: for a finished search its confirmation.

    Raises ValueError while trainings of a finished search's finalists are left.
    """
    plan = plan_of(ledger)
    if plan is None or not plan.confirmation or not plan.confirmation.finalists:
        return ledger
    confirming = confirmation_of(store, ledger)
    left = plan.trials if confirming is None else confirming.remaining() + _new(plan, confirming)
    if confirming is None or left:
        raise ValueError(
            f"{left} of {plan.trials} trainings that confirm the finalists of {ledger.name} are "
            f"left; run {study_command(ledger.plan.name, ledger.plan.budget)} again first."
        )
    return confirming


def _new(plan: Plan, confirming: Ledger) -> int:
    """The number of trainings of finalists that the confirmation does not have yet."""
    assert plan.confirmation is not None
    assert confirming.plan.confirmation is not None
    known = [dict(values) for values in confirming.plan.confirmation.finalists]
    missing = [values for values in plan.confirmation.finalists if dict(values) not in known]
    return len(missing) * plan.seeds


def plan_of(ledger: Ledger) -> Plan | None:
    """The plan that confirms a finished search; None if unfinished or nothing to confirm."""
    search = ledger.plan.search
    if search is None or not is_due(ledger):
        return None
    confirmation = Confirmation(
        of=ledger.name,
        uid=ledger.uid,
        finalists=finalists(ledger, search.finalists),
        audited=audited(ledger, search.audit),
    )
    if not confirmation.finalists and not confirmation.audited:
        return None
    return confirmation_plan(ledger.plan, confirmation, search.fresh_seeds)


def finalists(ledger: Ledger, count: int) -> tuple[Values, ...]:
    """The searched values of the best trials, each config once, best first."""
    return _values(ledger.ranked())[:count]


def audited(ledger: Ledger, count: int) -> tuple[Values, ...]:
    """The searched values of some pruned points, drawn by the study's seed.

    The draw ranks points by a hash: a search that is extended keeps most of its audited points.
    """
    entries = ledger.entries()
    complete = {entry.attempt.point for entry in entries if entry.state == "COMPLETE"}
    pruned = [e for e in entries if e.state == "PRUNED" and e.attempt.point not in complete]
    seed = ledger.plan.spec.seed
    ranked = sorted(pruned, key=lambda entry: digest(["audit", seed, entry.attempt.point]))
    return _values(ranked)[:count]


def _values(entries: Iterable[Entry]) -> tuple[Values, ...]:
    by_point: dict[str, Values] = {}
    for entry in entries:
        by_point.setdefault(entry.attempt.point, dict(entry.attempt.params))
    return tuple(by_point.values())
