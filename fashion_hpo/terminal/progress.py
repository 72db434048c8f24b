"""Progress in a terminal: a row for each trial under way; elsewhere plain lines."""

import sys
import time
from dataclasses import dataclass, field
from typing import Literal, Self, TextIO

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from fashion_hpo.design.plan import Plan
from fashion_hpo.engines.team import WorkerDied
from fashion_hpo.running.workers import EpochDone, Event, TrialEnded, TrialStarted
from fashion_hpo.terminal.console import Console
from fashion_hpo.terminal.durations import clock

BARS = "▁▂▃▄▅▆▇█"
BAR = 40  # columns of the bar at most
CURVE = 20  # bars of a curve at most
PLAIN_EVERY_SECONDS = 30  # between two lines about epochs


@dataclass
class _Trial:
    """A trial under way."""

    worker: int
    number: int
    name: str
    epochs: int
    epoch: int = 0
    curve: list[float] = field(default_factory=list)  # validation accuracies

    @property
    def label(self) -> str:
        return f"trial {self.number}"

    @property
    def reached(self) -> str:
        return f"epoch {self.epoch}/{self.epochs}"

    @property
    def accuracy(self) -> str:
        return f"{self.curve[-1]:.2%}" if self.curve else ""


class Progress:
    """Shows the trials done and under way, the best value and the time left, of all workers.

    Within `with`, a terminal shows a row for each trial under way and redraws the rows at each
    event.  A file, a pipe or a dumb terminal gets plain lines.
    """

    def __init__(
        self, plan: Plan, remaining: int, seconds: float, stream: TextIO, workers: int = 1
    ) -> None:
        self.trials = plan.endings
        self.ended = max(0, self.trials - remaining)
        self.best: float | None = None
        self._workers = workers
        self._under_way: dict[int, _Trial] = {}  # by the trial's number
        self._reached: dict[str, int] = {}  # epoch by point: the next attempt goes on from it
        self._epochs_each = plan.epochs / max(1, self.trials)
        self._epochs_left = remaining * self._epochs_each  # includes the trials under way
        self._epoch_seconds = seconds / max(1, plan.epochs)
        self._shown_at = time.monotonic()
        self._console = Console(stream)
        self._live = Live(
            console=self._console,
            get_renderable=self._rows,
            auto_refresh=False,  # a thread would take time from the training
            transient=True,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),  # warnings go above the rows
        )

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: Event | WorkerDied) -> None:
        """Show an event."""
        if isinstance(event, TrialStarted):
            self._start(event)
        elif isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, TrialEnded):
            self._end(event)
        else:
            self._leave(event.number)
            self._console.say(f"worker {event.number} died ({event.reason}); its point waits again")
        self._live.refresh()

    @property
    def _done(self) -> str:
        """The number of ended trials; the trial's own number stands in its line."""
        return f"[{self.ended}/{self.trials} done]"

    @property
    def _left(self) -> str:
        return f"{clock(self._epochs_to_do * self._epoch_seconds / self._workers)} left"

    @property
    def _epochs_to_do(self) -> float:
        return self._epochs_left - sum(self._reached.values())

    def _start(self, event: TrialStarted) -> None:
        number, epochs = event.attempt.number, event.attempt.config.epochs
        self._under_way[number] = _Trial(event.worker, number, event.name, epochs)

    def _leave(self, worker: int) -> None:
        """Remove the trials of a worker."""
        for trial in list(self._under_way.values()):
            if trial.worker == worker:
                del self._under_way[trial.number]

    def _epoch(self, event: EpochDone) -> None:
        epoch, trial = event.epoch, self._under_way[event.attempt.number]
        trial.epoch = epoch.epoch
        trial.curve.append(epoch.val_accuracy)
        self._reached[event.attempt.point] = epoch.epoch
        self._epoch_seconds += 0.2 * (
            epoch.seconds - self._epoch_seconds
        )  # recent epochs weigh more
        now = time.monotonic()
        if not self._live.is_started and now - self._shown_at >= PLAIN_EVERY_SECONDS:
            self._shown_at = now
            best = "" if self.best is None else f"  best trial {self.best:.2%}"
            self._console.say(
                f"{self._done} {trial.label}  {trial.name}  {trial.reached} "
                f"{sparkline(trial.curve)} {trial.accuracy}{best}  {self._left}"
            )

    def _end(self, event: TrialEnded) -> None:
        result, trial = event.result, self._under_way.pop(event.attempt.number)
        self._reached.pop(event.attempt.point, None)
        self._shown_at = time.monotonic()
        start = f"{trial.label}  {trial.name}  {result.outcome}"
        if not result.final:
            self._console.say(f"{start}: {result.reason}; its point is not done yet")
            return
        self.ended += 1
        self._epochs_left -= self._epochs_each
        if result.outcome == "complete" and result.value is not None:
            self.best = max(result.value, self.best or 0.0)
        what = f"{result.value:.2%}" if result.value is not None else result.reason
        if event.away:
            what += f" (not in MLflow yet: {event.away})"
        seconds = sum(epoch["seconds"] for epoch in result.history)
        self._console.say(f"{self._done} {start} {what}  in {clock(seconds)}, {self._left}")

    def _rows(self) -> Group:
        """A row for the study, then a row for each trial under way."""
        epochs = self.trials * self._epochs_each
        bar = ProgressBar(epochs, epochs - self._epochs_to_do, width=BAR)
        best = "" if self.best is None else f"  best trial {self.best:.2%}"
        study = Table.grid(Column(no_wrap=True), "", padding=(0, 2))
        study.add_row(f"{self._done}{best}  {self._left}", bar)
        trials = Table.grid(padding=(0, 2))
        for is_cut in (False, True, False, False, False):  # the name may be cut
            trials.add_column(no_wrap=not is_cut)
        for trial in sorted(self._under_way.values(), key=lambda trial: trial.worker):
            trials.add_row(*self._row(trial))
        return Group(study, trials)

    def _row(self, trial: _Trial) -> tuple[str | Text, ...]:
        # An ellipsis that becomes three dots would make the row wider than the terminal.
        end: Literal["crop", "ellipsis"] = "ellipsis"
        if self._console.options.ascii_only:
            end = "crop"
        name = Text(trial.name, no_wrap=True, overflow=end)
        bars = max(5, min(CURVE, self._console.width - 60))
        curve = Text(sparkline(trial.curve, bars), "cyan")
        return trial.label, name, trial.reached, curve, trial.accuracy


def sparkline(values: list[float], longest: int = CURVE) -> str:
    """The last values as bars between their lowest and highest."""
    shown = values[-longest:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1))] for value in shown)
