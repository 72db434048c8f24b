import re
import sys
from io import StringIO

import pytest

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.engines.team import WorkerDied
from fashion_hpo.running.workers import EpochDone, TrialEnded, TrialStarted
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.terminal.durations import clock
from fashion_hpo.terminal.progress import BARS, Progress, sparkline
from tests import plans

CODES = re.compile(r"\033\[[\d;?]*[A-Za-z]|\r|\n|[^\033\r\n]+")


class Terminal(StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def screen(stream: StringIO) -> list[str]:
    """The lines that a terminal shows in the end."""
    lines, row = [""], 0
    for code in CODES.findall(stream.getvalue()):
        if code == "\033[2K":
            lines[row] = ""
        elif code == "\033[1A":
            row -= 1
        elif code == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif code[0] not in "\r\033":
            lines[row] += code
    return [line.rstrip() for line in lines]


def attempt(number: int = 0) -> Attempt:
    """There are four points: attempt 4 is the second at the first of them."""
    return Attempt(number, "uid", f"point {number % 4}", TrainConfig(epochs=3), {}, 0, 1)


def epoch(
    number: int, val_accuracy: float = 0.8, seconds: float = 10.0, trial: int = 0
) -> EpochDone:
    found = Epoch(
        epoch=number, train_loss=1.0, train_eval_loss=1.0, train_eval_accuracy=0.5, val_loss=1.0,
        val_accuracy=val_accuracy, learning_rate=0.1, seconds=seconds, images_per_second=100.0,
        timestamp=0,
    )  # fmt: skip
    return EpochDone(attempt(trial), found)


def ended(
    outcome: str = "complete",
    value: float | None = 0.8,
    reason: str = "",
    *,
    trial: int = 0,
    away: str = "",
) -> TrialEnded:
    result = Result(outcome, value, reason, history=[{"seconds": 10.0}] * 3)
    return TrialEnded(attempt(trial), result, away)


def progress(stream: StringIO, *, remaining: int = 4, workers: int = 1) -> Progress:
    """4 trials of 3 epochs, of 10 seconds each."""
    return Progress(plans.design(), remaining, 120.0, stream, workers)


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns that can move its cursor."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain lines for each epoch, not every half minute."""
    monkeypatch.setattr("fashion_hpo.terminal.progress.PLAIN_EVERY_SECONDS", 0)


def test_a_curve_is_drawn_between_its_lowest_and_highest_value() -> None:
    assert sparkline([i / 10 for i in range(8)]) == BARS
    assert sparkline([0.9, 0.1, 0.9]) == "█▁█"
    assert sparkline([0.5]) == sparkline([0.9]) == "▁"
    assert sparkline([0.5, 0.5]) == "▁▁"


def test_a_long_curve_shows_its_last_twenty_values() -> None:
    assert sparkline([100.0, *map(float, range(20))]) == sparkline([*map(float, range(20))])
    assert len(sparkline([0.0] * 500)) == 20


@pytest.mark.usefixtures("every_epoch")
def test_a_file_gets_plain_lines_and_nothing_else() -> None:
    stream = StringIO()
    shown = progress(stream)
    for event in (TrialStarted(attempt(), "dropout=0.0"), epoch(1, 0.5), epoch(2, 0.7), ended()):
        shown.show(event)
    assert stream.getvalue().splitlines() == [
        "[0/4 done] trial 0  dropout=0.0  epoch 1/3 ▁ 50.00%  1 min 50 s left",
        "[0/4 done] trial 0  dropout=0.0  epoch 2/3 ▁█ 70.00%  1 min 40 s left",
        "[1/4 done] trial 0  dropout=0.0  complete 80.00%  in 30 s, 1 min 30 s left",
    ]
    assert stream.getvalue().endswith("\n")
    assert not {"\r", "\033"} & set(stream.getvalue())


def test_a_file_is_not_filled_with_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream = StringIO()
    shown = progress(stream)
    shown.show(TrialStarted(attempt(), "a"))
    for number in range(1, 100):  # one a second
        now += 1
        shown.show(epoch(number))
    assert [line.split("epoch ")[1].split("/")[0] for line in stream.getvalue().splitlines()] == [
        "30", "60", "90",
    ]  # fmt: skip


def test_a_terminal_has_a_row_for_each_trial_under_way() -> None:
    stream = Terminal()
    with progress(stream, workers=2) as shown:
        for event in (
            TrialStarted(attempt(0), "a", 0), TrialStarted(attempt(1), "dropout=0.5", 1),
            epoch(1, 0.5, trial=0), epoch(1, 0.9, trial=1), epoch(2, 0.7, trial=0),
        ):  # fmt: skip
            shown.show(event)
        first, *rows = screen(stream)
        assert first == f"[0/4 done]  45 s left  {'━' * 10}╺{'━' * 29}"
        assert rows == [
            "trial 0  a            epoch 2/3  ▁█  70.00%",
            "trial 1  dropout=0.5  epoch 1/3  ▁   90.00%",
        ]
        shown.show(ended(trial=1))
        shown.show(TrialStarted(attempt(2), "b", 1))
        done, first, *rows = screen(stream)
        assert done == "[1/4 done] trial 1  dropout=0.5  complete 80.00%  in 30 s, 35 s left"
        assert first.startswith("[1/4 done]  best trial 80.00%  35 s left  ━━━")
        assert rows == ["trial 0  a  epoch 2/3  ▁█  70.00%", "trial 2  b  epoch 0/3"]
        shown.show(WorkerDied(1, "SIGKILL"))
        died = "worker 1 died (SIGKILL); its point waits again"
        assert screen(stream)[:2] == [done, died]
        assert screen(stream)[3:] == ["trial 0  a  epoch 2/3  ▁█  70.00%", ""]
    assert screen(stream)[2:] == [""] * 3


@pytest.mark.parametrize("width", [20, 40, 50, 80])
def test_a_row_is_one_line_of_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    with progress(stream) as shown:
        shown.show(TrialStarted(attempt(), "architecture=vit_shallow_prompts seed 0"))
        for number in range(1, 30):
            shown.show(epoch(number, number / 30))
        rows = screen(stream)
    assert len(rows) == 2
    assert all(len(row) <= width for row in rows)
    if width >= 50:
        assert rows[1].endswith("█  96.67%")
        assert rows[1].startswith("trial 0  archi")


@pytest.mark.parametrize(("variable", "moves"), [("TERM=dumb", False), ("NO_COLOR=1", True)])
def test_what_the_person_says_of_the_terminal_is_obeyed(
    variable: str, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*variable.split("="))
    stream = Terminal()
    with progress(stream) as shown:
        for event in (TrialStarted(attempt(), "a"), epoch(1), ended()):
            shown.show(event)
    assert ("\033" in stream.getvalue()) == moves
    assert not re.search(r"\033\[[\d;]*3\dm", stream.getvalue()), "no colour"
    assert screen(stream)[0] == "[1/4 done] trial 0  a  complete 80.00%  in 30 s, 1 min 30 s left"


def test_a_process_that_is_killed_leaves_the_cursor_visible() -> None:
    stream = Terminal()
    with progress(stream) as shown:
        shown.show(TrialStarted(attempt(), "a"))
        assert "\033[?25l" not in stream.getvalue()


@pytest.mark.usefixtures("every_epoch")
def test_a_file_stays_a_file_where_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = StringIO()
    with progress(stream) as shown:
        shown.show(TrialStarted(attempt(), "a"))
        shown.show(epoch(1))
    assert stream.getvalue() == "[0/4 done] trial 0  a  epoch 1/3 ▁ 80.00%  1 min 50 s left\n"


def test_warnings_stand_above_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(stream) as shown:
        shown.show(TrialStarted(attempt(), "a"))
        print("something is odd", file=sys.stderr)
        shown.show(epoch(1))
        odd, first, row = screen(stream)
    assert odd == "something is odd"
    assert first.startswith("[0/4 done]")
    assert row == "trial 0  a  epoch 1/3  ▁  80.00%"


@pytest.mark.usefixtures("every_epoch")
def test_the_best_value_is_that_of_complete_trials() -> None:
    stream = StringIO()
    shown = progress(stream)
    assert shown.best is None
    for outcome, value, best in (
        ("complete", 0.80, 0.80),
        ("complete", 0.70, 0.80),
        ("pruned", 0.90, 0.80),
        ("complete", 0.85, 0.85),
    ):
        shown.show(TrialStarted(attempt(), "a"))
        shown.show(ended(outcome, value))
        assert shown.best == best
    shown.show(TrialStarted(attempt(), "a"))
    shown.show(epoch(1))
    assert "80.00%  best trial 85.00%  " in stream.getvalue().splitlines()[-1]


def test_a_trial_that_came_to_no_value_says_why() -> None:
    stream = StringIO()
    shown = progress(stream)
    shown.show(TrialStarted(attempt(), "a"))
    shown.show(ended("diverged", None, "the loss is no longer finite"))
    assert stream.getvalue().startswith(
        "[1/4 done] trial 0  a  diverged the loss is no longer finite  in 30 s"
    )
    assert shown.best is None


@pytest.mark.usefixtures("every_epoch")
def test_a_continued_study_counts_from_where_it_was() -> None:
    stream = StringIO()
    shown = progress(stream, remaining=1)
    shown.show(TrialStarted(attempt(), "a"))
    shown.show(epoch(1))
    shown.show(ended())
    first, last = stream.getvalue().splitlines()
    assert first.startswith("[3/4 done] trial 0  a  epoch 1/3")
    assert first.endswith("20 s left")
    assert last.startswith("[4/4 done] trial 0  a  complete")
    assert last.endswith(" 0 s left")


@pytest.mark.parametrize("done", [[1], [3], [1, 2, 3], []])
def test_a_trial_that_is_resumed_or_cut_short_leaves_the_other_trials_time(done: list[int]) -> None:
    """A resumed trial begins after its checkpoint; a pruned one ends before its last epoch."""
    stream = StringIO()
    shown = progress(stream)
    shown.show(TrialStarted(attempt(), "a"))
    for number in done:
        shown.show(epoch(number))
    shown.show(ended())
    assert stream.getvalue().endswith(", 1 min 30 s left\n")


@pytest.mark.usefixtures("every_epoch")
def test_a_resumed_trial_has_only_its_last_epochs_left() -> None:
    stream = StringIO()
    shown = progress(stream)
    shown.show(TrialStarted(attempt(), "a"))
    shown.show(epoch(2))  # the first is in the checkpoint
    assert stream.getvalue().endswith("epoch 2/3 ▁ 80.00%  1 min 40 s left\n")


@pytest.mark.usefixtures("every_epoch")
def test_the_time_left_follows_the_measured_epochs() -> None:
    stream = StringIO()
    shown = progress(stream)
    shown.show(TrialStarted(attempt(), "a"))
    shown.show(epoch(1, seconds=20.0))
    assert stream.getvalue().endswith(f"{clock(11 * 12.0)} left\n")  # a fifth of the way to 20


@pytest.mark.usefixtures("every_epoch")
def test_a_new_trial_begins_a_new_curve() -> None:
    stream = StringIO()
    shown = progress(stream)
    for event in (
        TrialStarted(attempt(), "a"), epoch(1), epoch(2), ended(),
        TrialStarted(attempt(1), "b"), epoch(1, 0.25, trial=1),
    ):  # fmt: skip
        shown.show(event)
    assert stream.getvalue().splitlines()[-1] == (
        "[1/4 done] trial 1  b  epoch 1/3 ▁ 25.00%  best trial 80.00%  1 min 20 s left"
    )


def test_a_study_with_nothing_left_has_no_time_left() -> None:
    Progress(plans.design(), 0, 0.0, StringIO())
    assert progress(StringIO(), remaining=0).ended == 4


@pytest.mark.usefixtures("every_epoch")
def test_several_workers_have_a_curve_each_and_share_the_time_left() -> None:
    stream = StringIO()
    shown = progress(stream, workers=2)
    for event in (
        TrialStarted(attempt(0), "a", 0), TrialStarted(attempt(1), "b", 1),
        epoch(1, 0.5, trial=0), epoch(1, 0.9, trial=1), epoch(2, 0.6, trial=0),
        epoch(2, 0.8, trial=1), ended(value=0.8, trial=1), epoch(3, 0.7, trial=0),
        ended(value=0.7, trial=0),
    ):  # fmt: skip
        shown.show(event)
    assert stream.getvalue().splitlines() == [
        "[0/4 done] trial 0  a  epoch 1/3 ▁ 50.00%  55 s left",
        "[0/4 done] trial 1  b  epoch 1/3 ▁ 90.00%  50 s left",
        "[0/4 done] trial 0  a  epoch 2/3 ▁█ 60.00%  45 s left",
        "[0/4 done] trial 1  b  epoch 2/3 █▁ 80.00%  40 s left",
        "[1/4 done] trial 1  b  complete 80.00%  in 30 s, 35 s left",
        "[1/4 done] trial 0  a  epoch 3/3 ▁▄█ 70.00%  best trial 80.00%  30 s left",
        "[2/4 done] trial 0  a  complete 70.00%  in 30 s, 30 s left",
    ]
    assert shown.best == 0.8


def test_a_worker_that_died_is_told() -> None:
    stream = StringIO()
    shown = progress(stream, workers=2)
    shown.show(WorkerDied(1, "SIGKILL"))
    assert stream.getvalue() == "worker 1 died (SIGKILL); its point waits again\n"
    assert shown.ended == 0


@pytest.mark.usefixtures("every_epoch")
def test_epochs_that_a_worker_did_before_it_died_count_once() -> None:
    stream = StringIO()
    shown = progress(stream)
    for event in (
        TrialStarted(attempt(0), "a"), epoch(1), epoch(2), WorkerDied(0, "SIGKILL"),
        TrialStarted(attempt(4), "a"), epoch(3, trial=4),
    ):  # fmt: skip
        shown.show(event)
    assert stream.getvalue().endswith(
        "[0/4 done] trial 4  a  epoch 3/3 ▁ 80.00%  1 min 30 s left\n"
    )


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("outcome", ["died", "stopped"])
def test_an_attempt_that_was_lost_is_not_counted(outcome: str) -> None:
    stream = StringIO()
    shown = progress(stream)
    for event in (
        TrialStarted(attempt(0), "a"), epoch(1), ended(outcome, None, "taken for dead"),
        TrialStarted(attempt(4), "a"), epoch(2, trial=4), ended(trial=4),
    ):  # fmt: skip
        shown.show(event)
    assert stream.getvalue().splitlines() == [
        "[0/4 done] trial 0  a  epoch 1/3 ▁ 80.00%  1 min 50 s left",
        f"trial 0  a  {outcome}: taken for dead; its point is not done yet",
        "[0/4 done] trial 4  a  epoch 2/3 ▁ 80.00%  1 min 40 s left",
        "[1/4 done] trial 4  a  complete 80.00%  in 30 s, 1 min 30 s left",
    ]


def test_a_trial_that_mlflow_lacks_is_told() -> None:
    stream = StringIO()
    shown = progress(stream)
    shown.show(TrialStarted(attempt(), "a"))
    shown.show(ended(away="no reply"))
    assert stream.getvalue() == (
        "[1/4 done] trial 0  a  complete 80.00% (not in MLflow yet: no reply)  in 30 s, 1 min 30 s "
        "left\n"
    )
