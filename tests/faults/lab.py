"""Where faults are injected: stores, processes, the invariants, and the count of it all."""

import multiprocessing
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

from fashion_hpo.design.plan import Plan
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import read_ledger
from fashion_hpo.stores.tracking import Tracker
from tests.faults import child
from tests.faults.child import Fault, Moment

Curves = dict[str, list[float]]
Case = TypeVar("Case")
AT_ONCE = 2  # of each process of pytest
RUN_SECONDS = 120.0  # for a study of a few seconds: past that it hangs


class Worker(ForkServerProcess):
    """A process that several threads of the laboratory may start and wait for.

    An exit code can be read once, and `start` reads those of all processes: a thread that reads at
    the same time finds nothing, which the standard library takes for a code of 255.
    """

    _reading = threading.Lock()

    def start(self) -> None:
        with self._reading:
            super().start()

    def join(self, timeout: float | None = None) -> None:
        if wait([self.sentinel], timeout):
            with self._reading:
                super().join()

    @property
    def exitcode(self) -> int | None:
        with self._reading:
            return super().exitcode


class Lab:
    """Makes stores, runs studies in them under faults, and checks what is left of them."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.injected: Counter[str] = Counter()
        self.lost: list[str] = []
        self._template = template
        self._folder = folder
        self._stores = 0
        self._lock = threading.Lock()
        multiprocessing.set_forkserver_preload(["tests.warm", "tests.faults.lab"])
        self._undisturbed: dict[str, Curves] = {}

    def store(self, *, fresh: bool = False) -> Store:
        """An empty store; `fresh` has no databases yet either."""
        with self._lock:
            self._stores += 1
            root = self._folder / str(self._stores)
        if fresh:
            root.mkdir()
        else:
            shutil.copytree(self._template, root)
        return Store.at(root)

    def each(self, cases: Iterable[Case], try_out: Callable[[Case], object]) -> None:
        """Try out cases that have stores of their own, a few at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(try_out, cases))

    def inject(self, kind: str, times: int = 1) -> None:
        """Count faults of a kind."""
        with self._lock:
            self.injected[kind] += times

    def start(
        self, store: Store, plan: Plan, fault: Fault | None = None, side_by_side: int = 1
    ) -> Worker:
        """A worker in a process of its own, forked from one that has imported everything."""
        return self.process(child.study, store, plan, fault, side_by_side)

    def process(self, target: Callable[..., None], *given: object) -> Worker:
        """A function of this package in a process of its own."""
        process = Worker(target=target, args=given)
        process.start()
        return process

    def kill(self, target: Callable[..., None], *given: object, moment: Moment, kind: str) -> None:
        """Run a function whose last argument is a fault, and kill its process at a moment."""
        process = self.process(target, *given, partial(child.killed_at, moment))
        assert ended(process) == -signal.SIGKILL, f"{moment} did not come"
        self.inject(kind)

    def run(
        self, store: Store, plan: Plan, fault: Fault | None = None, side_by_side: int = 1
    ) -> int:
        """A worker from start to end; its exit code."""
        return ended(self.start(store, plan, fault, side_by_side))

    def killed(
        self, store: Store, plan: Plan, moment: Moment, kind: str, side_by_side: int = 1
    ) -> bool:
        """Run a worker that is killed at a moment; False if it never came to that."""
        code = self.run(store, plan, partial(child.killed_at, moment), side_by_side)
        assert code in (-signal.SIGKILL, 0), f"exit code {code} at {moment}"
        self.inject(kind, int(code != 0))
        return code != 0

    def kill_later(self, process: Worker, seconds: float, kind: str) -> bool:
        """Kill a process after a while; False if it has ended before."""
        process.join(seconds)
        if process.exitcode is not None:
            return False
        process.kill()
        process.join()
        self.inject(kind)
        return True

    def moments(
        self,
        plan: Plan,
        prepare: Callable[[Store], None] | None = None,
        side_by_side: int = 1,
    ) -> list[Moment]:
        """Every write that an undisturbed worker makes, in order, each with its number."""
        store = self.store()
        if prepare is not None:
            prepare(store)
        path = store.root / "moments.txt"
        assert self.run(store, plan, partial(child.recording, path), side_by_side) == 0
        seen: Counter[str] = Counter()
        found = []
        for write in path.read_text().splitlines():
            seen[write] += 1
            found.append(Moment(write, seen[write]))
        assert found
        return found

    def undisturbed(self, plan: Plan) -> Curves:
        """What the plan's points come to when nothing goes wrong, whatever the study's name."""
        key = repr(replace(plan, name=""))
        if key not in self._undisturbed:
            store = self.store()
            assert self.run(store, plan) == 0
            self._undisturbed[key] = curves(ledger_of(store, plan))
        return self._undisturbed[key]

    def check(self, store: Store, plan: Plan, *, same: bool = True) -> Ledger:
        """Every invariant holds, every point is done, to the bits of an undisturbed run.

        The next start, which is what a person does after a fault, comes first.
        """
        assert self.run(store, plan) == 0
        ledger = ledger_of(store, plan)
        found = [str(v) for v in examine(store, ledger, Tracker(store, plan.name))]
        if ledger.remaining():
            found.append(f"{ledger.remaining()} points without an outcome")
        if same and curves(ledger) != self.undisturbed(plan):
            found.append("other numbers than an undisturbed run's")
        self.lost += found
        assert not found, found
        return ledger


def ended(process: Worker) -> int:
    """A process's exit code, once it has one; one that hangs fails the test."""
    process.join(RUN_SECONDS)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"process {process.pid} did not end in {RUN_SECONDS:.0f} s")
    return process.exitcode


def ledger_of(store: Store, plan: Plan) -> Ledger:
    """The plan's ledger in a store."""
    ledger = read_ledger(store, plan)
    assert ledger is not None
    return ledger


def curves(ledger: Ledger) -> Curves:
    """Each finished point's validation losses; its outcome stands first."""
    return {
        entry.attempt.point: [entry.result.outcome, *(e["val_loss"] for e in entry.result.history)]  # type: ignore[misc]
        for entry in ledger.entries()
        if entry.result is not None and entry.result.final
    }


def wait_until(holds: Callable[[], bool], seconds: float = 30.0, every: float = 0.01) -> None:
    """Wait for something that other processes do; fails if it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(every)


def seeded(name: str) -> random.Random:
    """The same random times in every run of a test."""
    return random.Random(name)
