"""Check, and mend, all that a store holds: `python -m fashion_hpo.doctor --fix`."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line

if TYPE_CHECKING:
    from fashion_hpo.integrity.evidence import Violation
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.ledger import Ledger

    Checked = tuple[list[Violation], list[Violation]]  # what was wrong, and what still is


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if nothing is wrong in the end, 1 if something is, 2 for bad input."""
    made = command_line.parser(
        "doctor",
        "Check that ledger, MLflow, model files and checkpoints agree; mend what does not.",
    )
    made.add_argument("name", nargs="?", help="a study; without it all that the store holds")
    command_line.add_budget(made, None, "default: all")
    command_line.add_store(made)
    also = made.add_mutually_exclusive_group()
    also.add_argument("--fix", action="store_true", help="mend what can be mended")
    also.add_argument(
        "--rebuild-mlflow",
        action="store_true",
        help="make MLflow's database again from the ledgers; the old one is kept",
    )
    also.add_argument(
        "--copy",
        type=command_line.folder,
        metavar="DIR",
        help="copy the store, while studies run; then end",
    )
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.reading import store_to_read

    writes = args.fix or args.rebuild_mlflow
    store = (Store.at if writes else store_to_read)(args.store, args.storage)
    if not store.has_ledgers:
        raise ValueError(f"store {store.root} has no ledgers; run a study first, or name another.")
    if args.copy:
        return _copy(store, args.copy)
    if args.rebuild_mlflow:
        _rebuild(store, args)
    found, left = _check_store(store, args)
    to_do = _remedies(left)
    readable = all(each.invariant not in ("database", "address") for each in left)
    ledgers = _ledgers(store, args.name, args.budget) if readable else []
    for ledger in ledgers:
        of_ledger, still = _check_ledger(store, ledger, args)
        found, left = found + of_ledger, left + still
        to_do += _remedies(still, f"{ledger.plan.name} --budget {ledger.plan.budget}")
    if not found:
        trials = sum(len(ledger.entries()) for ledger in ledgers)
        print(f"{len(ledgers)} ledger(s), {trials} trials: all invariants hold")
        return 0
    if not args.fix and any(each.mendable for each in left):
        to_do.append("mend it with `python -m fashion_hpo.doctor --fix`")
    _print("to do", dict.fromkeys(to_do), args)
    print(f"{len(found)} violation(s), {len(found) - len(left)} mended, {len(left)} left")
    return command_line.HALTED if left else 0


def _remedies(left: "Iterable[Violation]", study: str = "NAME") -> list[str]:
    """What a person can do about what is left; `study` as it is typed, with its budget."""
    from fashion_hpo.integrity.invariants import REMEDIES

    remedies = (REMEDIES.get(each.invariant) for each in left)
    return [remedy.replace("NAME", study) for remedy in remedies if remedy is not None]


def _copy(store: "Store", target: Path) -> int:
    from fashion_hpo.stores.copying import copy_store

    print(f"{store.root} was copied to {copy_store(store, target).root}")
    return 0


def _rebuild(store: "Store", args: argparse.Namespace) -> None:
    from fashion_hpo.integrity.rebuilding import rebuild

    made = rebuild(store)
    models = len(made.found) + len(made.lost)
    print(f"mlflow.db was made again: {made.ledgers} ledgers, {made.runs} runs")
    print(f"models: {len(made.found)} of {models} were found by their content")
    for uid in made.lost:
        print(f"  the model of {uid} is nowhere in the store")
    for ledger in made.unread:
        print(f"  without the ledger {ledger}: its runs are in the old database alone")
    if made.aside is not None:
        print(f"the old database is kept as {made.aside.name}")
    hint = (
        "`python -m fashion_hpo.report NAME` logs a study's report again, "
        "`python -m fashion_hpo.register NAME` makes its best model champion"
    )
    print(command_line.on_store(hint, args))


def _ledgers(store: "Store", name: str | None, budget: str | None) -> "list[Ledger]":
    from fashion_hpo.stores.opening import readable_and_not

    there, unread = readable_and_not(store)
    chosen = [
        each
        for each in there
        if name in (None, each.plan.name) and budget in (None, each.plan.budget)
    ]
    named = [each.name for each in unread if name in (None, each.name.partition("/")[0])]
    if not chosen and there and not named:
        names = ", ".join(each.name for each in there)
        raise ValueError(f"store {store.root} has no such ledger; choose among {names}.")
    return chosen


def _check_store(store: "Store", args: argparse.Namespace) -> "Checked":
    from fashion_hpo.integrity.mending import mend_store
    from fashion_hpo.integrity.store_invariants import examine_store

    found = examine_store(store)
    _print("store", map(str, found), args)
    if found and args.fix:
        _print("mended", mend_store(store, found), args)
        return found, examine_store(store)
    return found, found


def _check_ledger(store: "Store", ledger: "Ledger", args: argparse.Namespace) -> "Checked":
    from fashion_hpo.integrity.invariants import examine
    from fashion_hpo.integrity.mending import mend
    from fashion_hpo.stores.tracking import DeletedExperimentError, Tracker

    try:
        tracker = Tracker(store, ledger.plan.name)
    except DeletedExperimentError:  # the store's check has named it
        return [], []
    found = examine(store, ledger, tracker)
    _print(ledger.name, map(str, found), args)
    if not args.fix or not found:
        return found, found
    _print("mended", mend(store, ledger, tracker), args)
    return found, examine(store, ledger, tracker)


def _print(about: str, lines: Iterable[str], args: argparse.Namespace) -> None:
    for line in lines:
        print(f"{about}: {command_line.on_store(line, args)}")


if __name__ == "__main__":
    sys.exit(main())
