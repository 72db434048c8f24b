"""What a search finds for its image passes: samplers and pruners, replayed on trained configs.

Nothing is trained: a proposal is answered with the learning curve of the nearest config in a table
of trained configs (after Ying et al. 2019, "NAS-Bench-101", and Eggensperger et al. 2015).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pandas as pd
import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState

from fashion_hpo.analysis.intervals import t_interval
from fashion_hpo.analysis.statistics.expected_regret import Curve, Curves
from fashion_hpo.design.plan import Plan, make_plan, sampler_seed
from fashion_hpo.design.search import STARTUP_TRIALS, Pruner, Sampler
from fashion_hpo.design.sequences import random_values, sobol_values
from fashion_hpo.design.study_file import load_study
from fashion_hpo.running import processes
from fashion_hpo.stores.samplers import make_pruner, make_sampler
from fashion_hpo.training.cores import usable_cores

KEPT = Path(__file__).with_name("search_table")
STUDY = "search_table"  # the study that made the kept table
MADE_BY = f"name a folder with both tables of the study {STUDY}."
SIZES = (10, 20, 40)  # image passes of a search, in complete trials
REPEATS = {"gp": 20}  # by sampler; its proposals take longest
USUAL_REPEATS = 100
COMPLETED = 3  # trials that are trained to completion after one epoch of all trials
DECIMALS = 5  # of a kept regret: a share
DRAWN = {"quasi_random": sobol_values, "random": random_values}


@dataclass(frozen=True)
class Table:
    """Trained configs of one space, a row each."""

    space: Mapping[str, BaseDistribution]
    images: int  # training images of an epoch
    places: np.ndarray  # (rows, fields): see `place`
    curves: np.ndarray  # (rows, epochs): validation accuracy; NaN after a divergence

    @classmethod
    def of(cls, plan: Plan, trials: pd.DataFrame, epochs: pd.DataFrame) -> "Table":
        """The trials of a search, from the two tables that `report --csv` writes.

        The fields are read from `trials`: in `epochs`, `learning_rate` is the epoch's.  Raises
        ValueError if a column is missing or no trial has all epochs of the plan.
        """
        for name, table, wanted in (
            ("trials", trials, ["trial", *plan.ranges]),
            ("epochs", epochs, ["trial", "epoch", "val_accuracy"]),
        ):
            if lacking := [column for column in wanted if column not in table]:
                raise ValueError(f"{name}.csv has no column {lacking[0]}; {MADE_BY}")
        curves = epochs.pivot(index="trial", columns="epoch", values="val_accuracy")
        curves = curves.reindex(columns=range(1, plan.base.epochs + 1))
        if curves.dropna().empty:
            raise ValueError(f"no trial of epochs.csv has {plan.base.epochs} epochs; {MADE_BY}")
        values = trials.set_index("trial").loc[curves.index, list(plan.ranges)]
        rows = (dict(zip(plan.ranges, row, strict=True)) for row in values.itertuples(index=False))
        places = [place(plan.ranges, row) for row in rows]
        return cls(plan.ranges, plan.base.train_images, np.array(places), curves.to_numpy(float))

    @property
    def epochs(self) -> int:
        """Epochs of a complete trial."""
        return int(self.curves.shape[1])

    @property
    def finals(self) -> np.ndarray:
        """Validation accuracy after the last epoch, (rows,)."""
        return self.curves[:, -1]

    def nearest(self, values: Mapping[str, Any]) -> int:
        """The row that answers a proposal."""
        distances = ((self.places - place(self.space, values)) ** 2).sum(1)
        return int(distances.argmin())


def place(space: Mapping[str, BaseDistribution], values: Mapping[str, Any]) -> np.ndarray:
    """A config as a point: a number at 0 to 1 of its range, logarithmic where the range is.

    Two choices of a field are farther apart than any numbers: the nearest row has all the same
    choices, if there is such a row.
    """
    return np.array([_position(space[name], values[name], len(space)) for name in space])


def _position(distribution: BaseDistribution, value: Any, far: int) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(far * distribution.choices.index(value))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        return float(np.log(value / low) / np.log(high / low))
    return float((value - low) / (high - low))


def read_table(folder: Path | None) -> Table:
    """The table of a report's folder, by default that kept here; raises ValueError if it has
    none."""
    question, spec = load_study(STUDY)
    trials, epochs = (_read(folder or KEPT, name) for name in ("trials", "epochs"))
    return Table.of(make_plan(STUDY, question, spec, "standard"), trials, epochs)


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    try:
        return pd.read_csv(path if path.exists() else path.with_suffix(".csv.gz"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--table is {folder}, and its {name}.csv cannot be read: {error}"
        ) from None


class Error(NamedTuple):
    """How far answers by the nearest row are off, each row answered by the others."""

    median: float  # of the absolute differences in final validation accuracy
    correlation: float  # Spearman's, of answers and truth
    spread: float  # standard deviation of the final validation accuracies


def leave_one_out(table: Table) -> Error:
    """The error of the nearest row as an answer, over all rows that did not diverge."""
    from scipy.stats import spearmanr

    distances = ((table.places[:, None] - table.places[None]) ** 2).sum(2)
    np.fill_diagonal(distances, np.inf)
    answers, finals = table.finals[distances.argmin(1)], table.finals
    known = ~np.isnan(answers + finals)
    off = np.abs(answers - finals)[known]
    correlation = spearmanr(answers[known], finals[known]).statistic
    return Error(float(np.median(off)), float(correlation), float(finals[known].std()))


class Replayed(NamedTuple):
    """A trial of a replayed search."""

    row: int
    epochs: int  # before the trial ended
    complete: bool


def replay(
    table: Table,
    sampler: Sampler,
    pruner: Pruner,
    seed: int,
    budget: int,
    startup: int = STARTUP_TRIALS,
) -> list[Replayed]:
    """The trials of a search that ends once `budget` epochs were spent.

    Each proposal is made as the ledger makes it: by a new sampler, with a seed of its own.
    """
    # Hyperband assigns a trial to a bracket by the study's name.
    study = optuna.create_study(
        direction="maximize", pruner=make_pruner(pruner, table.epochs), study_name=f"{seed}"
    )
    draw = DRAWN.get(sampler)
    drawn = draw(table.space, budget, sampler_seed(seed, 0, 0)) if draw else []
    trials: list[Replayed] = []
    while sum(trial.epochs for trial in trials) < budget:
        number = len(trials)
        if drawn:
            study.enqueue_trial(drawn[number])
        proposing: Sampler = "random" if drawn else sampler
        study.sampler = make_sampler(proposing, sampler_seed(seed, 0, number), startup=startup)
        trials.append(_ended(table, study, study.ask(dict(table.space))))
    return trials


def _ended(table: Table, study: optuna.Study, trial: Trial) -> Replayed:
    """Report the answer's epochs until the pruner or a divergence ends the trial.

    As in a ledger, the pruner is not asked after the last epoch.
    """
    row = table.nearest(trial.params)
    for epoch, value in enumerate(table.curves[row].tolist(), start=1):
        if np.isnan(value):
            study.tell(trial, state=TrialState.FAIL)
            return Replayed(row, epoch, complete=False)
        trial.report(value, epoch)
        if epoch < table.epochs and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return Replayed(row, epoch, complete=False)
    study.tell(trial, value)
    return Replayed(row, table.epochs, complete=True)


def regrets(
    table: Table, pruner: Pruner, trials: Sequence[Replayed], budgets: Sequence[int]
) -> list[float]:
    """After each budget of epochs: the best row's final accuracy less that of the best trial.

    A search that completed nothing yet is charged with the worst row.
    """
    finish = _promoted if pruner == "one_epoch" else _complete
    worst, best = np.nanmin(table.finals), np.nanmax(table.finals)
    return [float(best - max(finish(table, trials, budget), default=worst)) for budget in budgets]


def _complete(table: Table, trials: Sequence[Replayed], budget: int) -> list[float]:
    """Final accuracies of the trials that are complete within the budget."""
    spent = np.cumsum([trial.epochs for trial in trials])
    return [
        float(table.finals[trial.row])
        for trial, epochs in zip(trials, spent, strict=True)
        if trial.complete and epochs <= budget
    ]


def _promoted(table: Table, trials: Sequence[Replayed], budget: int) -> list[float]:
    """Final accuracies of the best trials after one epoch, whose other epochs the budget pays."""
    one_epoch = max(0, budget - COMPLETED * (table.epochs - 1))
    rows = dict.fromkeys(trial.row for trial in trials[:one_epoch])
    best = sorted(rows, key=lambda row: -table.curves[row, 0])[:COMPLETED]
    return [float(table.finals[row]) for row in best if not np.isnan(table.finals[row])]


def regret_of(
    table: Table,
    sampler: Sampler,
    pruner: Pruner,
    budgets: Sequence[int],
    startup: int,
    seed: int,
) -> list[float]:
    """The regrets of one replayed search."""
    trials = replay(table, sampler, pruner, seed, max(budgets), startup)
    return regrets(table, pruner, trials, budgets)


class Row(NamedTuple):
    """All replays of one sampler with one pruner."""

    sampler: Sampler
    pruner: Pruner
    regrets: np.ndarray  # (repeats, size): after the image passes of 1, 2, … complete trials

    def after(self, sizes: Sequence[int]) -> np.ndarray:
        """The regrets after the image passes of so many complete trials, (repeats, sizes)."""
        return self.regrets[:, [size - 1 for size in sizes]]


def measured(
    table: Table,
    searched: Sequence[tuple[Sampler, Pruner]],
    size: int,
    repeats: int | None = None,
    startup: int = STARTUP_TRIALS,
) -> Iterator[Row]:
    """A row for each sampler with its pruner; all cores work on each.

    size: image passes of each search, in complete trials.
    """
    budgets = [table.epochs * trials for trials in range(1, size + 1)]
    with processes.pool(usable_cores(), processes.context(), _prepare) as pool:
        for sampler, pruner in searched:
            count = repeats or REPEATS.get(sampler, USUAL_REPEATS)
            one = partial(regret_of, table, sampler, pruner, budgets, startup)
            yield Row(sampler, pruner, np.array(list(pool.map(one, range(count)))))


def _prepare() -> None:
    torch.set_num_threads(1)  # of the Gaussian process; there is a process for each core
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def described(table: Table, startup: int) -> list[str]:
    """What the table is, and how proposals are answered."""
    finals, error = table.finals[~np.isnan(table.finals)], leave_one_out(table)
    quartiles = ", ".join(f"{value:.2%}" for value in np.quantile(finals, (0.5, 0.9, 1.0)))
    return [
        f"{len(finals)} trained configs of {STUDY}, {table.epochs} epochs of {table.images:,} "
        f"images; median, best tenth, best: {quartiles}",
        "A proposal is answered by the nearest config with the same choices.  With each config "
        f"left out in turn, that answer is off by {100 * error.median:.2f} points (median; the "
        f"configs' standard deviation is {100 * error.spread:.2f}), rank correlation "
        f"{error.correlation:.2f}.",
        "Regret: points of validation accuracy below the best config, mean and 95 % interval, "
        f"after the image passes of so many complete trials.  tpe and gp begin with {startup} "
        f"random trials; one_epoch completes the best {COMPLETED}.",
    ]


def shown(regrets: np.ndarray) -> str:
    """`0.84 (0.75 to 0.93)`."""
    mean, low, high = t_interval((100 * regrets).tolist())
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def curves(table: Table, rows: Sequence[Row], startup: int) -> Curves:
    """The mean regrets, for the figure in reports of searches."""
    return Curves(
        study=STUDY,
        configs=int((~np.isnan(table.finals)).sum()),
        epochs=table.epochs,
        images=table.images,
        fields=sorted(table.space),
        completed=COMPLETED,
        curves=[_curve(row, 0 if row.sampler in DRAWN else startup) for row in rows],
    )


def _curve(row: Row, startup: int) -> Curve:
    intervals = [t_interval(regrets.tolist()) for regrets in row.regrets.T]
    mean, low, high = (
        [round(end, DECIMALS) for end in ends] for ends in zip(*intervals, strict=True)
    )
    return Curve(row.sampler, row.pruner, startup, len(row.regrets), mean, low, high)


def against_random(rows: Sequence[Row]) -> list[str]:
    """The differences in regret between each sampler and random, without a pruner."""
    plain = {row.sampler: row.regrets[:, -1] for row in rows if row.pruner == "none"}
    random = plain.pop("random", None)
    if random is None:
        return []
    size = rows[0].regrets.shape[1]
    return [
        f"{sampler} less random after {size} trials: {shown(regrets - random[: len(regrets)])}"
        for sampler, regrets in plain.items()
    ]
