"""Check and mend a store: `python -m fashion_hpo.doctor --fix`."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.as_json import add_json, answering

if TYPE_CHECKING:
    from fashion_hpo.integrity.evidence import Violation
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.ledger import Ledger

    Checked = tuple[list[Violation], list[Violation]]  # violations before and after mending


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if no violation is left, 1 if any is, 2 for bad input."""
    parser = command_line.parser(
        "doctor",
        "Check that ledger, MLflow, model files and checkpoints agree; mend them with --fix.",
    )
    parser.add_argument("name", nargs="?", help="a study; default: all of the store")
    command_line.add_budget(parser, None, "default: all")
    command_line.add_store(parser)
    also = parser.add_mutually_exclusive_group()
    also.add_argument("--fix", action="store_true", help="mend all violations that can be mended")
    also.add_argument(
        "--rebuild-mlflow",
        action="store_true",
        help="make MLflow's database again from the ledgers; the old one is kept",
    )
    also.add_argument(
        "--copy",
        type=command_line.folder,
        metavar="DIR",
        help="copy the store and stop; studies may go on running",
    )
    add_json(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    with answering(args) as answer:
        return _check(args, answer)


def _check(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.reading import store_to_read

    writes = args.fix or args.rebuild_mlflow
    store = (Store.at if writes else store_to_read)(args.store, args.storage)
    if not store.has_ledgers:
        raise ValueError(f"store {store.root} has no ledgers; run a study first, or name another.")
    if args.copy:
        answer["copy"] = str(args.copy)
        return _copy(store, args.copy)
    if args.rebuild_mlflow:
        _rebuild(store, args)
    violations, left = _check_store(store, args)
    to_do = _remedies(left)
    readable = all(violation.invariant not in ("database", "address") for violation in left)
    ledgers = _ledgers(store, args.name, args.budget) if readable else []
    for ledger in ledgers:
        of_ledger, left_of_ledger = _check_ledger(store, ledger, args)
        violations, left = violations + of_ledger, left + left_of_ledger
        to_do += _remedies(left_of_ledger, f"{ledger.plan.name} --budget {ledger.plan.budget}")
    if not args.fix and any(violation.mendable for violation in left):
        to_do.append("mend it with `python -m fashion_hpo.doctor --fix`")
    trials = sum(len(ledger.entries()) for ledger in ledgers)
    answer |= {
        "ledgers": [ledger.name for ledger in ledgers],
        "trials": trials,
        "violations": [asdict(violation) for violation in violations],
        "left": [asdict(violation) for violation in left],
        "to_do": [command_line.on_store(line, args) for line in dict.fromkeys(to_do)],
    }
    if not violations:
        print(f"{len(ledgers)} ledger(s), {trials} trials: all invariants hold")
        return 0
    _print("to do", dict.fromkeys(to_do), args)
    mended = len(violations) - len(left)
    print(f"{len(violations)} violation(s), {mended} mended, {len(left)} left")
    return command_line.HALTED if left else 0


def _remedies(left: "Iterable[Violation]", study: str = "NAME") -> list[str]:
    """What a person can do about the violations; `study` is the study as typed, with its budget."""
    from fashion_hpo.integrity.invariants import REMEDIES

    remedies = (REMEDIES.get(violation.invariant) for violation in left)
    return [remedy.replace("NAME", study) for remedy in remedies if remedy is not None]


def _copy(store: "Store", target: Path) -> int:
    from fashion_hpo.stores.copying import copy_store

    print(f"{store.root} was copied to {copy_store(store, target).root}")
    return 0


def _rebuild(store: "Store", args: argparse.Namespace) -> None:
    from fashion_hpo.integrity.rebuilding import rebuild

    rebuilt = rebuild(store)
    models = len(rebuilt.found) + len(rebuilt.lost)
    print(f"mlflow.db was made again: {rebuilt.ledgers} ledgers, {rebuilt.runs} runs")
    print(f"models: {len(rebuilt.found)} of {models} were found by their content")
    for uid in rebuilt.lost:
        print(f"  the model of {uid} is nowhere in the store")
    for ledger in rebuilt.unread:
        print(f"  without the ledger {ledger}: its runs are in the old database alone")
    if rebuilt.aside is not None:
        print(f"the old database is kept as {rebuilt.aside.name}")
    hint = (
        "`python -m fashion_hpo.report NAME` logs a study's report again, "
        "`python -m fashion_hpo.register NAME` makes its best model champion"
    )
    print(command_line.on_store(hint, args))


def _ledgers(store: "Store", name: str | None, budget: str | None) -> "list[Ledger]":
    from fashion_hpo.stores.opening import readable_and_not

    readable, unreadable = readable_and_not(store)
    ledgers = [
        ledger
        for ledger in readable
        if name in (None, ledger.plan.name) and budget in (None, ledger.plan.budget)
    ]
    is_unreadable = any(name in (None, ledger.name.partition("/")[0]) for ledger in unreadable)
    if readable and not ledgers and not is_unreadable:
        names = ", ".join(ledger.name for ledger in readable)
        raise ValueError(f"store {store.root} has no such ledger; choose among {names}.")
    return ledgers


def _check_store(store: "Store", args: argparse.Namespace) -> "Checked":
    from fashion_hpo.integrity.mending import mend_store
    from fashion_hpo.integrity.store_invariants import examine_store

    violations = examine_store(store)
    _print("store", map(str, violations), args)
    if violations and args.fix:
        _print("mended", mend_store(store, violations), args)
        return violations, examine_store(store)
    return violations, violations


def _check_ledger(store: "Store", ledger: "Ledger", args: argparse.Namespace) -> "Checked":
    from fashion_hpo.integrity.invariants import examine
    from fashion_hpo.integrity.mending import mend
    from fashion_hpo.stores.tracking import DeletedExperimentError, Tracker

    try:
        tracker = Tracker(store, ledger.plan.name)
    except DeletedExperimentError:  # the check of the store has reported it
        return [], []
    violations = examine(store, ledger, tracker)
    _print(ledger.name, map(str, violations), args)
    if not args.fix or not violations:
        return violations, violations
    _print("mended", mend(store, ledger, tracker), args)
    return violations, examine(store, ledger, tracker)


def _print(about: str, lines: Iterable[str], args: argparse.Namespace) -> None:
    for line in lines:
        print(f"{about}: {command_line.on_store(line, args)}")


if __name__ == "__main__":
    sys.exit(main())
