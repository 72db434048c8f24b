"""The ledger: one Optuna study per (study, budget, revision), the truth about every trial.

A design's points are enqueued as WAITING trials, in slices, because Optuna's queries slow down with
many waiting trials.  A trial's `result` attribute is the commit point: once written, the trial
counts, whichever process dies.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from fashion_hpo.design.conditions import is_searched
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.constraints import excesses, of_network
from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.design.narrowing import narrowed
from fashion_hpo.design.plan import (
    Plan,
    Point,
    make_point,
    points,
    sampler_seed,
)
from fashion_hpo.design.search import Search
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.attempts import (
    REFUSED,
    attributes,
    closed_without_outcome,
    goal_of,
    has_point,
    is_foreign,
    is_promoted,
    is_refused,
    without_model,
)
from fashion_hpo.stores.attempts import Attempt as Attempt
from fashion_hpo.stores.attempts import Entry as Entry
from fashion_hpo.stores.attempts import Result as Result
from fashion_hpo.stores.kept import readable
from fashion_hpo.stores.leases import Leases
from fashion_hpo.stores.promotion import outstanding
from fashion_hpo.stores.ranking import ranked
from fashion_hpo.stores.samplers import make_sampler, suggest
from fashion_hpo.stores.schema import alone

SLICE = 50  # points enqueued at a time
MOST_REFUSED = 100  # consecutive draws without a valid config, after which a search halts
MOST_LEARNED = 5  # the first of those draws use the search's sampler; the others are random
DATA_SET = "data_set"  # attribute of a ledger of another data set than Fashion-MNIST
GIVEN_UP = "models_given_up"  # attribute with the numbers of trials whose models were removed
NARROWED = "narrowed"  # attribute of a search that samples from narrowed ranges


class NoConfigError(RuntimeError):
    """Too many consecutive draws of a search made no valid config."""


class LostClaimError(RuntimeError):
    """Another process took this process for dead and closed its trial."""


class Ledger:
    """One ledger, opened by `opening.open_ledger`; its plan includes all points stored before.

    `leases` is None for a database in the store's folder, where file locks show which trials run.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: RDBStorage,
        plan: Plan,
        leases: Leases | None = None,
        worker: int = 0,
    ) -> None:
        self.plan = plan
        self.name = study.study_name
        self.attributes: Mapping[str, Any] = study.user_attrs
        self.leases = leases
        self._given_up = frozenset(self.attributes.get(GIVEN_UP, ()))
        self._study = study
        self._storage = storage
        # Each host has a worker 0; their samplers need different seeds.
        self._worker = worker if leases is None else f"{leases.host}#{worker}"
        self._study_id = storage.get_study_id_from_name(study.study_name)

    @property
    def uid(self) -> str:
        """The ledger's id in other stores; Optuna's study number would not survive a copy."""
        return str(self.attributes["uid"])

    @property
    def info(self) -> DataInfo:
        """The data set."""
        return DataInfo.from_dict(self.attributes.get(DATA_SET))

    @property
    def data_hash(self) -> str:
        """The hash of the data that all its trials are trained on."""
        return str(self.attributes["data_hash"])

    @property
    def threads(self) -> int:
        """The thread count of every trial: another order of summation rounds differently."""
        return int(self.attributes["threads"])

    @property
    def precision(self) -> str:
        """The precision of every trial whose config leaves the choice to the hardware.

        Ledgers without the attribute are from an earlier version, which trained in float32.
        """
        return str(self.attributes.get("precision", "fp32"))

    @property
    def step(self) -> str:
        """How every trial on CUDA makes its steps, see `Hardware`: last bits depend on it.

        Ledgers without the attribute are from an earlier version, whose steps were eager.
        """
        return str(self.attributes.get("step", "eager"))

    @property
    def served_channels_last(self) -> bool:
        """The memory format of every exported model, on which last bits depend.

        Ledgers without the attribute are from an earlier version, whose models were contiguous.
        """
        return bool(self.attributes.get("served_channels_last", False))

    @property
    def keeps_logits(self) -> bool:
        """Whether the store has its trials' validation logits; earlier versions logged them to
        MLflow only."""
        return "logits" in self.attributes

    def entries(self) -> list[Entry]:
        """Every trial, by number."""
        return [self._entry(trial) for trial in self._trials()]

    def entry(self, number: int) -> Entry:
        """The present state of one trial."""
        return self._entry(self._storage.get_trial(self._id(number)))

    def claim(self) -> Attempt | None:
        """The next point to train; None if every point has an outcome or a holder.

        Call this under the store's lock "claim", and take the trial's lock before the release of
        "claim": a running trial whose lock is free counts as dead.
        """
        stalled = self.has_stalled()
        while waiting := self._claimable(stalled):  # until other hosts have taken all of them
            for trial in waiting:
                if self._take(trial.number) and (attempt := self._taken(trial)) is not None:
                    return attempt
        return None if stalled else self._propose()

    def promote(self) -> int:
        """Enqueue the pruned points that a search resumes, once all its other trials have ended.

        Call this under the store's lock "claim".  A repeated call adds only missing points.
        Returns the number of promoted points without an outcome; 0 before all trials have ended.
        """
        entries = self.entries()
        running = any(e.state == "RUNNING" and not e.attempt.promoted for e in entries)
        if running or self._left(entries):
            return 0
        due = outstanding(entries, self._resumed)
        tries = Counter(entry.attempt.point for entry in entries)
        under_way = {
            entry.attempt.point
            for entry in entries
            if entry.attempt.promoted and entry.state in ("WAITING", "RUNNING")
        }
        for pruned in (entry.attempt for entry in due if entry.attempt.point not in under_way):
            promoted = replace(pruned, promoted=True)
            self._add(promoted, pruned.params, self._ranges, tries[pruned.point] + 1)
            wrote("point promoted")
        return len(due)

    def alive(self, attempt: Attempt) -> AbstractContextManager[None]:
        """Renew the lease while the block runs, so that other hosts see the attempt alive."""
        if self.leases is None:
            return nullcontext()
        return self.leases.renewed(self._id(attempt.number))

    def is_alive_elsewhere(self, entry: Entry) -> bool:
        """Whether another host holds a valid lease on a running trial.

        A trial without a lease gets one here: its process has just claimed the trial, or is dead.
        """
        if self.leases is None or entry.state != "RUNNING":
            return False
        if entry.lease is None:
            self.leases.lend(self._id(entry.attempt.number))
            return True
        return self.leases.is_foreign(entry.lease) and not self.leases.has_expired(entry.lease)

    def requeue(self, attempt: Attempt) -> None:
        """Enqueue the point of an attempt without outcome again, unless a later trial has it."""
        same = [trial for trial in self._trials() if goal_of(trial) == attempt.goal]
        if all(closed_without_outcome(trial) for trial in same):
            ended = next(trial for trial in same if trial.number == attempt.number)
            self._add(attempt, ended.params, ended.distributions, attempt.attempt + 1)
            wrote("point enqueued again")

    def report(self, attempt: Attempt, epoch: int, value: float, *, last: bool = False) -> bool:
        """Record an intermediate value; True if the search's pruner ends the trial here.

        The pruner is not asked after the `last` epoch: the trial is complete.
        """
        trial_id = self._id(attempt.number)
        try:
            self._storage.set_trial_intermediate_value(trial_id, epoch, value)
        except UpdateFinishedTrialError:
            raise self._lost(attempt) from None
        wrote("epoch reported")
        if self.plan.search is None or attempt.promoted or last:
            return False
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def commit(self, attempt: Attempt, result: Result) -> None:
        """Write the result; raises LostClaimError if another process closed the trial."""
        try:
            self._storage.set_trial_user_attr(self._id(attempt.number), "result", vars(result))
        except UpdateFinishedTrialError:
            raise self._lost(attempt) from None
        wrote("result committed")

    def close(self, attempt: Attempt, result: Result) -> None:
        """Write the result and tell Optuna."""
        self.commit(attempt, result)
        self.tell(attempt, result)

    def tell(self, attempt: Attempt, result: Result) -> None:
        """Set the trial's final state in Optuna; a repeated call changes nothing."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        state = states.get(result.outcome, TrialState.FAIL)
        values = None if state == TrialState.FAIL else self._values(result)
        try:
            if state != TrialState.FAIL:
                self._tell_constraints(attempt, result)
            self._storage.set_trial_state_values(self._id(attempt.number), state, values)
        except UpdateFinishedTrialError:
            return  # done before the process died
        wrote("trial told")

    def give_up_models(self, numbers: Iterable[int]) -> None:
        """Expect no model of these trials any more, because it is removed to save disk."""
        self._given_up |= frozenset(numbers)
        self._study.set_user_attr(GIVEN_UP, sorted(self._given_up))
        wrote("models given up")

    def best(self) -> Entry | None:
        """The best of the compared trials by the first objective; None if there are none."""
        return next(iter(self.ranked()), None)

    def ranked(self) -> list[Entry]:
        """The compared trials, best first; see `ranking.ranked`."""
        return ranked(self.entries(), self.plan.constraints)

    def remaining(self) -> int:
        """The number of points without a terminal outcome.

        Until all other trials of a search have ended, its `resume_pruned` counts in full.
        """
        entries = self.entries()
        left = self._left(entries)
        return left + self._resumed if left else len(outstanding(entries, self._resumed))

    def has_stalled(self) -> bool:
        """Whether a search had `plateau` complete trials since its best trial."""
        search = self.plan.search
        if search is None or not search.plateau:
            return False
        entries = [entry for entry in self.entries() if not entry.attempt.promoted]
        done = [entry for entry in entries if entry.state == "COMPLETE"]
        best = ranked(done, self.plan.constraints)[:1]
        return bool(done) and len(done) - 1 - done.index((best or done)[0]) >= search.plateau

    def running(self) -> int:
        """The number of running trials."""
        return len(self._trials(TrialState.RUNNING))

    def _left(self, entries: Sequence[Entry]) -> int:
        """The number of points without an outcome, promoted ones excluded."""
        if self.has_stalled():
            return 0
        final = [e.attempt for e in entries if e.result is not None and e.result.final]
        done = [attempt.point for attempt in final if not attempt.promoted]
        # A sampler may propose a point twice: two trials.
        return max(0, self._asked_for - len(done if self.plan.search else set(done)))

    @property
    def _resumed(self) -> int:
        """The number of pruned points to train to completion."""
        return self.plan.search.resume_pruned if self.plan.search else 0

    @cached_property
    def _points(self) -> list[Point]:
        return points(self.plan)

    def _tell_constraints(self, attempt: Attempt, result: Result) -> None:
        """Store the constraints' values where Optuna's samplers read them."""
        bounds = self.plan.constraints
        if result.outcome == "pruned":
            bounds = of_network(bounds, result.summaries)
        for name, excess in excesses(bounds, result.summaries).items():
            key = f"constraints:{name}"  # the key of `optuna.Trial.set_constraint`
            self._storage.set_trial_system_attr(self._id(attempt.number), key, excess)
            wrote("constraint told")

    def _values(self, result: Result) -> list[float] | None:
        """The objectives' values: the trial's value, then those among its summaries."""
        if result.value is None:
            return None
        return [result.value, *(result.summaries[name] for name in self.plan.objectives[1:])]

    @property
    def _asked_for(self) -> int:
        """The number of trials to run: the plan's, or fewer if a drawn search has fewer points.

        Points that an earlier version drew differently count as well.
        """
        if self.plan.search is None or not self.plan.search.is_drawn:
            return self.plan.trials
        return min(self.plan.trials, len(self._known | {point.id for point in self._points}))

    @property
    def _known(self) -> set[str]:
        """The ids of all enqueued or claimed points."""
        return {trial.user_attrs["point"] for trial in self._trials() if has_point(trial)}

    def _take(self, number: int) -> bool:
        """Set a waiting trial running; False if another worker was first, or is done already."""
        try:
            return self._storage.set_trial_state_values(self._id(number), TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _lost(self, attempt: Attempt) -> LostClaimError:
        return LostClaimError(f"trial {attempt.number} was taken for dead and closed")

    def _lease(self, attempt: Attempt) -> None:
        if self.leases is not None:
            self.leases.take(self._id(attempt.number))
            wrote("lease taken")

    def _is_duplicate(self, trial: FrozenTrial) -> bool:
        """Whether an earlier trial has the same point."""
        return any(
            other.number < trial.number
            and goal_of(other) == goal_of(trial)
            and not closed_without_outcome(other)
            for other in self._trials()
        )

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _claimable(self, stalled: bool) -> list[FrozenTrial]:
        """The waiting trials that may be claimed; if there is none, more points are enqueued."""
        waiting = self._waiting()
        if stalled:
            return list(filter(is_promoted, waiting))
        while not waiting and self._missing_points():
            # Else each host would enqueue the same points, and close all but one of each again.
            with alone(self._storage.url, f"points of {self.name}"):
                if not self._waiting():
                    for point in self._missing_points():
                        self._add(point, point.params, self._ranges, 1)
                        wrote("point enqueued")
            waiting = self._waiting()  # none if other hosts were faster
        return waiting

    def _waiting(self) -> list[FrozenTrial]:
        """The waiting trials, without those that another program enqueued: a search's next `ask`
        takes such a trial."""
        return list(filter(has_point, self._trials(TrialState.WAITING)))

    def _taken(self, trial: FrozenTrial) -> Attempt | None:
        """The attempt of a trial that was set running; None if another host has the point."""
        wrote("trial claimed")
        attempt = self._attempt(trial)
        if self.leases is not None and self._is_duplicate(trial):
            self.close(attempt, Result("duplicate", reason="two hosts enqueued this point"))
            return None
        self._lease(attempt)
        return attempt

    def _missing_points(self) -> list[Point]:
        """The next slice of the points that have no trial."""
        if not self._points:
            return []
        known = self._known
        missing = [point for point in self._points if point.id not in known]
        return missing[: max(0, min(SLICE, self.plan.trials - len(known)))]

    def _add(
        self,
        point: Point | Attempt,
        params: Mapping[str, Any],
        ranges: Mapping[str, BaseDistribution],
        attempt: int,
    ) -> None:
        name = point.id if isinstance(point, Point) else point.point
        promoted = isinstance(point, Attempt) and point.promoted
        waiting = create_trial(
            state=TrialState.WAITING,
            params=dict(params),
            distributions={name: ranges[name] for name in params},
            user_attrs=attributes(name, point.config, point.seed_index, attempt, promoted=promoted),
        )
        self._study.add_trial(waiting)

    def _propose(self) -> Attempt | None:
        """Sample the next point of a search, all values at once; None once all trials exist."""
        search, trials = self.plan.search, self._trials()
        if search is None or search.is_drawn:
            return None
        sampled = [trial for trial in trials if not is_promoted(trial) and not is_foreign(trial)]
        if sum(not closed_without_outcome(trial) for trial in sampled) >= search.trials:
            return None
        # Repeated attempts do not count: after a kill the sampler's seed is as without the kill.
        before = sum(has_point(trial) and trial.user_attrs["attempt"] == 1 for trial in trials)
        before += sum(map(is_refused, trials))
        asked, point = self._draw(search, before)
        for name, value in attributes(point.id, point.config, 0, 1).items():
            asked.set_user_attr(name, value)
            wrote("proposal described")
        attempt = self._attempt(self._storage.get_trial(self._id(asked.number)))
        self._lease(attempt)
        return attempt

    def _draw(self, search: Search, before: int) -> tuple[optuna.Trial, Point]:
        """A proposal with a valid config; `before` is the number of draws so far.

        Other proposals are closed as refused and counted, so that the next draw has another seed.
        A sampler that learns does not see refused trials and may propose them for ever; therefore
        the last draws are random.
        """
        for number in range(before, before + MOST_REFUSED):
            seed = sampler_seed(self.plan.spec.seed, self._worker, number)
            name = search.sampler if number < before + MOST_LEARNED else "random"
            self._study.sampler = make_sampler(name, seed, bool(search.when), search.startup)
            asked = self._asked()
            wrote("trial asked")
            try:
                return asked, make_point(self.plan, asked.params, asked.params)
            except ValueError as error:
                reason = str(error)
            draw = self._attempt(self._storage.get_trial(self._id(asked.number)))
            self.close(draw, Result(REFUSED, reason=reason))
        raise NoConfigError(
            f"{MOST_REFUSED} draws in a row from search.space made no config, the last because "
            f"{reason}"
        )

    def _asked(self) -> optuna.Trial:
        """A proposal; its fields with conditions are sampled after the others, where they hold."""
        ranges, when = self._ranges, self.plan.search.when if self.plan.search else {}
        asked = self._study.ask({name: d for name, d in ranges.items() if name not in when})
        for name in when:
            if is_searched(name, asked.params, when):
                suggest(asked, name, ranges[name])
        return asked

    @property
    def _ranges(self) -> Mapping[str, BaseDistribution]:
        """The ranges to sample from; an earlier version's ledger has them without narrowing."""
        if NARROWED not in self.attributes:
            return self.plan.ranges
        return narrowed(self.plan.ranges, self.plan.base)

    def _attempt(self, trial: FrozenTrial) -> Attempt:
        stored = trial.user_attrs
        return Attempt(
            number=trial.number,
            uid=f"{self.uid}-{trial.number:05d}",
            point=stored.get("point", ""),
            config=TrainConfig.from_dict(stored.get("config", {})),
            params=dict(trial.params),
            seed_index=stored.get("seed_index", 0),
            attempt=stored.get("attempt", 1),
            promoted=is_promoted(trial),
        )

    def _entry(self, trial: FrozenTrial) -> Entry:
        stored = trial.user_attrs.get("result")
        with readable(self.name, self.uid, trial.number):
            result = Result(**stored) if stored else None
            lease = trial.user_attrs.get("lease")
            entry = Entry(self._attempt(trial), trial.state.name, result, lease)
            return without_model(entry) if trial.number in self._given_up else entry
