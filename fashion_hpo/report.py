"""Rebuild a study's report page: `python -m fashion_hpo.report dropout_ablation`."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.saying import say

if TYPE_CHECKING:
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.ledger import Ledger


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 if there is nothing to report."""
    parser = command_line.parser("report", "Rebuild a study's report page from the store.")
    parser.add_argument("name", help="a file of studies/, without .py")
    command_line.add_budget(parser, None, "default: the largest complete one")
    command_line.add_store(parser)
    command_line.add_data_folder(parser)
    command_line.add_own_data(parser)
    parser.add_argument("--csv", action="store_true", help="also write trials.csv and epochs.csv")
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.analysis import records
    from fashion_hpo.running.mirror import Mirror
    from fashion_hpo.running.pictures import splits_at_hand
    from fashion_hpo.running.publish import publish
    from fashion_hpo.stores.reading import store_to_read
    from fashion_hpo.stores.tracking import Tracker

    store = store_to_read(args.store, args.storage)
    ledger = records.find_ledger(store, args.name, args.budget)
    if store.copied is not None:
        return _answer_alone(store, ledger, args)
    if args.csv:
        tables, folder = records.of_ledger(ledger), store.report(ledger.name)
        folder.mkdir(parents=True, exist_ok=True)
        tables.trials.to_csv(folder / "trials.csv", index=False)
        tables.epochs.to_csv(folder / "epochs.csv", index=False)
    mirror = Mirror(store, ledger, Tracker(store, args.name))
    data = command_line.data_of(args, ledger.info.files)
    splits, why = splits_at_hand(data, ledger.data_hash)
    published = publish(mirror, splits, why, command_line.store_arguments(args))
    say(f"budget {ledger.plan.budget}", *published.answer)
    print(f"report    {published.page}")
    if not published.mirrored:
        print(f"not in MLflow ({mirror.away}); the same command logs it.")
    return 0


def _answer_alone(store: "Store", ledger: "Ledger", args: argparse.Namespace) -> int:
    """Print the answer of a read-only store, without page, tables or MLflow."""
    from fashion_hpo.analysis import answers, records
    from fashion_hpo.stores.opening import confirmation_of

    of_all = records.of_ledger(ledger, store, confirmation_of(store, ledger))
    answer = [command_line.on_store(line, args) for line in answers.answer(of_all)]
    print(f"budget {ledger.plan.budget}", *answer, sep="\n")
    page = store.report(ledger.name) / "report.html"
    earlier = f"; an earlier one is {page}" if page.exists() else ""
    print(f"report    not written, because store {store.root} is read-only{earlier}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
