"""Delete a study's results: `python -m fashion_hpo.delete dropout_ablation`."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.engine_options import add_copies, typed_copies, with_copies
from fashion_hpo.terminal.saying import say, say_table

if TYPE_CHECKING:
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.tidying.deletion import Deletion


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 if the store has nothing of the study, or the study is running."""
    parser = command_line.parser(
        "delete",
        "Show what the store has of a study, and delete it with --yes: ledgers, runs, models, "
        "checkpoints, logits and reports.  The study's file stays.",
    )
    parser.add_argument("name", help="a study, with or without a file in studies/")
    command_line.add_budget(parser, None, "default: all")
    command_line.add_store(parser)
    add_copies(parser)
    parser.add_argument(
        "--registered",
        action="store_true",
        help="delete registered versions of the study too, the champion among them, and their "
        "runs and models",
    )
    parser.add_argument("--yes", action="store_true", help="delete; without it nothing is deleted")
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.stores.layout import Store

    store = with_copies(Store.at(args.store, args.storage), args)

    from fashion_hpo.design.spec import check_name
    from fashion_hpo.tidying import deletion

    planned = deletion.planned(
        store, check_name(args.name), args.budget, registered=args.registered
    )
    if planned.is_empty:
        raise ValueError(_nothing(store, args, planned))
    _show(planned)
    if not args.yes:
        again = f"`python -m fashion_hpo.delete {_typed(args)} --yes`"
        say(f"nothing was deleted; {command_line.on_store(again, args)} deletes all of it.")
        return 0
    deletion.delete(planned)
    say("all of it was deleted; openings of the gate and test images still count.")
    return 0


def _typed(args: argparse.Namespace) -> str:
    budget = f" --budget {args.budget}" if args.budget else ""
    registered = " --registered" if args.registered else ""
    return f"{args.name}{budget}{registered}{typed_copies(args)}"


def _nothing(store: "Store", args: argparse.Namespace, planned: "Deletion") -> str:
    """Why there is nothing to delete, and what there is."""
    from fashion_hpo.design.sentences import listed
    from fashion_hpo.stores.opening import ledger_names

    what = f"study {args.name}{f' under budget {args.budget}' if args.budget else ''}"
    if planned.staying:
        return (
            f"store {store.root} has nothing of {what} but {_versions(planned)}; add --registered "
            "to delete that too."
        )
    studies = dict.fromkeys(name.partition("/")[0] for name in ledger_names(store))
    names = listed(studies, "`python -m fashion_hpo.status`")
    return f"store {store.root} has nothing of {what}; it has {names}."


def _show(planned: "Deletion") -> None:
    runs, models = len(planned.runs), len(planned.models)
    rows = {
        "ledgers": f"{', '.join(planned.ledgers) or 'none'}: {planned.trials} trials",
        "MLflow": f"{runs} runs, {models} models",
        "registry": ", ".join(f"{v.name} version {v.version}" for v in planned.versions),
        "files": f"{planned.bytes / 1e6:,.1f} MB in {planned.store.root}",
        "copies": f"{len(planned.copies)} checkpoints, {sum(planned.copies.values()) / 1e6:,.1f} MB"
        if planned.copies
        else "",
        "stays": f"{_versions(planned)}, with run and model" if planned.staying else "",
    }
    say_table(rows)


def _versions(planned: "Deletion") -> str:
    from fashion_hpo.stores.registry import CHAMPION, aliases

    assert planned.client is not None
    texts = []
    for version in planned.staying:
        champion = aliases(planned.client, version.name).get(CHAMPION)
        is_champion = " (champion)" if champion == str(version.version) else ""
        texts.append(f"{version.name} version {version.version}{is_champion}")
    return ", ".join(texts)


if __name__ == "__main__":
    sys.exit(main())
