"""Show the progress of studies: `python -m fashion_hpo.status`."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fashion_hpo.terminal import command_line
from fashion_hpo.terminal.as_json import add_json
from fashion_hpo.terminal.durations import clock
from fashion_hpo.terminal.saying import say, say_table

if TYPE_CHECKING:
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.ledger import Entry, Ledger


@dataclass(frozen=True)
class Progress:
    """The progress of one ledger; accuracies are shares from 0 to 1."""

    study: str
    budget: str
    ledger: str = ""  # its name, with the revision
    points: int = 0
    outcomes: dict[str, int] | None = None  # trials by outcome; None: not begun
    running: int = 0
    to_go: int = 0
    seconds_left: float | None = None  # by one worker, as long as the trials before took
    best: float | None = None  # the highest mean over the seeds of one config
    seeds: int = 0  # of that config
    note: str = ""  # why there is no best config, or why the ledger cannot be read
    confirmation: str = ""
    answer: str = ""

    @property
    def lines(self) -> list[str]:
        """The progress in words."""
        if self.outcomes is None:
            return [self.note or "not begun"]
        done = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        top = f"; {self.note}" if self.note else ""
        if self.best is not None:
            label = f"best mean of {self.seeds} seeds" if self.seeds > 1 else "best single trial"
            top = f"; {label} {self.best:.2%}"
        time = ""
        if self.seconds_left:
            time = f" (about {clock(self.seconds_left / max(1, self.running))})"
        first = (
            f"{self.points} points: {done or 'none done'}, {self.running} running, "
            f"{self.to_go} to go{time}{top}"
        )
        return [first, *filter(None, (self.confirmation, self.answer))]


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 for an unknown study or a store that cannot be read."""
    parser = command_line.parser(
        "status", "Show the progress of a study under each of its budgets, or of all studies begun."
    )
    parser.add_argument(
        "name", nargs="?", help="a file of studies/, without .py; default: all of the store"
    )
    add_json(parser)
    command_line.add_store(parser)
    return command_line.run(_run, parser, argv)


def _run(args: argparse.Namespace) -> int:
    from fashion_hpo.analysis.renamed import gone
    from fashion_hpo.design.study_file import NoStudyError
    from fashion_hpo.stores.reading import store_to_read

    store = store_to_read(args.store, args.storage)
    one = args.name is not None
    try:
        rows = list(_of_study(store, args.name) if one else _of_store(store))
    except NoStudyError as error:
        raise ValueError(gone(store, args.name) or str(error)) from None
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    if one:
        from fashion_hpo.design.study_file import load_study

        say(f"{args.name}: {load_study(args.name)[0]}")
    elif not rows:
        command = "`python -m fashion_hpo.study --list`"
        say(f"store {store.root} has no study yet; {command} shows those that can be run.")
    labels = [row.budget if one else row.ledger for row in rows]
    texts = ["\n".join(row.lines) for row in rows]
    say_table(dict(zip(labels, texts, strict=True)), margin=2 if one else 0)
    return 0


def _of_study(store: "Store", name: str) -> Iterator[Progress]:
    """A study's progress under each of its budgets."""
    from fashion_hpo.design.plan import make_plan
    from fashion_hpo.design.study_file import load_study
    from fashion_hpo.stores.kept import UnreadableLedgerError
    from fashion_hpo.stores.opening import confirmation_of, read_ledger

    question, spec = load_study(name)
    for budget in spec.budgets:
        try:
            ledger = read_ledger(store, make_plan(name, question, spec, budget))
            row = Progress(name, budget)
            if ledger is not None:
                row = _progress(ledger, confirmation_of(store, ledger))
        except UnreadableLedgerError as error:  # ledgers of other budgets may be readable
            reason = f"cannot be read by this version ({error.reason})"
            row = Progress(name, budget, note=reason)
        yield row


def _of_store(store: "Store") -> Iterator[Progress]:
    """The progress of every ledger of the store, with its answer."""
    from dataclasses import replace

    from fashion_hpo.analysis import answers, records
    from fashion_hpo.stores.opening import confirmation_of, readable_and_not

    ledgers, errors = readable_and_not(store)
    for ledger in ledgers:
        if ledger.plan.confirmation is None:
            confirmation = confirmation_of(store, ledger)
            study = records.of_ledger(_with_claims(store, ledger), store, confirmation)
            yield replace(_progress(ledger, confirmation), answer=answers.answer(study)[0])
    for error in errors:
        name, _, budget = error.name.partition("/")
        reason = f"cannot be read by this version ({error.reason})"
        yield Progress(name, budget.partition("/")[0], error.name, note=reason)


def _with_claims(store: "Store", ledger: "Ledger") -> "Ledger":
    """The ledger with its study's claims, which only the study file has, if there is that file."""
    from fashion_hpo.design.plan import make_plan
    from fashion_hpo.design.study_file import load_study
    from fashion_hpo.stores.opening import read_ledger

    name, budget = ledger.plan.name, ledger.plan.budget
    try:
        question, spec = load_study(name)
        newest = read_ledger(store, make_plan(name, question, spec, budget))
    except ValueError:  # no such file, or of another form now
        return ledger
    return newest if newest is not None and newest.name == ledger.name else ledger


def _progress(ledger: "Ledger", confirmation: "Ledger | None") -> Progress:
    """The progress of a ledger, and of its confirmation, if any."""
    from fashion_hpo.registering.winner import mean_of, rivals
    from fashion_hpo.stores.promotion import superseded
    from fashion_hpo.stores.ranking import nothing_ranked

    entries = ledger.entries()
    left_out = superseded(entries)
    current = [entry for entry in entries if entry.attempt.number not in left_out]
    counts = Counter(entry.result.outcome for entry in current if entry.result)
    compared = rivals(current, ledger.plan.constraints)
    note = ""
    if not compared and counts["complete"]:
        note = nothing_ranked(entries, ledger.plan, ledger.remaining())[0]
    confirmed = ""
    if confirmation is not None:
        left, planned = confirmation.remaining(), confirmation.plan.trials
        confirmed = f"confirmation: {planned - left} of {planned} trainings done"
    return Progress(
        study=ledger.plan.name,
        budget=ledger.plan.budget,
        ledger=ledger.name,
        points=ledger.plan.trials,
        outcomes=dict(counts),
        running=sum(entry.state == "RUNNING" for entry in entries),
        to_go=ledger.remaining(),
        seconds_left=_seconds_left(current, ledger.remaining()),
        best=max(map(mean_of, compared)) if compared else None,
        seeds=len(compared[0]) if compared else 0,
        note=note,
        confirmation=confirmed,
    )


def _seconds_left(entries: "Sequence[Entry]", remaining: int) -> float | None:
    """How long one worker trains the remaining trials, by the mean of the ended ones; None if no
    trial has ended."""
    seconds = [
        sum(epoch.get("seconds", 0.0) for epoch in entry.result.history)  # a damaged one has none
        for entry in entries
        if entry.result
    ]
    return remaining * sum(seconds) / len(seconds) if seconds else None


if __name__ == "__main__":
    sys.exit(main())
