"""What the finite validation images add to the noise of a statistic, from the trials' logits."""

from collections.abc import Callable, Sequence

import numpy as np

from fashion_hpo.analysis.intervals import ImageNoise, fold_noise, image_noise
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import Cells, compared_trials, weights_of
from fashion_hpo.analysis.statistics.effects import Effect
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.measures import MEASURES, correct
from fashion_hpo.design.spec import Level
from fashion_hpo.stores.predictions import NoPredictionsError, Predictions


def noise_of(records: Records, part: Part, cells: Cells, effect: Effect) -> ImageNoise | None:
    """The images' part of the variance of a statistic; None for one that is no mean over images.

    That is a sum of means over images at the last epoch.  All trials of a seed see the same
    images, so differences are taken image by image.  Raises NoPredictionsError if the logits of a
    trial behind it cannot be had, or are of another epoch.
    """
    if records.predictions is None or not is_of_images(part, effect):
        return None
    per_image = MEASURES[part.measure].per_image
    assert effect.shares is not None
    assert per_image is not None
    behind, foreign = _behind(records, part), _foreign(records, part)
    used = [(cells.levels[place], effect.shares[place]) for place in np.flatnonzero(effect.shares)]
    by_seed: list[np.ndarray] = []
    for seed in effect.seeds:
        trials = []
        for cell, share in used:
            weighted_trials = behind.get((*cell, seed), [])
            whole = sum(weight for _, weight in weighted_trials)
            trials += [(uid, share * weight / whole) for uid, weight in weighted_trials]
        if others := [uid for uid, _ in trials if uid in foreign]:
            raise _of_another_epoch(records, others[0], part)
        by_seed.append(_weighted(records, per_image, trials))
    if records.plan.spec.folds:
        return fold_noise(by_seed)
    return image_noise(np.stack(by_seed))


def noise_of_trials(records: Records, uids: Sequence[str]) -> ImageNoise | None:
    """That of the mean accuracy of some trials, one a seed; None where no store is known.

    Raises NoPredictionsError if the logits of one cannot be had.
    """
    if records.predictions is None:
        return None
    return image_noise(np.stack([_weighted(records, correct, [(uid, 1.0)]) for uid in uids]))


def basis(part: Part, noise: ImageNoise, *, folds: bool = False) -> str:
    """Which images an interval has the noise of: `5,000 images`."""
    which = MEASURES[part.measure].images
    counted = f"a fold each of {noise.images:,} images" if folds else f"{noise.images:,} images"
    return counted + (f" ({which})" if which else "")


def is_of_images(part: Part, effect: Effect) -> bool:
    """Whether a statistic is a sum of means over the validation images, as they were at the end."""
    if MEASURES[part.measure].per_image is None or part.epoch is not None:
        return False
    return effect.shares is not None and len(effect.seeds) > 1


def _behind(records: Records, part: Part) -> dict[tuple[Level, ...], list[tuple[str, float]]]:
    """The trials' uids and weights by cell and seed."""
    trials = compared_trials(records, part)
    if "uid" not in trials:
        return {}
    names = [*records.plan.scientific, "seed_index"]
    behind: dict[tuple[Level, ...], list[tuple[str, float]]] = {}
    weights = weights_of(trials).to_numpy()
    for row, weight in zip(trials[[*names, "uid"]].itertuples(index=False), weights, strict=True):
        *key, uid = row
        behind.setdefault(tuple(key), []).append((uid, float(weight)))
    return behind


def _foreign(records: Records, part: Part) -> set[str]:
    """The uids of trials whose logits are of another epoch than the measure."""
    trials = compared_trials(records, part)
    if MEASURES[part.measure].needs not in ("epochs", "curve") or "uid" not in trials:
        return set()
    if "kept_epoch" not in trials:
        return set(trials["uid"])
    return set(trials["uid"][trials["kept_epoch"] != trials["epochs_done"]])


def _of_another_epoch(records: Records, uid: str, part: Part) -> NoPredictionsError:
    return NoPredictionsError(
        f"the validation logits of trial {_number(records, uid)} are those of its best epoch, and "
        f"the {MEASURES[part.measure].at(None)} is of its last",
        "ask for a measure of the kept model (model_val_accuracy, model_val_loss), or train "
        "without early stopping",
    )


def _weighted(
    records: Records,
    per_image: Callable[[np.ndarray, np.ndarray], np.ndarray],
    trials: Sequence[tuple[str, float]],
) -> np.ndarray:
    """The trials' values of each image, weighted and summed."""
    values = []
    for uid, weight in trials:
        predictions = _read(records, uid)
        values.append(weight * per_image(predictions.logits, predictions.labels))
    return np.asarray(np.sum(values, axis=0))


def _read(records: Records, uid: str) -> Predictions:
    assert records.predictions is not None
    try:
        return records.predictions.read(uid)
    except NoPredictionsError as error:
        what = f"the validation logits of trial {_number(records, uid)} {error}"
        raise NoPredictionsError(what, error.advice) from None


def _number(records: Records, uid: str) -> int:
    return int(records.trials.loc[records.trials["uid"] == uid, "trial"].iloc[0])
