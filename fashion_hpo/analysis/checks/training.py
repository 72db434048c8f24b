"""Checks of the trainings, and of the differences between levels."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from fashion_hpo.analysis.checks.check import Check, by_level, counted, judged, level_name
from fashion_hpo.analysis.intervals import (
    Estimate,
    Interval,
    t_interval,
)
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import cells_of, weights_of
from fashion_hpo.analysis.statistics.estimates import between
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.sentences import study_command

DIVERGED = 0.1  # share of all trials
IMPROVING = 0.01  # share of the remaining error, from one tenth of the epochs to the next
PARTED = 0.5  # share of a level's trials
EPOCHS_APART = 0.1  # share of the largest mean number of epochs of a level
BEST_OF_SEARCH = 5  # the best trials of a search, which alone are checked


def diverged(records: Records) -> Check | None:
    """Trials that ended because a loss was not finite."""
    if records.trials.empty:
        return None
    lost = records.trials[records.trials["outcome"] == "diverged"]
    seen = f"{len(lost)} of {counted(len(records.trials), 'trial')} diverged"
    if len(lost) and "learning_rate" in records.varied:
        ends = dict.fromkeys([level_text(float(f(lost["learning_rate"]))) for f in (min, max)])
        seen += f", with learning_rate {' to '.join(ends)}"
    warn = 0 < len(lost) >= DIVERGED * len(records.trials)
    if len(lost) and not warn:
        seen += f": fewer than {DIVERGED:.0%}".replace("%", " %")
    return judged(
        "diverged",
        f"{seen}.",
        "Lower learning_rate or the upper end of its range, or set warmup_epochs.",
        warn=warn,
    )


def still_improving(records: Records) -> Check | None:
    """Accuracy that still rises in the last tenth of the epochs: the training was too short."""
    if "val_accuracy" not in records.epochs:
        return None
    compared: list[int] = _compared(records)["trial"].tolist()
    epochs = records.epochs[records.epochs["trial"].isin(compared)]
    by_trial = [_last_rise(rows) for _, rows in epochs.groupby("trial")]
    rises = [rise for rise in by_trial if rise is not None]
    if not rises:
        return None
    change = t_interval([rise.gain for rise in rises])
    left = float(np.mean([rise.error for rise in rises]))
    last = max(rise.epochs for rise in rises)
    reason = _why_no_rise(change, left)
    seen = (
        f"At the end validation accuracy changed by {100 * change.mean:+.2f} points in "
        f"{counted(last, 'epoch')} (mean of {counted(len(rises), 'trial')}){reason}."
    )
    return judged("still_improving", seen, "Train for longer: raise epochs.", warn=not reason)


def _why_no_rise(change: Interval, left: float) -> str:
    """The reason why the last change is no improvement; "" if it is one."""
    if change.mean <= 0:
        return ": it no longer rises"
    if change.low <= 0:  # one trial alone has no interval
        ends = " to ".join(f"{100 * end:.2f}" for end in change[1:])
        return f", no more than chance (95 % interval {ends})"
    if change.mean <= IMPROVING * left:
        return f", at most {IMPROVING:.0%} of the error that was left".replace("%", " %")
    return ""


def over_fitting(records: Records) -> Check | None:
    """Validation losses that rise again while the training losses fall."""
    compared = _compared(records)
    if "parting_epoch" not in compared or compared["parting_epoch"].dropna().empty:
        return None
    known = compared.dropna(subset="parting_epoch")
    diverges = known["parting_epoch"] <= known["epochs_done"]
    worst = []
    for level, rows in by_level(records, known):
        of_level = diverges.loc[rows.index]
        if np.average(of_level, weights=weights_of(rows)) >= PARTED:
            share = f"{int(of_level.sum())} of {counted(len(of_level), 'trial')}"
            worst.append(f"{share} at {level}" if level else share)
    seen = ", ".join(worst) or f"{int(diverges.sum())} of {counted(len(diverges), 'trial')}"
    if diverges.any() and not worst:
        weighted = ", weighted as their levels are" if "weight" in known else ""
        seen += f": less than half of those of every level{weighted}"
    return judged(
        "over_fitting",
        f"Validation loss diverges from training loss in {seen}.",
        "Regularise more (dropout, weight_decay, label_smoothing, augmentation), use more "
        "train_images, or fewer epochs.",
        warn=bool(worst),
    )


def seed_noise(records: Records) -> Check | None:
    """Whether the lead of the best level is larger than its variation over seeds."""
    names = list(records.plan.scientific)
    cells = cells_of(records, Part("value", "higher", figure=0.0)) if names else None
    if cells is None or len(ranked := cells.ranked()) < 2:
        return None
    best, next_best = ranked[:2]
    first, second = (level_name(names, list(level.values())) for level in (best, next_best))
    lead = between(records, "value", next_best, best)
    if lead is None or len(lead.effect.values) < 2:
        which = "No seed has both" if lead is None else "Only one seed has both"
        more = f"Run more seeds: {_more_seeds(records, max(2, len(cells.seeds)))}."
        advice = _to_its_end(records) if records.remaining else more
        return Check("seed_noise", "warning", f"{which} {first} and {second}.", advice)
    mean, low, high = lead.estimate.interval()
    leads = "leads" if mean >= 0 else "has the higher mean, yet on the seeds of both trails"
    if lead.missing is not None:
        seen = f"{first} {leads} {second} by {100 * abs(mean):.2f} points; {lead.basis}."
        advice = lead.missing.advice
        return Check("seed_noise", "warning", seen, f"{advice[0].upper()}{advice[1:]}.")
    return judged(
        "seed_noise",
        f"{first} {leads} {second} by {100 * abs(mean):.2f} points; over {lead.basis}, chance "
        f"moves such a lead by up to {100 * (high - mean):.2f}.",
        f"Call neither the better one{_or_more_seeds(records, lead.estimate)}.",
        warn=low <= 0,
    )


def _to_its_end(records: Records) -> str:
    return f"Run the study to its end with {study_command(records.plan.name, records.plan.budget)}."


def _more_seeds(records: Records, more: int) -> str:
    """The command that adds seeds to the study; --more-seeds counts from the budget's seeds."""
    plan = records.plan
    beyond = plan.seeds - (plan.spec.budgets[plan.budget].seeds or plan.spec.seeds)
    return study_command(plan.name, plan.budget, f"--more-seeds {beyond + more}")


def _or_more_seeds(records: Records, lead: Estimate) -> str:
    """Advice to run more seeds; "" if the noise of the images makes them useless."""
    needed = lead.seeds_to_decide(0.0)
    if needed is None:
        return ""
    return f", or run more seeds: {_more_seeds(records, needed - len(lead.values))}"


def unequal_budgets(records: Records) -> Check | None:
    """Whether all levels have equally many complete trials, with equally many epochs."""
    levels = by_level(records, records.complete) if records.plan.scientific else []
    if len(levels) < 2:
        return None
    counts = {level: len(rows) for level, rows in levels}
    means = {level: float(rows["epochs_done"].mean()) for level, rows in levels}
    lengths = {level: mean for level, mean in means.items() if mean > 1}  # classical fits have 1
    differences = []
    if min(counts.values()) < max(counts.values()):
        words = {level: counted(count, "complete trial") for level, count in counts.items()}
        differences.append(_extremes(words, counts))
    if lengths and min(lengths.values()) < (1 - EPOCHS_APART) * max(lengths.values()):
        words = {level: f"{mean:.1f} epochs" for level, mean in lengths.items()}
        differences.append(_extremes(words, lengths))
    if not differences:
        return Check(
            "unequal_budgets", "ok", "Every level was trained as often, and about as long."
        )
    return Check(
        "unequal_budgets",
        "warning",
        f"Levels were not trained alike: {'; '.join(differences)}.",
        _to_its_end(records)
        if records.remaining
        else "Look at the trials that failed, diverged or stopped early.",
    )


def _compared(records: Records) -> pd.DataFrame:
    """The trials that the answer is based on; the best few of a search."""
    if records.plan.search is None:
        return records.tuned
    return records.ranked.head(BEST_OF_SEARCH)


class _Rise(NamedTuple):
    """The rise in accuracy from the last tenth but one of the epochs to the last tenth, the error
    before the rise, and the number of epochs in a tenth."""

    gain: float
    error: float
    epochs: int


def _last_rise(rows: pd.DataFrame) -> _Rise | None:
    """The last rise of one trial; None if the curve is too short."""
    curve = rows.sort_values("epoch")["val_accuracy"].to_numpy(dtype=float)
    tenth = max(1, round(len(curve) / 10))
    if len(curve) < 2 * tenth or not np.isfinite(curve).all():
        return None
    before = float(curve[-2 * tenth : -tenth].mean())
    return _Rise(float(curve[-tenth:].mean()) - before, 1 - before, tenth)


def _extremes(words: dict[str, str], numbers: dict[str, int] | dict[str, float]) -> str:
    """The levels with the smallest and the largest number."""
    ranked = sorted(numbers, key=lambda level: numbers[level])
    return f"{words[ranked[0]]} at {ranked[0]}, {words[ranked[-1]]} at {ranked[-1]}"
