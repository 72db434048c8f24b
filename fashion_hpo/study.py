"""Run a study: `python -m fashion_hpo.study dropout_ablation`."""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_hpo.terminal import command_line, engine_options
from fashion_hpo.terminal.as_json import add_json, answering
from fashion_hpo.terminal.saying import say, say_table

if TYPE_CHECKING:
    from fashion_hpo.design.plan import Plan
    from fashion_hpo.engines.ray import Ray
    from fashion_hpo.running.publish import Published
    from fashion_hpo.running.session import Session
    from fashion_hpo.stores.ledger import Ledger


@dataclass(frozen=True)
class Limits:
    """The remaining trials of a call, and its deadline on the monotonic clock."""

    trials: int | None
    until: float | None

    @property
    def seconds(self) -> float | None:
        """Seconds to the deadline."""
        return None if self.until is None else self.until - time.monotonic()

    @property
    def reached(self) -> bool:
        """Whether no further trial may start."""
        return self.trials == 0 or (self.seconds is not None and self.seconds <= 0)

    def after(self, done: int) -> "Limits":
        """The limits after `done` trials."""
        return self if self.trials is None else replace(self, trials=self.trials - done)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if every point has an outcome, 1 if points are left, 2 for bad input."""
    parser = command_line.parser("study", "Run a study, or resume it.")
    parser.add_argument("name", nargs="?", help="a file of studies/, without .py")
    parser.add_argument("--list", action="store_true", help="list the studies")
    parser.add_argument(
        "--new",
        action="store_true",
        help="write a commented example of a design as studies/NAME.py, to be changed",
    )
    parser.add_argument("--search", action="store_true", help="with --new: of a search")
    command_line.add_budget(parser, "standard", "quick proves the wiring; standard is the default")
    command_line.add_store(parser)
    command_line.add_data(parser)
    command_line.add_own_data(parser)
    parser.add_argument(
        "--workers",
        type=_number_or_auto,
        default=1,
        metavar="N",
        help="number of training processes, or auto: the fastest number here, measured",
    )
    parser.add_argument(
        "--side-by-side",
        type=_number_or_auto,
        default=1,
        metavar="N",
        help="number of trials that train at once in each process, or auto: as many as are fastest "
        "on this GPU, measured, and 1 elsewhere",
    )
    parser.add_argument(
        "--compile",
        choices=("yes", "no", "auto"),
        default="no",
        help="compile the networks of a new study on CUDA; auto: where its length repays that",
    )
    engine_options.add_engine(parser)
    parser.add_argument(
        "--more-seeds",
        type=command_line.positive,
        default=0,
        metavar="N",
        help="add N seeds to those of the budget",
    )
    parser.add_argument(
        "--warm-start",
        metavar="OTHER[:BUDGET]",
        help="start a new search with the best points of an earlier one",
    )
    parser.add_argument(
        "--resume-pruned",
        type=command_line.positive,
        metavar="K",
        help="train the best K pruned trials of a search to completion, also of a finished search",
    )
    parser.add_argument(
        "--max-trials", type=command_line.positive, metavar="N", help="stop after N trials"
    )
    parser.add_argument(
        "--timeout",
        type=command_line.seconds,
        metavar="SECONDS",
        help="stop after SECONDS, resumable",
    )
    command_line.add_changes(parser, "change a fixed field of the study's config")
    parser.add_argument(
        "--revise", action="store_true", help="start a new revision; the old results stay"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and train nothing")
    add_json(parser)
    return command_line.run(_run, parser, argv)


def _new(args: argparse.Namespace) -> int:
    from fashion_hpo.design.study_file import new_study

    path = new_study(args.name, "search" if args.search else "design")
    command = f"`python -m fashion_hpo.study {args.name} --dry-run`"
    say(f"{path} is written; change its question, then type {command_line.on_store(command, args)}")
    return 0


def _number_or_auto(text: str) -> int | str:
    return text if text == "auto" else command_line.positive(text)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.design.config import parse_field
    from fashion_hpo.design.plan import make_plan
    from fashion_hpo.design.study_file import list_studies, load_study

    engine_options.check_engine(args)
    if args.list:
        say_table({name: _listed(path) for name, path in list_studies().items()})
        return 0
    if not args.name:
        raise ValueError("no study was named; `--list` shows the studies.")
    if args.new:
        return _new(args)
    question, spec = load_study(args.name)
    args.data = command_line.data_of(args, spec.data)
    given = command_line.settings(args.changes)
    changes = {name: parse_field(name, text) for name, text in given.items()}
    plan = make_plan(
        args.name,
        question,
        spec,
        args.budget,
        changes=changes,
        more_seeds=args.more_seeds,
        searching=_searching(args),
    )
    if args.dry_run:
        return _dry_run(plan, args)
    with answering(args) as answer:
        return _train(plan, args, answer)


def _listed(path: Path) -> str:
    from fashion_hpo.design.study_file import question_of, replaces

    instead = f" ({path}, instead of the project's)" if replaces(path) else ""
    return f"{question_of(path) or '(its docstring asks nothing)'}{instead}"


def _searching(args: argparse.Namespace) -> dict[str, int | str]:
    """The options that change the study file's search."""
    given = {"warm_start": args.warm_start, "resume_pruned": args.resume_pruned}
    return {name: value for name, value in given.items() if value is not None}


def _dry_run(plan: "Plan", args: argparse.Namespace) -> int:
    from fashion_hpo.analysis.expectation import expectations
    from fashion_hpo.analysis.records import look_up_ledger, of_ledger
    from fashion_hpo.analysis.renamed import former_name
    from fashion_hpo.design.data_set import DataSet
    from fashion_hpo.design.fitting import fitted_to
    from fashion_hpo.design.plan import check_drawable
    from fashion_hpo.measuring import estimate
    from fashion_hpo.running.session import check_architectures
    from fashion_hpo.stores.reading import store_to_read
    from fashion_hpo.terminal.study_lines import plan_lines
    from fashion_hpo.training.data import load_search_splits

    check_drawable(plan)
    if isinstance(args.data, DataSet):  # its size is known once it is read
        splits = load_search_splits(args.data)
        check_architectures(plan, splits.info)
        plan, smaller = fitted_to(plan, splits.info)
        say(*splits.notes, *filter(None, [smaller]))
    else:
        check_architectures(plan)
    say(*plan_lines(plan))
    store = store_to_read(args.store, args.storage)
    say(*filter(None, [former_name(store, plan)]))
    ledger = look_up_ledger(store, plan.name, plan.question, plan.spec)
    say(*expectations(plan, None if ledger is None else of_ledger(ledger, store)))
    say(f"models: about {estimate.model_bytes(plan) / 1e6:,.0f} MB; nothing was trained")
    return 0


def _train(plan: "Plan", args: argparse.Namespace, answer: dict[str, Any]) -> int:
    from fashion_hpo.analysis.renamed import former_name
    from fashion_hpo.engines import sharing
    from fashion_hpo.measuring import estimate, room, scaling
    from fashion_hpo.running import confirmation, session, workers
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.relocation import relocate
    from fashion_hpo.terminal.study_lines import plan_lines
    from fashion_hpo.training import devices

    store = engine_options.with_copies(Store.at(args.store, args.storage), args)
    session.check_architectures(plan)
    if moved := relocate(store):
        say(moved)
    say(*filter(None, [former_name(store, plan)]))
    count, why = args.workers, ""
    if count == "auto":
        count, why = scaling.fastest(store, plan, args.data, args.device, revise=args.revise)
    ray = engine_options.connect(args, store)
    if ray is None and args.side_by_side != "auto":
        room.check(plan, devices.choose(args.device), args.side_by_side, count)
    compiles = args.compile == "yes" or (args.compile == "auto" and estimate.compiling_pays(plan))
    here = session.open_session(
        store,
        plan,
        data=args.data,
        device=args.device,
        revise=args.revise,
        threads=args.cpus_per_worker or 1 if ray else sharing.threads_for(count, args.device),
        step="compiled" if compiles else "captured",
    )
    here.signals.install()
    say(*here.notes)
    if compiles and here.hardware.step != "compiled":
        say(f"networks are not compiled: the steps of this study are {here.hardware.step} here")
    if args.side_by_side == "auto":
        args.side_by_side, said = scaling.side_by_side(plan, here.hardware, count)
        say(*filter(None, [said]))
    limits = Limits(
        args.max_trials, None if args.timeout is None else time.monotonic() + args.timeout
    )
    say(*plan_lines(here.ledger.plan))
    workers.promote(here)  # if the search had finished before
    limits = _work(here, args, ray, count, why, limits)
    resumed = workers.promote(here)
    if resumed and not limits.reached:
        say(f"{resumed} pruned trial(s) are trained to completion")
        limits = _work(here, args, ray, count, "", limits)
    confirming = None
    if confirmation.is_due(here.ledger):
        _publish(here, args)  # report the search now: the confirmation may be interrupted
        confirming = confirmation.open_confirmation(here, data=args.data, device=args.device)
    if confirming is not None and not limits.reached:
        say(*plan_lines(confirming.ledger.plan))
        _work(confirming, args, ray, count, "", limits)
    return _close(here, confirming, args, answer)


def _work(
    here: "Session",
    args: argparse.Namespace,
    ray: "Ray | None",
    count: int,
    why: str,
    limits: Limits,
) -> Limits:
    """Mend and run one ledger; returns the remaining limits."""
    from fashion_hpo.engines import sharing, team
    from fashion_hpo.engines.local import Local
    from fashion_hpo.measuring import estimate
    from fashion_hpo.running import reconcile, workers
    from fashion_hpo.terminal.durations import clock
    from fashion_hpo.terminal.output import ClosedOutputError
    from fashion_hpo.terminal.progress import Progress

    plan = here.ledger.plan
    for mended in reconcile.reconcile(here.mirror):
        say(f"mended: {mended}")
    remaining, seconds = here.ledger.remaining(), 0.0
    count = max(1, len(sharing.shares(min(count, remaining), limits.trials)))
    if remaining:
        seconds = estimate.seconds(plan, here.splits, here.hardware)
        left = clock(seconds * remaining / plan.endings)
        say(
            f"{remaining} to go, about {left} by one worker on "
            f"{here.hardware.describe()['device_name']}, {here.hardware.threads} thread(s)"
        )
    if ray is not None:
        say(f"workers: {count} by Ray, whose nodes have room for {ray.room}")
    elif why or count > 1:
        crowding = sharing.crowding(count, here.hardware.threads, args.device)
        say(f"workers: {count}{why}{crowding}")
    if args.side_by_side > 1:
        say(f"side by side: {args.side_by_side} trials in each worker, in turn after every step")
    events: Iterator[workers.Event | team.WorkerDied]
    if count == 1 and ray is None:
        events = workers.work(
            here,
            max_trials=limits.trials,
            timeout=limits.seconds,
            side_by_side=args.side_by_side,
        )
    else:
        events = team.work(
            ray or Local(),
            here,
            count,
            data=args.data,
            device=args.device,
            max_trials=limits.trials,
            timeout=limits.seconds,
            side_by_side=args.side_by_side,
        )
    done = 0
    with Progress(plan, remaining, seconds, sys.stdout, count) as progress:
        for event in events:
            try:
                progress.show(event)
            except ClosedOutputError:  # not by signal: any broken connection would send SIGPIPE
                here.signals.request(signal.SIGPIPE)
            done += isinstance(event, workers.TrialEnded)
    return limits.after(done)


def _close(
    here: "Session",
    confirming: "Session | None",
    args: argparse.Namespace,
    answer: dict[str, Any],
) -> int:
    """Publish the report and print what to do next."""
    from fashion_hpo.integrity.mending import bring_back
    from fashion_hpo.running import reconcile
    from fashion_hpo.terminal.study_lines import check_lines

    sessions = [session for session in (here, confirming) if session is not None]
    for session in sessions:
        if session.mirror.away:  # try the tracking server again
            list(reconcile.reconcile(session.mirror))
        if not session.ledger.remaining():
            for mended in bring_back(session.mirror):
                say(f"mended: {mended}")
    published = _publish(here, args)
    say("", *published.answer, "", *check_lines(published.checks))
    if not published.mirrored:
        say(f"not in MLflow yet ({published.away}); the same command logs what it lacks.")
    where = command_line.store_arguments(args)
    remaining = sum(session.ledger.remaining() for session in sessions)
    answer |= published.as_dict() | {
        "study": here.ledger.plan.name,
        "budget": here.ledger.plan.budget,
        "ledger": here.ledger.name,
        "to_go": remaining,
    }
    # Unfolded: a person copies these paths and commands.
    print(f"report    {published.page}")
    print(f"look      python -m fashion_hpo.ui{where}")
    if not remaining:
        _tell_next(here.ledger.plan, sessions[-1].ledger, where)
    running = sum(session.ledger.running() for session in sessions)
    if running:
        say(f"{running} point(s) are running in other workers; the last worker reports.")
    if remaining > running:
        say(f"{remaining - running} point(s) left; the same command goes on.")
        return command_line.HALTED
    return 0


def _tell_next(plan: "Plan", deciding: "Ledger", where: str) -> None:
    """Print the commands that follow a finished study.

    After a quick study, the next larger budget and a study of one's own: registering the winner
    would open the test images for a model of few images and epochs.
    """
    from fashion_hpo.registering.registration import can_be_registered

    if (larger := plan.beyond_quick) is not None:
        print(f"next      python -m fashion_hpo.study {plan.name} --budget {larger}{where}")
        print("yours     python -m fashion_hpo.study --new my_study")
    elif can_be_registered(deciding):
        print(f"register  python -m fashion_hpo.register {plan.name} --budget {plan.budget}{where}")


def _publish(here: "Session", args: argparse.Namespace) -> "Published":
    from fashion_hpo.running.publish import publish

    return publish(here.mirror, here.splits, where=command_line.store_arguments(args))


if __name__ == "__main__":
    command_line.run_alone(main)
