"""What a ledger has of one trial: the attempt, its result, and how Optuna keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from fashion_hpo.design.config import TrainConfig

REFUSED = "refused"  # a draw whose values make no config, after which another is drawn
CLOSED_WITHOUT_OUTCOME = ("died", "stopped", "duplicate", REFUSED)  # no point is done by them


@dataclass(frozen=True)
class Attempt:
    """One claimed trial: a try at one point."""

    number: int
    uid: str
    point: str
    config: TrainConfig
    params: Mapping[str, Any]  # the sampled fields alone
    seed_index: int
    attempt: int  # 1 for the first try at the point
    promoted: bool = False  # brings a pruned point to its end

    @property
    def goal(self) -> tuple[str, bool]:
        """What ends in one terminal outcome: a point, and once more if it is promoted."""
        return self.point, self.promoted


@dataclass(frozen=True)
class Result:
    """What an attempt came to: complete, pruned, diverged or failed; or died or stopped, after
    which its point is tried again; or duplicate, where two hosts enqueued one point; or refused,
    where a draw made no point."""

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
    """One trial as the ledger has it; `state` is Optuna's: WAITING, RUNNING, COMPLETE, …"""

    attempt: Attempt
    state: str
    result: Result | None
    lease: Mapping[str, Any] | None


def attributes(
    point: str, config: TrainConfig, seed_index: int, attempt: int, *, promoted: bool = False
) -> dict[str, Any]:
    """A point's attributes; its id comes last, because a proposal without one is no attempt."""
    return {
        "config": config.to_dict(),
        "seed_index": seed_index,
        "attempt": attempt,
        **({"promoted": True} if promoted else {}),
        "point": point,
    }


def has_point(trial: FrozenTrial) -> bool:
    """A proposal whose process died before it was described has none."""
    return "point" in trial.user_attrs


def is_foreign(trial: FrozenTrial) -> bool:
    """Whether another program, such as Optuna's dashboard, enqueued a trial or added a finished
    one."""
    return not has_point(trial) and trial.state not in (TrialState.RUNNING, TrialState.FAIL)


def is_refused(trial: FrozenTrial) -> bool:
    """Whether a draw made no config: it has no point, and counts in the seed of the next draw."""
    return bool((trial.user_attrs.get("result") or {}).get("outcome") == REFUSED)


def is_promoted(trial: FrozenTrial) -> bool:
    """Whether a trial brings a pruned point to its end."""
    return bool(trial.user_attrs.get("promoted", False))


def goal_of(trial: FrozenTrial) -> tuple[str | None, bool]:
    """A trial's `Attempt.goal`; without a point for one that was never described."""
    return trial.user_attrs.get("point"), is_promoted(trial)


def closed_without_outcome(trial: FrozenTrial) -> bool:
    """Whether a trial died or was stopped, after which its point is tried again."""
    result = trial.user_attrs.get("result") or {}
    return trial.state == TrialState.FAIL and result.get("outcome") in (
        *CLOSED_WITHOUT_OUTCOME,
        None,
    )
