"""Move a store to databases that hosts share, or a study to another store:
`python -m fashion_hpo.store move --to URL`, `store export NAME --to FILE`, `store import FILE`."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_hpo.terminal import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for bad input; a store that cannot be moved is left as it is."""
    parser = command_line.parser(
        "store",
        "`move` copies the ledgers of a store to another database and its MLflow entries to a "
        "tracking server, verifies both, and marks the old databases as moved.  The folder stays "
        "this host's part of the store.  `export` writes a study's results and documents, no "
        "models, to a file; `import` adds such a file to a store, where the study can go on.",
    )
    parser.add_argument("what", choices=("move", "export", "import"))
    parser.add_argument(
        "name", nargs="?", help="export: the study, a file of studies/; import: the file"
    )
    command_line.add_budget(parser, None, "of export; default: the largest complete one")
    command_line.add_store_folder(parser)
    parser.add_argument(
        "--to",
        metavar="URL",
        help="of move: the new database of the ledgers, as postgresql://USER@HOST/DATABASE "
        "(FASHION_HPO_STORAGE); of export: the file",
    )
    parser.add_argument(
        "--tracking",
        metavar="URL",
        help="the new tracking server, as http://HOST:PORT (MLFLOW_TRACKING_URI)",
    )
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    if args.what != "move" and not args.name:
        what = "study" if args.what == "export" else "file"
        raise ValueError(f"no {what} was named; type it after {args.what}.")
    return {"move": _move, "export": _export, "import": _import}[args.what](args)


def _export(args: argparse.Namespace) -> int:
    from fashion_hpo.analysis.records import find_ledger
    from fashion_hpo.integrity.ledger_file import export
    from fashion_hpo.stores.layout import Store

    if not args.to:
        raise ValueError("--to is missing; name the file to write.")
    store, path = Store.at(args.store), Path(args.to)
    ledger = find_ledger(store, args.name, args.budget)
    exported = export(store, ledger, path)
    print(
        f"{ledger.name} with {exported.trials} results and {exported.files} files, without models, "
        f"is in {path} ({path.stat().st_size / 1e6:.1f} MB)"
    )
    if exported.missing:
        print(f"{exported.missing} files of its trials are not in the store")
    return 0


def _import(args: argparse.Namespace) -> int:
    from fashion_hpo.integrity.ledger_file import restore
    from fashion_hpo.stores.layout import Store

    for said in restore(Store.at(args.store), Path(args.name)):
        print(said)
    return 0


def _move(args: argparse.Namespace) -> int:
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
