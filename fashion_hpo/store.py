"""Move a store to databases that hosts share: `python -m fashion_hpo.store move --to URL`."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from fashion_hpo.terminal import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for bad input; a store that cannot be moved is left as it is."""
    parser = command_line.parser(
        "store",
        "`move` copies the ledgers of a store to another database and its MLflow entries to a "
        "tracking server, verifies both, and marks the old databases as moved.  The folder stays "
        "this host's part of the store.",
    )
    parser.add_argument("what", choices=("move",))
    command_line.add_store_folder(parser)
    parser.add_argument(
        "--to",
        metavar="URL",
        help="the new database of the ledgers, as postgresql://USER@HOST/DATABASE "
        "(FASHION_HPO_STORAGE)",
    )
    parser.add_argument(
        "--tracking",
        metavar="URL",
        help="the new tracking server, as http://HOST:PORT (MLFLOW_TRACKING_URI)",
    )
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.integrity.moving import move
    from fashion_hpo.stores.addresses import checked_storage, checked_tracking
    from fashion_hpo.stores.layout import Store, without_password

    storage = args.to or os.environ.get("FASHION_HPO_STORAGE")
    tracking = args.tracking or os.environ.get("MLFLOW_TRACKING_URI")
    for variable in ("FASHION_HPO_STORAGE", "MLFLOW_TRACKING_URI"):
        os.environ.pop(variable, None)  # addresses of the new store; the old one is in the folder
    if not storage and not tracking:
        raise ValueError("--to and --tracking are missing; name at least one new address.")
    store = Store.at(args.store)
    if not store.has_ledgers:
        raise ValueError(f"store {store.root} has no ledgers; run a study first, or name another.")
    moved = move(
        store,
        checked_storage(storage) if storage else None,
        checked_tracking(tracking) if tracking else None,
    )
    if storage:
        where = without_password(storage)
        print(f"{moved.ledgers} ledgers with {moved.trials} trials are in {where}")
    if tracking:
        where = without_password(tracking)
        print(f"{moved.runs} runs and {moved.versions} registered versions are in {where}")
    for alias in moved.taken:
        print(f"the alias {alias} stays with the version that it had there")
    print("from now on, type first (with the password, where *** stands):")
    for variable, address in (("FASHION_HPO_STORAGE", storage), ("MLFLOW_TRACKING_URI", tracking)):
        if address:
            print(f"  export {variable}={shlex.quote(without_password(address))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
