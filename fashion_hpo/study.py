"""Run a study: `python -m fashion_hpo.study dropout_ablation`."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_hpo.reporting import command_line

if TYPE_CHECKING:
    from fashion_hpo.design.plan import Plan


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if every point has its outcome, 1 if some are left, 2 for bad input."""
    made = command_line.parser("study", "Run a study, or go on with it.")
    made.add_argument("name", nargs="?", help="a file of studies/, without .py")
    made.add_argument("--list", action="store_true", help="list the studies")
    command_line.add_budget(made, "standard", "quick proves the wiring; standard is the default")
    command_line.add_store(made)
    command_line.add_data(made)
    made.add_argument("--more-seeds", type=command_line.positive, default=0, metavar="N")
    made.add_argument("--max-trials", type=command_line.positive, metavar="N", help="then stop")
    made.add_argument("--timeout", type=float, metavar="SECONDS", help="then stop, resumable")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="changes",
        help="change a fixed field of the study's config",
    )
    made.add_argument("--revise", action="store_true", help="start anew beside the old results")
    made.add_argument("--dry-run", action="store_true", help="print the plan and train nothing")
    return command_line.run(_run, made, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.design.config import parse_field
    from fashion_hpo.design.plan import make_plan
    from fashion_hpo.design.study_file import list_studies, load_study, question_of

    if args.list:
        for name, path in list_studies().items():
            print(f"{name:24} {question_of(path)}")
        return 0
    if not args.name:
        raise ValueError("no study was named; `--list` shows those there are.")
    question, spec = load_study(args.name)
    given = command_line.settings(args.changes)
    changes = {name: parse_field(name, text) for name, text in given.items()}
    plan = make_plan(
        args.name, question, spec, args.budget, changes=changes, more_seeds=args.more_seeds
    )
    return _dry_run(plan) if args.dry_run else _train(plan, args)


def _dry_run(plan: "Plan") -> int:
    from fashion_hpo.reporting.terminal import plan_lines
    from fashion_hpo.running import estimate
    from fashion_hpo.running.session import check_architectures

    check_architectures(plan)
    print("\n".join(plan_lines(plan)))
    print(f"models: about {estimate.model_bytes(plan) / 1e6:,.0f} MB; nothing was trained")
    return 0


def _train(plan: "Plan", args: argparse.Namespace) -> int:
    from fashion_hpo.reporting.publish import publish
    from fashion_hpo.reporting.terminal import Progress, clock, plan_lines
    from fashion_hpo.running import estimate, reconcile, session, workers
    from fashion_hpo.stores.layout import Store

    store = Store.at(args.store, args.storage)
    here = session.open_session(store, plan, data=args.data, device=args.device, revise=args.revise)
    here.signals.install()
    plan = here.ledger.plan
    print("\n".join(plan_lines(plan)))
    for mended in reconcile.reconcile(here):
        print(f"mended: {mended}")
    remaining = here.ledger.remaining()
    seconds = 0.0
    if remaining:
        seconds = estimate.seconds(plan, here.splits, here.hardware)
        print(
            f"{remaining} to go, about {clock(seconds * remaining / plan.trials)} on "
            f"{here.hardware.describe()['device_name']}, {here.hardware.threads} threads"
        )
    progress = Progress(plan, remaining, seconds, sys.stdout)
    for event in workers.work(here, max_trials=args.max_trials, timeout=args.timeout):
        progress.show(event)
    remaining = here.ledger.remaining()
    published = publish(store, here.ledger, here.tracker, here.study_run)
    print("", *published.answer, "", sep="\n")
    where = "" if args.store == command_line.DEFAULT_STORE else f" --store {args.store}"
    print(f"report    {published.page}")
    print(f"look      python -m fashion_hpo.ui{where}")
    print(f"register  python -m fashion_hpo.register {plan.name}{where}")
    if remaining:
        print(f"{remaining} point(s) left; the same command goes on.")
    return command_line.HALTED if remaining else 0


if __name__ == "__main__":
    sys.exit(main())
