"""The faults are real: a loop that does not provide for them fails under four of them."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.faults import naive
from tests.faults.conftest import CONTROL
from tests.faults.lab import Lab, ended

Tell = Callable[[str], None]


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Tell:
    """Notes a failure of the control, for the summary."""
    return pytestconfig.stash.setdefault(CONTROL, []).append


def rerun(lab: Lab, root: Path) -> int:
    return ended(lab.process(naive.study, root))


def test_killed_it_leaves_trial_and_runs_running_for_ever(lab: Lab, tell: Tell) -> None:
    root = lab.store().root
    assert ended(lab.process(naive.study, root, 2)) == -signal.SIGKILL
    assert rerun(lab, root) == 0
    stuck = [t for t in naive.trials(root) if t.state == TrialState.RUNNING]
    runs = naive.running(root)
    assert stuck
    assert runs
    tell(f"kill -9: {len(stuck)} trial and {runs} runs are RUNNING after it was run again")


def test_four_workers_do_not_run_eighteen_trials_for_eighteen_points(lab: Lab, tell: Tell) -> None:
    root = lab.store().root
    team = [lab.process(naive.study, root) for _ in range(4)]
    for worker in team:
        ended(worker)
    done = [t for t in naive.trials(root) if t.state == TrialState.COMPLETE]
    points = {tuple(sorted(t.params.items())) for t in done}
    codes = [worker.exitcode for worker in team]
    assert (len(done), len(points), codes) != (18, 18, [0] * 4)
    tell(f"four workers: {len(done)} trials for {len(points)} of 18 points, exit codes {codes}")


def test_a_point_that_failed_once_is_never_tried_again(lab: Lab, tell: Tell) -> None:
    root = lab.store().root
    ended(lab.process(naive.study, root, None, 4))
    rerun(lab, root)
    done = {tuple(sorted(t.params.items())) for t in naive.trials(root) if t.value is not None}
    assert len(done) < 18
    tell(f"one failed trial: {len(done)} of 18 points have a value after it was run again")


def test_a_moved_folder_is_made_again_where_it_was(lab: Lab, tell: Tell) -> None:
    root = lab.store().root
    assert ended(lab.process(naive.study, root, 2)) == -signal.SIGKILL
    moved = Path(shutil.move(root, root.with_name(f"{root.name}-moved")))
    assert rerun(lab, moved) == 0
    assert root.exists()
    assert list((root / "artifacts").iterdir())
    tell("a moved folder: new artifacts went to the old place, which was made again")
