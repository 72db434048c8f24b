"""Checks of how the trials were trained, and of what their differences are worth."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from fashion_hpo.analysis.checks.check import Check, by_level, counted, judged, level_name
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import cells_of, weights_of
from fashion_hpo.analysis.statistics.estimates import between
from fashion_hpo.analysis.statistics.intervals import (
    Estimate,
    Interval,
    seeds_to_decide,
    t_interval,
)
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.sentences import study_command

DIVERGED = 0.1  # share of all trials
IMPROVING = 0.01  # of the error that is left, from one tenth of the epochs to the next
PARTED = 0.5  # share of a level's trials
EPOCHS_APART = 0.1  # of the most that a level has on average
BEST_OF_SEARCH = 5  # trials


def diverged(records: Records) -> Check | None:
    """Trials that ended with a loss that is no number."""
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
    """Accuracy that still rises over the last tenth of the epochs: training was cut short."""
    if "val_accuracy" not in records.epochs:
        return None
    compared: list[int] = _compared(records)["trial"].tolist()
    epochs = records.epochs[records.epochs["trial"].isin(compared)]
    found = [_last_rise(rows) for _, rows in epochs.groupby("trial")]
    rises = [rise for rise in found if rise is not None]
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
    """Why a change at the end does not count as improvement; "" if it does."""
    if change.mean <= 0:
        return ": it no longer rises"
    if change.low <= 0:  # one trial alone has no interval
        ends = " to ".join(f"{100 * end:.2f}" for end in change[1:])
        return f", no more than chance (95 % interval {ends})"
    if change.mean <= IMPROVING * left:
        return f", at most {IMPROVING:.0%} of the error that was left".replace("%", " %")
    return ""


def over_fitting(records: Records) -> Check | None:
    """Validation losses that turn and rise while the training losses fall."""
    compared = _compared(records)
    if "parting_epoch" not in compared or compared["parting_epoch"].dropna().empty:
        return None
    found = compared.dropna(subset="parting_epoch")
    parted = found["parting_epoch"] <= found["epochs_done"]
    worst = []
    for level, rows in by_level(records, found):
        own = parted.loc[rows.index]
        if np.average(own, weights=weights_of(rows)) >= PARTED:
            of = f"{int(own.sum())} of {counted(len(own), 'trial')}"
            worst.append(f"{of} at {level}" if level else of)
    seen = ", ".join(worst) or f"{int(parted.sum())} of {counted(len(parted), 'trial')}"
    if parted.any() and not worst:
        weighted = ", weighted as their levels are" if "weight" in found else ""
        seen += f": less than half of those of every level{weighted}"
    return judged(
        "over_fitting",
        f"Validation loss parts from training loss in {seen}.",
        "Regularise more (dropout, weight_decay, label_smoothing, augmentation), use more "
        "train_images, or fewer epochs.",
        warn=bool(worst),
    )


def seed_noise(records: Records) -> Check | None:
    """Whether the best level leads by more than chance alone moves such a lead."""
    names = list(records.plan.scientific)
    cells = cells_of(records, Part("value", "higher", figure=0.0)) if names else None
    if cells is None or len(ranked := cells.ranked()) < 2:
        return None
    best, next_best = ranked[:2]
    first, second = (level_name(names, list(each.values())) for each in (best, next_best))
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
    """The command that adds seeds to those the study has; its option counts from the budget's."""
    plan = records.plan
    beyond = plan.seeds - (plan.spec.budgets[plan.budget].seeds or plan.spec.seeds)
    return study_command(plan.name, plan.budget, f"--more-seeds {beyond + more}")


def _or_more_seeds(records: Records, lead: Estimate) -> str:
    """What else would help, if it does: more seeds do not where the noise is the images'."""
    needed = seeds_to_decide(lead, 0.0)
    if needed is None:
        return ""
    return f", or run more seeds: {_more_seeds(records, needed - len(lead.values))}"


def unequal_budgets(records: Records) -> Check | None:
    """Whether every level has as many complete trials, of as many epochs."""
    levels = by_level(records, records.complete) if records.plan.scientific else []
    if len(levels) < 2:
        return None
    counts = {level: len(rows) for level, rows in levels}
    means = {level: float(rows["epochs_done"].mean()) for level, rows in levels}
    lengths = {level: mean for level, mean in means.items() if mean > 1}  # others are fits, of one
    told = []
    if min(counts.values()) < max(counts.values()):
        told.append(
            _apart({level: counted(n, "complete trial") for level, n in counts.items()}, counts)
        )
    if lengths and min(lengths.values()) < (1 - EPOCHS_APART) * max(lengths.values()):
        told.append(_apart({level: f"{n:.1f} epochs" for level, n in lengths.items()}, lengths))
    if not told:
        return Check(
            "unequal_budgets", "ok", "Every level was trained as often, and about as long."
        )
    return Check(
        "unequal_budgets",
        "warning",
        f"Levels were not trained alike: {'; '.join(told)}.",
        _to_its_end(records)
        if records.remaining
        else "Look at the trials that failed, diverged or stopped early.",
    )


def _compared(records: Records) -> pd.DataFrame:
    """The trials that an answer rests on: of a search, the best few."""
    if records.plan.search is None:
        return records.tuned
    return records.ranked.head(BEST_OF_SEARCH)


class _Rise(NamedTuple):
    """How much accuracy rose to the last tenth of the epochs from the one before, the error that
    was left before, and how many epochs a tenth is."""

    gain: float
    error: float
    epochs: int


def _last_rise(rows: pd.DataFrame) -> _Rise | None:
    """Of one trial's epochs; None for too short a curve."""
    curve = rows.sort_values("epoch")["val_accuracy"].to_numpy(dtype=float)
    tenth = max(1, round(len(curve) / 10))
    if len(curve) < 2 * tenth or not np.isfinite(curve).all():
        return None
    before = float(curve[-2 * tenth : -tenth].mean())
    return _Rise(float(curve[-tenth:].mean()) - before, 1 - before, tenth)


def _apart(words: dict[str, str], numbers: dict[str, int] | dict[str, float]) -> str:
    """The level with the least and the one with the most."""
    ranked = sorted(numbers, key=lambda level: numbers[level])
    return f"{words[ranked[0]]} at {ranked[0]}, {words[ranked[-1]]} at {ranked[-1]}"
