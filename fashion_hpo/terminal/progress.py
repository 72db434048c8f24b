"""Progress in a terminal: one line that moves, or plain lines where output is no terminal."""

import os
import time
from collections.abc import Iterable
from typing import TextIO

from fashion_hpo.analysis.checks.check import Check, counted
from fashion_hpo.analysis.wording import startup
from fashion_hpo.design.constraints import in_words
from fashion_hpo.design.plan import Plan
from fashion_hpo.design.sentences import shortened
from fashion_hpo.running.parallel import WorkerDied
from fashion_hpo.running.workers import EpochDone, Event, TrialEnded, TrialStarted
from fashion_hpo.terminal.folding import width_of

BARS = "▁▂▃▄▅▆▇█"
PLAIN_EVERY_SECONDS = 30  # between two lines about epochs


class Progress:
    """Shows trials done, the present curve, the best value and the time left, of all workers."""

    def __init__(
        self, plan: Plan, remaining: int, seconds: float, stream: TextIO, workers: int = 1
    ) -> None:
        self.plan = plan
        self.stream = stream
        self.trials = plan.endings
        self.ended = max(0, self.trials - remaining)
        self.best: float | None = None
        self._workers = workers
        self._moving = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._names: dict[int, str] = {}  # of the trials under way, by their number
        self._curves: dict[int, list[float]] = {}
        self._reached: dict[str, int] = {}  # epoch of a point; another attempt at it goes on there
        self._epochs_each = plan.epochs / max(1, self.trials)
        self._epochs_left = remaining * self._epochs_each  # those under way are all counted
        self._epoch_seconds = seconds / max(1, plan.epochs)
        self._shown_at = time.monotonic()

    def show(self, event: Event | WorkerDied) -> None:
        """Take an event in and show where the study is."""
        if isinstance(event, TrialStarted):
            self._names[event.attempt.number] = f"trial {event.attempt.number}  {event.name}"
        elif isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, TrialEnded):
            self._end(event)
        else:
            self._write(f"worker {event.number} died ({event.reason}); its point waits again")

    @property
    def _done(self) -> str:
        """How many have ended; which one a line is about says its number, as in the report."""
        return f"[{self.ended}/{self.trials} done]"

    @property
    def _left(self) -> str:
        epochs = self._epochs_left - sum(self._reached.values())
        return f"{clock(epochs * self._epoch_seconds / self._workers)} left"

    def _epoch(self, event: EpochDone) -> None:
        epoch, number = event.epoch, event.attempt.number
        curve = self._curves.setdefault(number, [])
        curve.append(epoch.val_accuracy)
        self._reached[event.attempt.point] = epoch.epoch
        self._epoch_seconds += 0.2 * (epoch.seconds - self._epoch_seconds)  # recent ones count more
        now = time.monotonic()
        if not self._moving and now - self._shown_at < PLAIN_EVERY_SECONDS:
            return
        self._shown_at = now
        best = "" if self.best is None else f"  best trial {self.best:.2%}"
        line = (
            f"{self._done} {self._names.get(number, '')}  epoch "
            f"{epoch.epoch}/{event.attempt.config.epochs} {sparkline(curve)} "
            f"{epoch.val_accuracy:.2%}{best}  {self._left}"
        )
        self._write(line, moving=self._moving)

    def _end(self, event: TrialEnded) -> None:
        result, number = event.result, event.attempt.number
        name = self._names.pop(number, "")
        self._curves.pop(number, None)
        self._reached.pop(event.attempt.point, None)
        self._shown_at = time.monotonic()
        if not result.final:
            self._write(f"{name}  {result.outcome}: {result.reason}; its point is not done yet")
            return
        self.ended += 1
        self._epochs_left -= self._epochs_each
        if result.outcome == "complete" and result.value is not None:
            self.best = max(result.value, self.best or 0.0)
        what = f"{result.value:.2%}" if result.value is not None else result.reason
        if event.away:
            what += f" (not in MLflow yet: {event.away})"
        seconds = sum(epoch["seconds"] for epoch in result.history)
        self._write(
            f"{self._done} {name}  {result.outcome} {what}  in {clock(seconds)}, {self._left}"
        )

    def _write(self, line: str, *, moving: bool = False) -> None:
        width = width_of(self.stream)
        if moving and width is not None and len(line) >= width:
            line = shortened(line, width - 3)  # a line of two rows cannot be taken back
        start = "\r\033[K" if self._moving else ""
        self.stream.write(f"{start}{line}" + ("" if moving else "\n"))
        self.stream.flush()


def sparkline(values: list[float]) -> str:
    """The last 20 values as bars between their lowest and highest."""
    shown = values[-20:]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1))] for value in shown)


def clock(seconds: float) -> str:
    """12 s, 3 min 20 s or 2 h 05 min."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plan_lines(plan: Plan) -> list[str]:
    """What a study is about to do."""
    levels = " x ".join(f"{len(values)} {name}" for name, values in plan.scientific.items())
    if plan.search is not None:
        shape = f"{plan.trials} trials of {plan.search.sampler} over {', '.join(plan.search.space)}"
        if plan.search.defaults:
            shape += ", the first with the base config's own values"
        if plan.warm_start is not None:
            first = len(plan.warm_start.points)
            then = "then" if plan.search.defaults else "first"
            shape += f", {then} the best {first} of {plan.warm_start.of}"
        if plan.search.plateau:
            shape += f", fewer if {plan.search.plateau} bring nothing better"
        if plan.constraints:
            shape += f", {in_words(plan.constraints)}"
        if plan.search.resume_pruned:
            shape += f", the best {plan.search.resume_pruned} of the pruned ones to their end"
        if told := startup(plan, plan.search.trials):
            shape += f" ({told})"
    elif plan.confirmation is not None:
        best, audited = len(plan.confirmation.finalists), len(plan.confirmation.audited)
        shape = f"the best {best} on {plan.seeds} fresh seed(s) each"
        shape += f", {audited} pruned trials to their end" if audited else ""
    else:
        tuned = f" x {plan.nuisance_points} nuisance points" if plan.nuisance_points > 1 else ""
        shape = f"{levels}{tuned} x {plan.seeds} seed(s) = {plan.trials} trials"
    return [
        f"{plan.name}, budget {plan.budget}: {plan.question}",
        f"{shape}, {counted(plan.base.epochs, 'epoch')} of {plan.base.train_images:,} images each: "
        f"{plan.image_passes:,} image passes at most{_confirmation(plan)}",
    ]


def check_lines(checks: Iterable[Check]) -> list[str]:
    """The warnings among a study's checks, each with what to do."""
    return [f"check     {each.sentence} {each.advice}" for each in checks if each.is_warning]


def _confirmation(plan: Plan) -> str:
    """What comes after a search, as the end of a sentence."""
    search = plan.search
    if search is None or not search.finalists:
        return ""
    best = min(search.finalists, search.trials)
    passes = best * search.fresh_seeds * plan.base.epochs * plan.base.train_images
    return f"; then the best {best} on {search.fresh_seeds} fresh seed(s) each, {passes:,} more"
