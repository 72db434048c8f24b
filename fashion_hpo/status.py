"""Show a study's progress under each budget: `python -m fashion_hpo.status dropout_ablation`."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.folding import say, say_table

if TYPE_CHECKING:
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.ledger import Ledger


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for an unknown study or a store that cannot be read."""
    parser = command_line.parser("status", "Show a study's progress under each of its budgets.")
    parser.add_argument("name", help="a file of studies/, without .py")
    command_line.add_store(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.design.plan import make_plan
    from fashion_hpo.design.study_file import load_study
    from fashion_hpo.stores.kept import UnreadableLedgerError
    from fashion_hpo.stores.opening import read_ledger
    from fashion_hpo.stores.reading import store_to_read

    store = store_to_read(args.store, args.storage)
    question, spec = load_study(args.name)
    say(f"{args.name}: {question}")
    rows = {}
    for budget in spec.budgets:
        try:
            ledger = read_ledger(store, make_plan(args.name, question, spec, budget))
            lines = ["not begun"] if ledger is None else list(_lines(store, ledger))
        except UnreadableLedgerError as error:  # ledgers of other budgets may be readable
            lines = [f"cannot be read by this version ({error.reason})"]
        rows[budget] = "\n".join(lines)
    say_table(rows, margin=2)
    return 0


def _lines(store: "Store", ledger: "Ledger") -> Iterator[str]:
    """The progress of a ledger, and of its confirmation, if any."""
    from fashion_hpo.registering.winner import mean_of, rivals
    from fashion_hpo.stores.opening import confirmation_of
    from fashion_hpo.stores.promotion import superseded
    from fashion_hpo.stores.ranking import nothing_ranked

    entries = ledger.entries()
    left_out = superseded(entries)
    current = [entry for entry in entries if entry.attempt.number not in left_out]
    counts = Counter(entry.result.outcome for entry in current if entry.result)
    running = sum(entry.state == "RUNNING" for entry in entries)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    top = ""
    if compared := rivals(current, ledger.plan.constraints):
        seeds, best = len(compared[0]), max(map(mean_of, compared))
        label = f"best mean of {seeds} seeds" if seeds > 1 else "best single trial"
        top = f"; {label} {best:.2%}"
    elif counts["complete"]:
        top = f"; {nothing_ranked(entries, ledger.plan, ledger.remaining())[0]}"
    yield (
        f"{ledger.plan.trials} points: {outcomes or 'none done'}, "
        f"{running} running, {ledger.remaining()} to go{top}"
    )
    if (confirming := confirmation_of(store, ledger)) is not None:
        left, planned = confirming.remaining(), confirming.plan.trials
        yield f"confirmation: {planned - left} of {planned} trainings done"


if __name__ == "__main__":
    sys.exit(main())
