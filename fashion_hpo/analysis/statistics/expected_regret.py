"""What a search can be expected to find for its image passes, as replayed on a table of configs.

`python -m fashion_hpo.bench search --keep` writes the curves that are kept here.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.plan import Plan
from fashion_hpo.files.atomic import write_atomically

KEPT = Path(__file__).with_name("expected_regret.json")


@dataclass(frozen=True)
class Curve:
    """The regret of one sampler and pruner after the image passes of 1, 2, … complete trials.

    Regret: the validation accuracy of the table's best config less that of the search's best, a
    share; the mean over repeats, with its 95 % interval.
    """

    sampler: str
    pruner: str
    startup: int  # random start-up trials; 0 for samplers that use no results
    repeats: int
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]

    @property
    def replayed(self) -> tuple[str, str, int]:
        """The search that the curve is of."""
        return self.sampler, self.pruner, self.startup


@dataclass(frozen=True)
class Curves:
    """The curves of all searches that were replayed on one table."""

    study: str  # that made the table
    configs: int
    epochs: int
    images: int  # of an epoch
    fields: Sequence[str]
    completed: int  # trials that one_epoch trains to completion
    curves: Sequence[Curve]

    def with_curves(self, earlier: "Curves | None") -> "Curves":
        """These curves, and those of an earlier file about other searches on the same table."""
        if earlier is None or earlier.table != self.table:
            return self
        own = {curve.replayed for curve in self.curves}
        others = [curve for curve in earlier.curves if curve.replayed not in own]
        curves = sorted([*others, *self.curves], key=lambda curve: curve.replayed)
        return Curves(*self.table, curves)

    @property
    def table(self) -> tuple[str, int, int, int, Sequence[str], int]:
        """The table, as the first fields."""
        return (
            self.study, self.configs, self.epochs, self.images, list(self.fields), self.completed
        )  # fmt: skip


def write(curves: Curves, path: Path) -> None:
    """Write the curves as JSON, a line each."""
    facts = {name: value for name, value in asdict(curves).items() if name != "curves"}
    lines = ",\n  ".join(json.dumps(asdict(curve)) for curve in curves.curves)
    text = json.dumps(facts).removesuffix("}") + f',\n "curves": [\n  {lines}\n]}}\n'
    write_atomically(path, text.encode())


def read(path: Path = KEPT) -> Curves | None:
    """The curves of a file; None if there is no file."""
    if not path.exists():
        return None
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Curves(**stored | {"curves": [Curve(**curve) for curve in stored["curves"]]})


class Expected(NamedTuple):
    """What a search of a ledger can be expected to find."""

    curves: Curves  # all on the table
    own: Curve
    random: Curve | None  # random search without a pruner; None if that is the ledger's search
    spent: float  # image passes of the ledger's search, in complete trials

    @property
    def trials(self) -> int:
        """The last place of the curve that the search has paid for."""
        return max(1, min(int(self.spent), len(self.own.mean)))


def of_search(records: Records, kept: Curves | None) -> Expected | None:
    """What the curves say of a search over the table's fields; None of any other search."""
    plan = records.plan
    if kept is None or not _is_replayable(plan, kept):
        return None
    by_search = {curve.replayed: curve for curve in kept.curves}
    assert plan.search is not None
    startup = 0 if plan.search.is_drawn else plan.search.startup
    own = by_search.get((plan.search.sampler, plan.search.pruner, startup))
    random = by_search.get(("random", "none", 0))
    if own is None:
        return None
    spent = float(records.trials["epochs_done"].sum()) / plan.base.epochs
    return Expected(kept, own, None if random is own else random, spent)


def _is_replayable(plan: Plan, kept: Curves) -> bool:
    """Whether a search has the table's fields, and nothing that the replays had not."""
    search = plan.search
    if search is None or search.when or search.constraints or len(search.objectives) > 1:
        return False
    resumed = kept.completed if search.pruner == "one_epoch" else 0
    return {*search.space} == {*kept.fields} and search.resume_pruned == resumed


def sentence(expected: Expected) -> str:
    """The expected regret after the search's image passes, and on what that rests."""
    curves, own, at = expected.curves, expected.own, expected.trials - 1
    mean, low, high = (100 * part[at] for part in (own.mean, own.low, own.high))
    return (
        f"{own.sampler} with pruner {own.pruner}, replayed {own.repeats} times on the "
        f"{curves.configs} configs of {curves.study} ({curves.epochs} epochs of {curves.images:,} "
        f"images): after the image passes of {expected.trials} complete "
        f"trial{'s' * (expected.trials > 1)} (this search: {expected.spent:.1f}) its best config "
        f"is on average {mean:.2f} points (95 % interval {low:.2f} to {high:.2f}) below the "
        "table's best; a guide, because those networks are small"
    )
