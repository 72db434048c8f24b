"""One trial of a ledger: its attempt, its result, and the Optuna attributes that store both."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from fashion_hpo.design.config import TrainConfig

REFUSED = "refused"  # the drawn values make no valid config; the search draws again
CLOSED_WITHOUT_OUTCOME = ("died", "stopped", "duplicate", REFUSED)  # their points stay open


@dataclass(frozen=True)
class Attempt:
    """One claimed trial: one try at training a point."""

    number: int
    uid: str
    point: str
    config: TrainConfig
    params: Mapping[str, Any]  # the sampled fields only
    seed_index: int
    attempt: int  # 1 for the first try at the point
    promoted: bool = False  # trains a pruned point to completion

    @property
    def goal(self) -> tuple[str, bool]:
        """The key of a terminal outcome: a pruned and promoted point has two outcomes."""
        return self.point, self.promoted


@dataclass(frozen=True)
class Result:
    """How an attempt ended.

    Terminal outcomes: complete, pruned, diverged, failed.  The other outcomes leave the point open:
    died, stopped, duplicate (two hosts enqueued one point), refused (the drawn values make no valid
    config).
    """

    outcome: str
    value: float | None = None
    reason: str = ""
    traceback: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)  # epochs, as dicts
    summaries: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # path in the trial's folder to sha256
    hardware: Mapping[str, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether the point has its terminal outcome."""
        return self.outcome not in CLOSED_WITHOUT_OUTCOME


@dataclass(frozen=True)
class Entry:
    """One trial as stored in the ledger; `state` is Optuna's: WAITING, RUNNING, COMPLETE, …"""

    attempt: Attempt
    state: str
    result: Result | None
    lease: Mapping[str, Any] | None
    given_up: bool = False  # its model was removed to save disk, and is expected nowhere


def without_model(entry: Entry) -> Entry:
    """The same trial, whose result has no model's files any more."""
    result = entry.result
    if result is not None:
        files = {name: h for name, h in result.files.items() if not name.startswith("model/")}
        result = replace(result, files=files)
    return replace(entry, result=result, given_up=True)


def attributes(
    point: str, config: TrainConfig, seed_index: int, attempt: int, *, promoted: bool = False
) -> dict[str, Any]:
    """A trial's attributes; the id is written last, because it makes the trial an attempt."""
    return {
        "config": config.to_dict(),
        "seed_index": seed_index,
        "attempt": attempt,
        **({"promoted": True} if promoted else {}),
        "point": point,
    }


def has_point(trial: FrozenTrial) -> bool:
    """Whether the trial has its point: not if the process died before it wrote the attributes."""
    return "point" in trial.user_attrs


def is_foreign(trial: FrozenTrial) -> bool:
    """Whether another program, such as Optuna's dashboard, enqueued or added the trial."""
    return not has_point(trial) and trial.state not in (TrialState.RUNNING, TrialState.FAIL)


def is_refused(trial: FrozenTrial) -> bool:
    """Whether the drawn values make no valid config; such a trial still advances the seed."""
    return bool((trial.user_attrs.get("result") or {}).get("outcome") == REFUSED)


def is_promoted(trial: FrozenTrial) -> bool:
    """Whether the trial trains a pruned point to completion."""
    return bool(trial.user_attrs.get("promoted", False))


def goal_of(trial: FrozenTrial) -> tuple[str | None, bool]:
    """The trial's `Attempt.goal`; its point is None if the trial has none."""
    return trial.user_attrs.get("point"), is_promoted(trial)


def closed_without_outcome(trial: FrozenTrial) -> bool:
    """Whether the trial ended without a terminal outcome, so that its point is tried again."""
    result = trial.user_attrs.get("result") or {}
    return trial.state == TrialState.FAIL and result.get("outcome") in (
        *CLOSED_WITHOUT_OUTCOME,
        None,
    )
