"""`run`: run a study from Python, as the command `study` does."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fashion_hpo.design.data_set import DataSet
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.spec import StudySpec, check_name
from fashion_hpo.design.study_file import load_study
from fashion_hpo.measuring import estimate
from fashion_hpo.results.result import StudyResult, result_of, with_budgets
from fashion_hpo.running import confirmation, reconcile, workers
from fashion_hpo.running.publish import publish
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.signals import HANDLED, Stopped
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.terminal.progress import Progress
from fashion_hpo.training.data import chosen_data


def run(
    study: str | StudySpec,
    *,
    budget: str = "standard",
    store: Path | str = "mlruns",
    changes: Mapping[str, Any] | None = None,
    data: Path | str | DataSet | None = None,
    device: str = "auto",
    name: str = "untitled",
    question: str = "",
    progress: bool = True,
) -> StudyResult:
    """Run a study in this process, or go on with it, and write its report; returns its result.

    study: the name of a study file, or a spec; a spec is stored under `name`.
    changes: values of fixed fields of the base config, by field.
    progress: whether to print a line for each trial.
    Raises ValueError for bad input, KeyboardInterrupt after Ctrl-C: the same call goes on.
    """
    if isinstance(study, StudySpec):
        name, spec = check_name(name), with_budgets(study, budget)
    else:
        name, (question, spec) = study, load_study(study)
    plan = make_plan(name, question, spec, budget, changes=changes)
    files = data if isinstance(data, DataSet) else chosen_data(Path(data) if data else None)
    place = Store.at(Path(store))
    relocate(place)
    with _interruptible():
        here = open_session(place, plan, data=files or spec.data, device=device)
        here.signals.install()
        _run(here, progress)
    return result_of(place, here.ledger)


def _run(here: Session, progress: bool) -> None:
    """Train what is left, the finalists of a search included, and publish."""
    workers.promote(here)
    _work(here, progress)
    if workers.promote(here):
        _work(here, progress)
    if confirmation.is_due(here.ledger):
        confirming = confirmation.open_confirmation(here, device=here.hardware.device)
        if confirming is not None:
            _work(confirming, progress)
    publish(here.mirror, here.splits)


def _work(here: Session, progress: bool) -> None:
    list(reconcile.reconcile(here.mirror))
    plan: Plan = here.ledger.plan
    remaining = here.ledger.remaining()
    if not progress or not remaining:
        for _ in workers.work(here):
            pass
        return
    seconds = estimate.seconds(plan, here.splits, here.hardware)
    with Progress(plan, remaining, seconds, sys.stdout, 1) as shown:
        for event in workers.work(here):
            shown.show(event)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Within, the first Ctrl-C stops at the next training step, as KeyboardInterrupt; afterwards
    the signals are handled as before."""
    before = {signum: signal.getsignal(signum) for signum in HANDLED}
    try:
        yield
    except Stopped as stopped:
        raise KeyboardInterrupt(f"stopped by {stopped}; the same call goes on") from None
    finally:
        for signum, handler in before.items():
            if signal.getsignal(signum) is not handler:
                signal.signal(signum, handler)
