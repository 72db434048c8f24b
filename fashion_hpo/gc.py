"""Show the disk that studies take, and remove what may go: `python -m fashion_hpo.gc`."""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.as_json import add_json, answering
from fashion_hpo.terminal.engine_options import add_copies, typed_copies, with_copies
from fashion_hpo.terminal.saying import say, say_table

if TYPE_CHECKING:
    from fashion_hpo.tidying.garbage import Garbage, Survey


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for a store without ledgers."""
    parser = command_line.parser(
        "gc",
        "Show the disk that each study takes and what may go: checkpoints of finished trials, "
        "temporary files, files of what was deleted in MLflow, models beyond the best.  With "
        "--yes remove that.",
    )
    command_line.add_store(parser)
    add_copies(parser)
    parser.add_argument(
        "--keep-best",
        type=command_line.positive,
        metavar="N",
        help="let models go, except the best N of each level of a design and of each search; "
        "registered models and the one that register would take are kept in any case",
    )
    parser.add_argument("--yes", action="store_true", help="remove; without it nothing is removed")
    add_json(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.stores.layout import Store

    with answering(args) as answer:
        store = with_copies(Store.at(args.store, args.storage), args)

        from fashion_hpo.tidying import disk, garbage

        if not store.has_ledgers:
            raise ValueError(
                f"store {store.root} has no ledgers; run a study first, or name another."
            )
        seen = (garbage.collect if args.yes else garbage.survey)(store, args.keep_best)
        used = disk.usage(store, seen.studies)
        answer |= {
            "bytes": used,
            "may_go": [
                {"kind": each.kind, "study": each.study, "bytes": each.bytes}
                for each in seen.garbage
            ],
            "removed": args.yes,
            "unfinished": seen.unfinished,
        }
        _print_usage(used)
        print()
        _print_garbage(seen.garbage)
        _print_next(args, seen)
    return 0


def _print_usage(used: Mapping[str, Mapping[str, int]]) -> None:
    """A table in MB, with the sums of its rows and columns."""
    from fashion_hpo.tidying.disk import KINDS

    total = {kind: sum(row[kind] for row in used.values()) for kind in KINDS}
    first = max(map(len, [*used, "MB"]))
    print(f"{'MB':{first}}" + "".join(f"{kind:>13}" for kind in (*KINDS, "all")))
    for study, row in {**used, "all": total}.items():
        cells = [*(row[kind] for kind in KINDS), sum(row.values())]
        print(f"{study:{first}}" + "".join(f"{cell / 1e6:13,.1f}" for cell in cells))


def _print_garbage(garbage: "Sequence[Garbage]") -> None:
    counts = Counter(each.kind for each in garbage)
    sizes = Counter[str]()
    for each in garbage:
        sizes[each.kind] += each.bytes
    say_table(
        {kind: f"{counts[kind]}, {sizes[kind] / 1e6:,.1f} MB" for kind in counts} or {"": "nothing"}
    )


def _print_next(args: argparse.Namespace, seen: "Survey") -> None:
    copies = typed_copies(args)
    for study in seen.unfinished:
        command = f"`python -m fashion_hpo.delete {study}{copies} --yes`"
        say(f"{study} was not deleted to the end; {command_line.on_store(command, args)} ends it.")
    keep = f" --keep-best {args.keep_best}" if args.keep_best else ""
    if args.yes:
        say("all of it was removed." if seen.garbage else "nothing was removed.")
        return
    if seen.garbage:
        command = f"`python -m fashion_hpo.gc{keep}{copies} --yes`"
        say(f"nothing was removed; {command_line.on_store(command, args)} removes all of it.")
    if not keep:
        command = f"`python -m fashion_hpo.gc --keep-best 3{copies}`"
        shown = command_line.on_store(command, args)
        say(f"no model may go; {shown} shows those beyond the best three.")


if __name__ == "__main__":
    sys.exit(main())
